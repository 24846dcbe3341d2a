//! Which domain names are accepted from people: those that a request can carry.
//!
//! A server accepts every name that nameprep accepts, because other programs may have stored it: `https://a.example/`
//! is a valid name to it, although no request ever asks for it. So names that people type or import are checked here
//! first. A name consists of labels of letters, digits, `-` and `_` between single dots, each no longer than DNS
//! allows; or it is an IPv6 address in brackets. For characters beyond ASCII, nameprep decides.
//!
//! IDNA has four full stops, three of which people type in Chinese and Japanese; they separate labels, too.

use std::net::Ipv6Addr;

use domain_core::DomainName;
use domain_core::spellings::to_punycode;

/// IDNA's other full stops (RFC 3490, section 3.1).
const FULL_STOPS: [char; 3] = ['\u{3002}', '\u{ff0e}', '\u{ff61}'];

/// The longest label in DNS, in bytes (RFC 1035, section 2.3.4).
const MAX_LABEL_BYTES: usize = 63;

/// How a name is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameCheck {
    /// It must be a name that a request can carry.
    Strict,
    /// It must be a name that the server accepts.
    AsIs,
    /// It must be a name that nameprep does not change, as that of an exported domain.
    Verbatim,
}

impl From<bool> for NameCheck {
    /// The check for the flag `--as-is`.
    fn from(as_is: bool) -> NameCheck {
        if as_is { NameCheck::AsIs } else { NameCheck::Strict }
    }
}

/// The name as it will be stored, or why it is not accepted.
pub fn read(text: &str, check: NameCheck) -> Result<DomainName, String> {
    match check {
        NameCheck::Strict => read_strictly(text),
        NameCheck::AsIs => DomainName::prepare(text).map_err(|error| error.to_string()),
        NameCheck::Verbatim => DomainName::new(text).map_err(|error| error.to_string()),
    }
}

fn read_strictly(text: &str) -> Result<DomainName, String> {
    let name = with_dots(text);
    // Check the prepared name, too: nameprep turns some characters into ASCII, as a full-width slash into a slash.
    let prepared = DomainName::prepare(&name);
    let found = problem(&name).or_else(|| problem(prepared.as_ref().map_or("x", DomainName::as_str)));
    if let Some(problem) = found {
        let meant = meant(&name).map(|it| format!("; {it} was probably meant")).unwrap_or_default();
        return Err(format!("no request can carry the name {text:?}: {problem}{meant} (--as-is accepts it unchanged)"));
    }
    prepared.map_err(|error| error.to_string())
}

/// The name of an existing domain. Other programs may have added it, so the server decides whether it is valid.
pub fn existing(text: &str, check: NameCheck) -> String {
    let name = match check {
        NameCheck::Strict => with_dots(text),
        NameCheck::AsIs | NameCheck::Verbatim => text.to_owned(),
    };
    DomainName::prepare(&name).map_or(name, |it| it.to_string())
}

/// Whether a stored name passes the strict check unchanged.
pub fn is_strict(name: &str) -> bool {
    read(name, NameCheck::Strict).is_ok_and(|read| read.as_str() == name)
}

/// Replaces IDNA's other full stops.
fn with_dots(text: &str) -> String {
    text.replace(FULL_STOPS, ".")
}

/// Why no request can carry a name.
fn problem(name: &str) -> Option<String> {
    if is_address(name) {
        return None;
    }
    if name.contains("://") {
        return Some("it is a URL".to_owned());
    }
    if name.starts_with("*.") {
        return Some("a wildcard is no name".to_owned());
    }
    if let Some((_, port)) = name.rsplit_once(':')
        && !port.is_empty()
        && port.bytes().all(|byte| byte.is_ascii_digit())
    {
        return Some("it has a port".to_owned());
    }
    if name.contains('@') {
        return Some("it is the address of a user".to_owned());
    }
    let is_forbidden = |it: &char| match it {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' | '.' => false,
        other => other.is_ascii() || other.is_control() || other.is_whitespace(),
    };
    if let Some(character) = name.chars().find(is_forbidden) {
        return Some(match character {
            ' ' => "it has a space in it".to_owned(),
            it if it.is_control() || it.is_whitespace() => format!("it has {} in it", it.escape_unicode()),
            it => format!("it has {it} in it"),
        });
    }
    match name {
        "" => Some("it is empty".to_owned()),
        name if name.ends_with('.') => Some("it ends with a dot".to_owned()),
        name if name.split('.').any(str::is_empty) => Some("a label in it is empty".to_owned()),
        name => {
            let long = name.split('.').find(|label| encoded_length(label) > MAX_LABEL_BYTES)?;
            Some(format!("its label {long} has more than {MAX_LABEL_BYTES} bytes"))
        }
    }
}

