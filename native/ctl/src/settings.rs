//! Which server, with which credentials: from flags, else from the environment, else from a configuration file.
//!
//! ```toml
//! # ~/.config/domainctl/config.toml, which other users must not be able to read (chmod 600)
//! url = "https://node1.example:8088"
//! username = "admin"
//! password = "…"
//! ca_file = "/etc/ssl/private-ca.pem"
//! ```
//!
//! Each setting is looked up on its own. There is no flag for a password, because other users see the arguments of a
//! process. Credentials are sent over an encrypted connection or within this machine only, unless `--insecure` is
//! given.

use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Deserialize;

use crate::error::{Error, Result};
use crate::url::{Channel, ServerUrl};

const DEFAULT_URL: &str = "http://127.0.0.1:8088";

/// The flags of every command.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "The server and the credentials")]
pub struct Flags {
    /// The server [environment: DOMAINCTL_URL; default: http://127.0.0.1:8088]
    #[arg(long, global = true, value_name = "URL")]
    pub url: Option<String>,
    /// The user name [environment: DOMAINCTL_USERNAME; for its password, DOMAINCTL_PASSWORD]
    #[arg(long, global = true, value_name = "NAME")]
    pub username: Option<String>,
    /// A file whose first line is the password
    #[arg(long, global = true, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// Certificates of the authorities to trust, in PEM, instead of the system's
    #[arg(long, global = true, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// A configuration file [default: domainctl/config.toml in $XDG_CONFIG_HOME or ~/.config]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Send the credentials over a connection that is not encrypted, too
    #[arg(long, global = true)]
    pub insecure: bool,
}

/// The server and the credentials.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The server.
    pub url: ServerUrl,
    /// The credentials.
    pub credentials: Option<Credentials>,
    /// The file with the authorities to trust, instead of the system's.
    pub ca_file: Option<PathBuf>,
    transport: Transport,
}

/// Over which connections credentials may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transport {
    /// Encrypted ones, and those within this machine.
    Private,
    /// All.
    Any,
}

/// A user name and its password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user name.
    pub username: String,
    /// The password.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(..)")
    }
}

/// The configuration file.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    url: Option<String>,
    username: Option<String>,
    password: Option<String>,
    password_file: Option<PathBuf>,
    ca_file: Option<PathBuf>,
}

impl Settings {
    /// Gathers the settings of this process.
    pub fn gather(flags: &Flags) -> Result<Settings> {
        Settings::from_sources(flags, |name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    }

    fn from_sources(flags: &Flags, environment: impl Fn(&str) -> Option<String>) -> Result<Settings> {
        let file = match (&flags.config, default_file(&environment)) {
            (Some(path), _) => File::read(path)?.ok_or_else(|| unreadable(path, "there is no such file"))?,
            (None, Some(path)) => File::read(&path)?.unwrap_or_default(),
            (None, None) => File::default(),
        };
        let url = flags.url.clone().or_else(|| environment("DOMAINCTL_URL")).or(file.url);
        let url = url.as_deref().unwrap_or(DEFAULT_URL).parse().map_err(Error::Usage)?;
        let username = flags.username.clone().or_else(|| environment("DOMAINCTL_USERNAME")).or(file.username);
        let from_flag = flags.password_file.as_deref().map(password_in).transpose()?;
        let password = match from_flag.or_else(|| environment("DOMAINCTL_PASSWORD")).or(file.password) {
            None => file.password_file.as_deref().map(password_in).transpose()?,
            known => known,
        };
        let credentials = match (username, password) {
            (Some(username), Some(password)) => Some(Credentials { username, password }),
            (None, None) => None,
            (Some(_), None) => return Err(Error::Usage(PASSWORD_MISSING.to_owned())),
            (None, Some(_)) => return Err(Error::Usage("there is a password, but no user name".to_owned())),
        };
        let transport = if flags.insecure { Transport::Any } else { Transport::Private };
        Settings { url, credentials, ca_file: flags.ca_file.clone().or(file.ca_file), transport }.checked()
    }

    /// The same settings for another server.
    pub fn with_url(&self, url: &str) -> Result<Settings> {
        Settings { url: url.parse().map_err(Error::Usage)?, ..self.clone() }.checked()
    }

    fn checked(self) -> Result<Settings> {
        match (&self.credentials, self.url.channel(), self.transport) {
            (Some(_), Channel::Open, Transport::Private) => Err(Error::Usage(format!(
                "the password would go to {} unencrypted: use a URL with https, or give --insecure",
                self.url.host()
            ))),
            _ => Ok(self),
        }
    }
}

const PASSWORD_MISSING: &str =
    "there is a user name, but no password: see --password-file, DOMAINCTL_PASSWORD and the configuration file";

fn default_file(environment: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let base = environment("XDG_CONFIG_HOME").map(PathBuf::from);
    let base = base.or_else(|| environment("HOME").map(|home| Path::new(&home).join(".config")));
    Some(base?.join("domainctl").join("config.toml"))
}

fn unreadable(path: &Path, why: &str) -> Error {
    Error::Usage(format!("{}: {why}", path.display()))
}

/// The first line of a file: editors end a file with a line break.
fn password_in(path: &Path) -> Result<String> {
    let text = fs::read_to_string(path).map_err(|error| unreadable(path, &error.to_string()))?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

impl File {
    /// `None` when there is no such file.
    fn read(path: &Path) -> Result<Option<File>> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if [ErrorKind::NotFound, ErrorKind::NotADirectory].contains(&error.kind()) => return Ok(None),
            Err(error) => return Err(unreadable(path, &error.to_string())),
        };
        check_private(path)?;
        // The message quotes no line of the file, because it may contain the password.
        let file = toml::from_str(&text).map_err(|error| unreadable(path, error.message()))?;
        Ok(Some(file))
    }
}

