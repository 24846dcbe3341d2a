//! TLS: the server's certificate, and [`client_certificates`].
//!
//! TLS 1.2 and 1.3, without lists of revoked certificates. Where certificates of clients are verified, sessions cannot
//! be resumed: a client that resumes one does not present its certificate again, and would continue with one that has
//! expired or whose authority has been removed.
//!
//! The files are read at the start, and an invalid one ends the program. Tools renew certificates in place, so the
//! files are read again every few seconds. Invalid files (when only half of them are new, for example) are logged once,
//! and the old ones stay in use.

pub mod client_certificates;

use std::fs;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::NoServerSessionStorage;
use rustls::{ConfigBuilder, RootCertStore, ServerConfig, WantsVerifier};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use self::client_certificates::{Authorities, PresentedCertificate, Verifier};
use crate::config::Tls;

/// How long a handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// How often the files are read.
const INTERVAL: Duration = Duration::from_secs(5);

/// The contents of the files.
#[derive(PartialEq, Eq)]
struct Files {
    certificate: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

/// Accepts TLS connections.
pub struct Terminator {
    paths: Tls,
    current: RwLock<Arc<ServerConfig>>,
    authorities: Authorities,
}

/// Why the files cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlsFilesError {
    /// A file cannot be read.
    #[error("{file} cannot be read: {reason}")]
    NotRead {
        /// The file.
        file: String,
        /// The system's reason.
        reason: String,
    },
    /// A file does not contain what it should.
    #[error("{file} holds no {wanted}: {reason}")]
    Holds {
        /// The file.
        file: String,
        /// What it should contain.
        wanted: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The certificate and the key do not match, or cannot be used.
    #[error("{certificate} and {key} cannot be used: {reason}")]
    Pair {
        /// The certificate's file.
        certificate: String,
        /// The key's.
        key: String,
        /// What is wrong with them.
        reason: String,
    },
}

impl Terminator {
    /// Reads the files.
    pub fn open(paths: &Tls) -> Result<Arc<Terminator>, TlsFilesError> {
        let (config, verifier) = Files::read(paths)?.usable(paths)?;
        let authorities = Authorities::default();
        authorities.renew(verifier);
        Ok(Arc::new(Terminator { paths: paths.clone(), current: RwLock::new(Arc::new(config)), authorities }))
    }

    /// LookupBatcher at the files for as long as it is polled.
    pub async fn follow_files(self: Arc<Terminator>) {
        let mut last = None;
        loop {
            tokio::time::sleep(INTERVAL).await;
            let this = self.clone();
            // A read can block: the disk may hang.
            let refreshed = tokio::task::spawn_blocking(move || {
                this.refresh(&mut last);
                last
            });
            match refreshed.await {
                Ok(refreshed) => last = refreshed,
                Err(_) => return,
            }
        }
    }

    /// Reads the files, and if they differ from `last`, uses them or logs why it cannot.
    fn refresh(&self, last: &mut Option<Result<Files, TlsFilesError>>) {
        let found = Files::read(&self.paths);
        if last.as_ref() == Some(&found) {
            return;
        }
        match found.as_ref().map(|files| files.usable(&self.paths)) {
            Ok(Ok((config, verifier))) => {
                *self.current.write() = Arc::new(config);
                self.authorities.renew(verifier);
                if last.is_some() {
                    tracing::info!(what = "domain_admin_certificates_read");
                }
            }
            Ok(Err(error)) => tracing::error!(what = "domain_admin_certificates_unusable", %error),
            Err(error) => tracing::error!(what = "domain_admin_certificates_unusable", %error),
        }
        *last = Some(found);
    }

    /// Does the handshake; returns the connection, and the client's certificate if it presented one.
    pub async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
    ) -> io::Result<(TlsStream<S>, Option<PresentedCertificate>)> {
        let acceptor = TlsAcceptor::from(self.current.read().clone());
        let stream = tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await??;
        let certificate = stream
            .get_ref()
            .1
            .peer_certificates()
            .and_then(|chain| PresentedCertificate::new(chain, &self.authorities));
        Ok((stream, certificate))
    }
}

impl Files {
    fn read(paths: &Tls) -> Result<Files, TlsFilesError> {
        let read = |file: &String| {
            fs::read(file).map_err(|error| TlsFilesError::NotRead { file: file.clone(), reason: error.to_string() })
        };
        Ok(Files {
            certificate: read(&paths.certificate)?,
            key: read(&paths.key)?,
            client_ca: paths.client_ca.as_ref().map(read).transpose()?,
        })
    }