/// The length of a label in DNS and TLS.
fn encoded_length(label: &str) -> usize {
    if label.is_ascii() {
        return label.len();
    }
    to_punycode(label).map_or(usize::MAX, |label| label.len())
}

fn is_address(name: &str) -> bool {
    let bare = name.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    bare.is_some_and(|it| it.parse::<Ipv6Addr>().is_ok())
}

/// The name in a URL, an address or the like; `None` if that is not valid either.
fn meant(name: &str) -> Option<DomainName> {
    let name = name.trim();
    let name = name.split_once("://").map_or(name, |(_, rest)| rest);
    let name = name.split(['/', '?', '#']).next().unwrap_or_default();
    let name = name.rsplit_once('@').map_or(name, |(_, host)| host);
    let name = match name.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => name,
    };
    let name = name.trim_matches('"').trim_start_matches("*.");
    let labels: Vec<&str> = name.split('.').filter(|label| !label.is_empty()).collect();
    let name = labels.join(".");
    DomainName::prepare(&name).ok().filter(|it| problem(&name).or_else(|| problem(it.as_str())).is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        read(text, NameCheck::Strict).unwrap_err()
    }

    #[test]
    fn a_name_that_no_request_can_carry_is_refused_with_a_suggestion() {
        let rows = [
            ("https://a.example/", "it is a URL; a.example"),
            ("https://admin:x@a.example:8443/p?q#f", "it is a URL; a.example"),
            ("user@a.example", "it is the address of a user; a.example"),
            ("a.example.", "it ends with a dot; a.example"),
            ("a..b", "a label in it is empty; a.b"),
            (".a.b", "a label in it is empty; a.b"),
            ("*.a.example", "a wildcard is no name; a.example"),
            ("a.example:5222", "it has a port; a.example"),
            (" A.example", "it has a space in it; a.example"),
            ("a.example/x", "it has / in it; a.example"),
            ("line\nb.example\"", "it has \\u{a} in it (--as-is"),
            ("b.example\"", "it has \" in it; b.example"),
            ("a.example;type1", "it has ; in it (--as-is"),
            ("", "it is empty (--as-is"),
            ("a\u{ff0f}b.example", "it has / in it (--as-is"),
            ("https://ü。example/", "it is a URL; ü.example"),
        ];
        for (text, message) in rows {
            assert!(refused(text).contains(message), "{text:?}: {}", refused(text));
        }
    }

    #[test]
    fn a_label_is_no_longer_than_dns_allows() {
        for label in ["a".repeat(63), "ü".repeat(57)] {
            assert!(read(&format!("{label}.example"), NameCheck::Strict).is_ok());
        }
        for label in ["a".repeat(64), "ü".repeat(58)] {
            assert!(refused(&format!("{label}.example")).contains("has more than 63 bytes (--as-is"));
        }
    }

    #[test]
    fn every_full_stop_of_idna_separates_labels() {
        for stop in ['.', '\u{3002}', '\u{ff0e}', '\u{ff61}'] {
            assert_eq!(
                read(&format!("ドメイン{stop}example"), NameCheck::Strict).unwrap().as_str(),
                "ドメイン.example"
            );
        }
        assert!(refused("a.example。").contains("it ends with a dot; a.example"));
        assert_eq!(read("ド。example", NameCheck::AsIs).unwrap().as_str(), "ド。example");
        assert_eq!(existing("ド。Example", NameCheck::Strict), "ド.example");
    }

    #[test]
    fn names_that_requests_carry_are_accepted_and_prepared() {
        for (text, name) in [
            ("A.Example", "a.example"),
            ("_dmarc.a-b.example", "_dmarc.a-b.example"),
            ("xn--pl-wia.example", "xn--pl-wia.example"),
            ("plä.example", "plä.example"),
            ("localhost", "localhost"),
            ("192.0.2.1", "192.0.2.1"),
            ("[2001:db8::1]", "[2001:db8::1]"),
        ] {
            assert_eq!(read(text, NameCheck::Strict).unwrap().as_str(), name);
        }
    }

    #[test]
    fn as_is_accepts_every_name_that_a_server_accepts() {
        for text in ["https://a.example/", "a..b", "x\nvictim.example,type2"] {
            assert_eq!(read(text, NameCheck::AsIs).unwrap().as_str(), text);
            assert!(!is_strict(text));
        }
        assert!(read("a\u{202e}b", NameCheck::AsIs).is_err());
        assert!(is_strict("a.example") && !is_strict("A.example"));
    }
}
