//! Where the configuration keeps the database's URL, as a term: `{url, Text}`, `{file, Name}` or `{env, Name}`.

use std::ffi::{CString, OsStr, c_char};
use std::os::unix::ffi::OsStrExt;

use domain_store::UrlSource;
use rustler::{Binary, NifTaggedEnum};

/// The environment variables of the VM are not those of the C library: `os:putenv/2` changes the former only.
#[derive(NifTaggedEnum)]
#[rustler(decode)]
pub(crate) enum Source<'a> {
    Url(Binary<'a>),
    File(Binary<'a>),
    Env(Binary<'a>),
}

impl Source<'_> {
    pub(crate) fn of(&self) -> Result<UrlSource, String> {
        let text = |bytes: &Binary, what: &str| {
            std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| format!("{what} is not UTF-8"))
        };
        Ok(match self {
            Source::Url(url) => UrlSource::Url(text(url, "the database URL")?),
            // A file's name is bytes.
            Source::File(path) => UrlSource::File(OsStr::from_bytes(path).into()),
            Source::Env(name) => {
                UrlSource::Variable { name: text(name, "the name of the environment variable")?, read: variable }
            }
        })
    }
}

/// The longest value that is read, in bytes.
const LONGEST: usize = 64 * 1024;

/// The value of one of the VM's environment variables, as it is now.
fn variable(name: &str) -> Option<Vec<u8>> {
    let name = CString::new(name).ok()?;
    let mut value = vec![0_u8; LONGEST];
    let mut length = value.len();
    // SAFETY: `name` ends with a zero byte, and `value` has room for `length` bytes; both outlive the call, which any
    // thread may make at any time.
    let result = unsafe { rustler::sys::enif_getenv(name.as_ptr(), value.as_mut_ptr().cast::<c_char>(), &mut length) };
    // On success `length` is the value's, without the zero byte at its end.
    (result == 0).then(|| {
        value.truncate(length);
        value
    })
}