    fn usable(&self, paths: &Tls) -> Result<(ServerConfig, Option<Arc<Verifier>>), TlsFilesError> {
        let holds = |file: &String, wanted, reason: String| TlsFilesError::Holds { file: file.clone(), wanted, reason };
        let key = PrivateKeyDer::from_pem_slice(&self.key)
            .map_err(|error| holds(&paths.key, "private key without a password", pem_reason(&error)))?;
        let chain =
            certificates(&self.certificate).map_err(|reason| holds(&paths.certificate, "certificate", reason))?;
        let verifier = match (&paths.client_ca, &self.client_ca) {
            (Some(file), Some(bytes)) => {
                let verifier = authorities(bytes).and_then(|roots| Verifier::new(roots, paths.client_certificate));
                Some(verifier.map_err(|reason| holds(file, "authority's certificate", reason))?)
            }
            _ => None,
        };
        let builder = match &verifier {
            Some(verifier) => server_config().with_client_cert_verifier(verifier.clone()),
            None => server_config().with_no_client_auth(),
        };
        let mut config = builder.with_single_cert(chain, key).map_err(|error| TlsFilesError::Pair {
            certificate: paths.certificate.clone(),
            key: paths.key.clone(),
            reason: error.to_string(),
        })?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        if verifier.is_some() {
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        Ok((config, verifier))
    }
}

fn certificates(bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Vec<_> =
        CertificateDer::pem_slice_iter(bytes).collect::<Result<_, _>>().map_err(|error| pem_reason(&error))?;
    match found.is_empty() {
        false => Ok(found),
        true => Err(pem_reason(&pem::Error::NoItemsFound)),
    }
}

fn server_config() -> ConfigBuilder<ServerConfig, WantsVerifier> {
    // Without a default: a build of the whole workspace has two providers, so rustls chooses none.
    ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        // It fails only for a provider without cipher suites for these versions; ring has them.
        .expect("ring supports TLS 1.2 and 1.3")
}

fn authorities(bytes: &[u8]) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(bytes)? {
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    Ok(roots)
}

/// What is wrong with a file, without its contents.
fn pem_reason(error: &pem::Error) -> String {
    match error {
        pem::Error::NoItemsFound => "there is none in it".to_owned(),
        pem::Error::Base64Decode(_) => "its base64 is wrong".to_owned(),
        pem::Error::MissingSectionEnd { .. } => "a section has no end".to_owned(),
        pem::Error::IllegalSectionStart { .. } => "a section has no proper beginning".to_owned(),
        _ => "it is not PEM".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, CertifiedIssuer, IsCa, KeyPair};
    use rustls::client::Resumption;
    use rustls::pki_types::ServerName;
    use rustls::{ClientConfig, HandshakeKind, SupportedProtocolVersion, version};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio_rustls::TlsConnector;

    use super::*;
    use crate::config::ClientAuth;

    /// A certificate with its key, in PEM.
    fn issued(name: &str) -> (String, String) {
        let key = KeyPair::generate().expect("this machine makes keys");
        let params = CertificateParams::new([name.to_owned()]).expect("the name is written right");
        let certificate = params.self_signed(&key).expect("nothing is missing");
        (certificate.pem(), key.serialize_pem())
    }

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn with(certificate: &str, key: &str) -> Folder {
            let folder = Folder(tempfile::tempdir().expect("there is room for a folder"));
            folder.put("c.pem", certificate);
            folder.put("k.pem", key);
            folder
        }

        fn put(&self, name: &str, contents: &str) {
            fs::write(self.0.path().join(name), contents).expect("the folder is there");
        }

        fn paths(&self) -> Tls {
            let path = |name: &str| self.0.path().join(name).display().to_string();
            let client_certificate = ClientAuth::Optional;
            let (certificate, key) = (path("c.pem"), path("k.pem"));
            Tls { certificate, key, client_ca: None, client_certificate, allowed_names: None }
        }
    }