fn check_private(path: &Path) -> Result<()> {
    let mode = fs::metadata(path).map_err(|error| unreadable(path, &error.to_string()))?.mode();
    match mode & 0o077 {
        0 => Ok(()),
        _ => Err(unreadable(path, &format!("other users may read it; run: chmod 600 {}", path.display()))),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use tempfile::TempDir;

    use super::*;

    /// A directory with a configuration file of this mode.
    fn with_file(text: &str, mode: u32) -> TempDir {
        let home = TempDir::new().unwrap();
        let path = home.path().join("domainctl").join("config.toml");
        fs::create_dir(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        home
    }

    fn gather(flags: Flags, environment: &[(&str, &str)]) -> Result<Settings> {
        Settings::from_sources(&flags, |name| {
            environment.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_default_is_the_local_server_without_credentials() {
        let settings = gather(Flags::default(), &[]).unwrap();
        assert_eq!(settings.url.to_string(), DEFAULT_URL);
        assert_eq!(settings.credentials, None);
    }

    #[test]
    fn a_flag_wins_over_the_environment_and_that_over_the_file() {
        let home = with_file("url = \"https://file\"\nusername = \"f\"\npassword = \"pf\"\nca_file = \"ca\"\n", 0o600);
        let xdg = ("XDG_CONFIG_HOME", home.path().to_str().unwrap());
        let settings = gather(Flags::default(), &[xdg]).unwrap();
        let file = Credentials { username: "f".into(), password: "pf".into() };
        assert_eq!((settings.url.host(), settings.credentials), ("file", Some(file)));
        assert_eq!(settings.ca_file, Some("ca".into()));

        let environment = [xdg, ("DOMAINCTL_URL", "https://environment"), ("DOMAINCTL_PASSWORD", "pe")];
        let settings = gather(Flags::default(), &environment).unwrap();
        let mixed = Credentials { username: "f".into(), password: "pe".into() };
        assert_eq!((settings.url.host(), settings.credentials), ("environment", Some(mixed)));

        let password_file = home.path().join("password");
        fs::write(&password_file, "pp\nignored\n").unwrap();
        let flags = Flags {
            url: Some("https://flag".into()),
            username: Some("g".into()),
            password_file: Some(password_file),
            ..Flags::default()
        };
        let settings = gather(flags, &environment).unwrap();
        let flag = Credentials { username: "g".into(), password: "pp".into() };
        assert_eq!((settings.url.host(), settings.credentials), ("flag", Some(flag)));
    }

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        for mode in [0o644, 0o640, 0o604, 0o620, 0o601] {
            let home = with_file("", mode);
            let error = gather(Flags::default(), &[("XDG_CONFIG_HOME", home.path().to_str().unwrap())]).unwrap_err();
            assert!(error.to_string().contains("chmod 600"), "{error}");
        }
    }

    #[test]
    fn an_invalid_file_is_refused_and_its_password_not_shown() {
        for text in ["password = \"geheim", "password = geheim\n", "paswort = \"geheim\"\n", "password = [\"geheim\"]"]
        {
            let home = with_file(text, 0o600);
            let error = gather(Flags::default(), &[("XDG_CONFIG_HOME", home.path().to_str().unwrap())]).unwrap_err();
            assert!(!error.to_string().contains("geheim"), "{error}");
        }
    }

    #[test]
    fn a_named_file_must_exist() {
        let flags = Flags { config: Some("/nowhere/config.toml".into()), ..Flags::default() };
        assert!(matches!(gather(flags, &[]), Err(Error::Usage(_))));
    }

    #[test]
    fn a_name_needs_a_password_and_a_password_a_name() {
        for half in [("DOMAINCTL_USERNAME", "admin"), ("DOMAINCTL_PASSWORD", "secret")] {
            assert!(matches!(gather(Flags::default(), &[half]), Err(Error::Usage(_))));
        }
    }

    #[test]
    fn credentials_are_not_sent_unencrypted_to_another_machine() {
        let both = [("DOMAINCTL_USERNAME", "admin"), ("DOMAINCTL_PASSWORD", "secret")];
        let flags = |url: &str, insecure| Flags { url: Some(url.into()), insecure, ..Flags::default() };
        let error = gather(flags("http://a.example", false), &both).unwrap_err();
        assert!(error.to_string().contains("--insecure") && !error.to_string().contains("secret"), "{error}");
        assert!(gather(flags("http://a.example", true), &both).is_ok());
        assert!(gather(flags("http://a.example", false), &[]).is_ok());
        let local = gather(flags("http://localhost", false), &both).unwrap();
        assert!(local.with_url("https://a.example").is_ok() && local.with_url("http://a.example").is_err());
    }
}
