//! The PEM files that a URL names.

use std::path::{Path, PathBuf};

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::UrlError;

/// The certificates in a file, at least one.
pub(crate) fn certificates(parameter: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, UrlError> {
    CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .and_then(|all| if all.is_empty() { Err(pem::Error::NoItemsFound) } else { Ok(all) })
        .map_err(|error| pem_error(parameter, path, "a certificate", error))
}

pub(crate) fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, UrlError> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| pem_error("sslkey", path, "an unencrypted private key", error))
}

fn pem_error(parameter: &'static str, path: &Path, wanted: &str, error: pem::Error) -> UrlError {
    let path = PathBuf::from(path);
    let problem = match error {
        pem::Error::Io(error) => {
            return UrlError::File { parameter, path, error };
        }
        pem::Error::NoItemsFound => format!("does not hold {wanted}: it must, in PEM form"),
        error => format!("does not hold {wanted} in PEM form: {error}"),
    };
    UrlError::Contents { parameter, path, problem }
}
