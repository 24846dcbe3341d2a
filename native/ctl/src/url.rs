//! The URL of a server: `http://host:port/path` or `https://…`.
//!
//! It has one of these schemes, a host, no credentials (other users see the arguments of a process) and no query.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ureq::http::Uri;

/// The URL of a server, without a slash at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerUrl {
    text: String,
    host: String,
    channel: Channel,
}

/// How a connection to a server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// It is encrypted.
    Encrypted,
    /// It does not leave this machine.
    Local,
    /// It is not protected.
    Open,
}

impl ServerUrl {
    /// How the connection is protected.
    pub fn channel(&self) -> Channel {
        self.channel
    }

    /// The host, as written.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The URL of a path, which begins with a slash.
    pub fn join(&self, path: &str) -> String {
        format!("{}{path}", self.text)
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for ServerUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<ServerUrl, String> {
        // Do not quote the text: it may contain a password.
        let uri: Uri = text.parse().map_err(|error| format!("this is no URL: {error}"))?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err("a URL is http://HOST:PORT or https://HOST:PORT".to_owned());
        };
        if authority.as_str().contains('@') {
            return Err("a URL has no user and password: see --username and --password-file".to_owned());
        }
        if uri.query().is_some() {
            return Err("a server's URL has no query".to_owned());
        }
        let channel = match scheme {
            "https" => Channel::Encrypted,
            "http" if is_loopback(authority.host()) => Channel::Local,
            "http" => Channel::Open,
            other => return Err(format!("the scheme of a URL is http or https, not {other}")),
        };
        let host = authority.host().to_owned();
        if host.is_empty() {
            return Err("the URL has no host".to_owned());
        }
        Ok(ServerUrl { text: text.trim_end_matches('/').to_owned(), host, channel })
    }
}

/// `localhost` never leaves a machine (RFC 6761).
fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    match bare.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => host.eq_ignore_ascii_case("localhost") || host.to_ascii_lowercase().ends_with(".localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leaves_this_machine_unencrypted_is_open() {
        assert_eq!("https://a.example".parse::<ServerUrl>().unwrap().channel(), Channel::Encrypted);
        for text in ["http://127.0.0.1:8088", "http://127.8.0.1", "http://[::1]:1", "http://LocalHost"] {
            assert_eq!(text.parse::<ServerUrl>().unwrap().channel(), Channel::Local, "{text}");
        }
        for text in
            ["http://a.example", "http://10.0.0.1", "http://[::2]", "http://localhost.example", "http://0.0.0.0"]
        {
            assert_eq!(text.parse::<ServerUrl>().unwrap().channel(), Channel::Open, "{text}");
        }
    }

    #[test]
    fn what_is_no_url_of_a_server_is_refused_without_repeating_a_password() {
        for text in
            ["", "a.example", "ftp://a.example", "http://", "http://admin:geheim@a.example", "http://a/?x=geheim"]
        {
            let error = text.parse::<ServerUrl>().unwrap_err();
            assert!(!error.contains("geheim"), "{error}");
        }
    }

    #[test]
    fn a_path_is_joined_with_one_slash() {
        let url: ServerUrl = "http://a.example/base/".parse().unwrap();
        assert_eq!(url.join("/api"), "http://a.example/base/api");
        assert_eq!((url.to_string().as_str(), url.host()), ("http://a.example/base", "a.example"));
    }
}