    fn refused(folder: &Folder) -> String {
        Terminator::open(&folder.paths()).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn an_unusable_file_is_named_with_what_is_wrong() {
        let (certificate, key) = issued("door.example");
        let (_, other_key) = issued("door.example");
        assert!(refused(&Folder::with("", &key)).contains("c.pem holds no certificate: there is none in it"));
        assert!(refused(&Folder::with(&certificate, "x")).contains("k.pem holds no private key"));
        assert!(refused(&Folder::with(&certificate, &other_key)).contains("k.pem cannot be used"));
        let cut = &certificate[..certificate.len() / 2];
        assert!(refused(&Folder::with(cut, &key)).contains("c.pem holds no certificate: a section has no end"));
        let folder = Folder::with(&certificate, &key);
        let missing = Tls { client_ca: Some("/there/is/none".to_owned()), ..folder.paths() };
        let error = Terminator::open(&missing).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.starts_with("/there/is/none cannot be read"), "{error}");
    }

    #[test]
    fn new_files_are_used_and_invalid_ones_are_not() {
        let (certificate, key) = issued("door.example");
        let folder = Folder::with(&certificate, &key);
        let terminator = Terminator::open(&folder.paths()).expect("the files belong together");
        let mut last = None;
        terminator.refresh(&mut last);
        let first = terminator.current.read().clone();
        terminator.refresh(&mut last);
        assert!(Arc::ptr_eq(&first, &terminator.current.read()), "nothing was new");
        let (certificate, key) = issued("door.example");
        folder.put("c.pem", &certificate);
        terminator.refresh(&mut last);
        assert!(Arc::ptr_eq(&first, &terminator.current.read()), "the key is still the old one");
        folder.put("k.pem", &key);
        terminator.refresh(&mut last);
        assert!(!Arc::ptr_eq(&first, &terminator.current.read()));
    }

    /// The kinds of the first and the second handshake of a client that resumes sessions, with a certificate or
    /// without.
    async fn connects_twice(tls: &'static SupportedProtocolVersion, presents: Presents) -> [Option<HandshakeKind>; 2] {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let authority =
            CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority");
        let issue = |name: &str| {
            let key = KeyPair::generate().expect("a key");
            let params = CertificateParams::new([name.to_owned()]).expect("a name");
            (params.signed_by(&key, &authority).expect("a certificate"), key)
        };
        let (certificate, key) = issue("door.example");
        let folder = Folder::with(&certificate.pem(), &key.serialize_pem());
        folder.put("ca.pem", &authority.pem());
        let path = folder.0.path().join("ca.pem").display().to_string();
        let client_ca = (presents == Presents::Certificate).then_some(path);
        let terminator = Terminator::open(&Tls { client_ca, ..folder.paths() }).expect("the files belong together");

        let mut roots = RootCertStore::empty();
        roots.add(authority.der().clone()).expect("a root");
        let client = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[tls])
            .expect("a version that ring has")
            .with_root_certificates(roots);
        let (certificate, key) = issue("client.example");
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let mut client = match presents {
            Presents::Certificate => {
                client.with_client_auth_cert(vec![certificate.der().clone()], key).expect("both belong together")
            }
            Presents::Nothing => client.with_no_client_auth(),
        };
        client.resumption = Resumption::in_memory_sessions(8);
        let connector = TlsConnector::from(Arc::new(client));
        let mut kinds = [None; 2];
        for kind in &mut kinds {
            let (near, far) = tokio::io::duplex(65_536);
            let name = ServerName::try_from("door.example").expect("a name");
            let serve = async {
                let (mut stream, certificate) = terminator.accept(far).await.expect("the server accepts");
                assert_eq!(certificate.is_some_and(|it| it.is_valid_now()), presents == Presents::Certificate);
                // The tickets for resuming are sent with it.
                stream.write_all(b"x").await.expect("the client is there");
                stream.flush().await.expect("the client is there");
            };
            let ask = async {
                let mut stream = connector.connect(name, near).await.expect("the client connects");
                stream.read_u8().await.expect("the server answers");
                stream.get_ref().1.handshake_kind()
            };
            (*kind, ()) = tokio::join!(ask, serve);
        }
        kinds
    }

    #[derive(Clone, Copy, PartialEq)]
    enum Presents {
        Certificate,
        Nothing,
    }

    /// With client certificates, no session is resumed.
    #[tokio::test]
    async fn a_client_presents_its_certificate_in_each_handshake() {
        for tls in [&version::TLS12, &version::TLS13] {
            assert_eq!(connects_twice(tls, Presents::Certificate).await, [Some(HandshakeKind::Full); 2]);
            // Without client certificates it resumes, so this test's client can.
            let [_, again] = connects_twice(tls, Presents::Nothing).await;
            assert_eq!(again, Some(HandshakeKind::Resumed));
        }
    }
}
