//! Where the database's URL is read, as a term: `{url, Text}`, `{file, Name}` or `{env, Name}`.

use std::ffi::{CString, OsStr, c_char};
use std::os::unix::ffi::OsStrExt;

use domain_store::UrlSource;
use rustler::{Binary, NifTaggedEnum};

#[derive(NifTaggedEnum)]
#[rustler(decode)]
pub(crate) enum UrlSourceTerm<'a> {
    Url(Binary<'a>),
    File(Binary<'a>),
    Env(Binary<'a>),
}

impl UrlSourceTerm<'_> {
    pub(crate) fn to_source(&self) -> Result<UrlSource, String> {
        let text = |bytes: &Binary, what: &str| {
            std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| format!("{what} is not UTF-8"))
        };
        Ok(match self {
            UrlSourceTerm::Url(url) => UrlSource::Url(text(url, "the database URL")?),
            // A file name need not be UTF-8.
            UrlSourceTerm::File(path) => UrlSource::File(OsStr::from_bytes(path).into()),
            UrlSourceTerm::Env(name) => {
                UrlSource::Variable { name: text(name, "the name of the environment variable")?, read: read_variable }
            }
        })
    }
}

/// The greatest length in bytes of a value that is read.
const MAX_VALUE_BYTES: usize = 64 * 1024;

/// The current value of one of the VM's environment variables. They are not those of the C library, which `os:putenv/2`
/// does not change.
fn read_variable(name: &str) -> Option<Vec<u8>> {
    let name = CString::new(name).ok()?;
    let mut value = vec![0_u8; MAX_VALUE_BYTES];
    let mut length = value.len();
    // SAFETY: `name` ends with a zero byte, and `value` has room for `length` bytes. Both outlive the call, which any
    // thread may make at any time.
    let result = unsafe { rustler::sys::enif_getenv(name.as_ptr(), value.as_mut_ptr().cast::<c_char>(), &mut length) };
    // On success `length` is that of the value, without the zero byte at its end.
    (result == 0).then(|| {
        value.truncate(length);
        value
    })
}
