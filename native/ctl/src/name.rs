//! Which names are taken: those that a request can carry.
//!
//! A server accepts what nameprep accepts, so that it can hold whatever other programs wrote: `https://a.example/` is a name
//! to it, and one that nobody ever asks for. What people type or import is therefore looked at here first. A name has labels
//! of letters, digits, `-` and `_` between single dots, each no longer than DNS has it; or it is an address in brackets. Beyond
//! ASCII, nameprep decides.
//!
//! IDNA knows four full stops, three of which are typed where Chinese and Japanese are; they separate labels, too.

use std::net::Ipv6Addr;

use domain_core::DomainName;
use domain_core::spellings::to_punycode;

/// IDNA's other full stops (RFC 3490, section 3.1).
const FULL_STOPS: [char; 3] = ['\u{3002}', '\u{ff0e}', '\u{ff61}'];

/// Bytes of the longest label that DNS knows (RFC 1035, section 2.3.4).
const LONGEST_LABEL: usize = 63;

/// How a name is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// If a request can carry it.
    Checked,
    /// As the server would, whatever it looks like.
    AsIs,
    /// Only if nameprep leaves it as it stands: that of a domain that was there.
    Exactly,
}

impl From<bool> for Taken {
    /// What the flag `--as-is` says.
    fn from(as_is: bool) -> Taken {
        if as_is { Taken::AsIs } else { Taken::Checked }
    }
}

/// The name that a text stands for, as it will be stored; or why there is none.
pub fn read(text: &str, taken: Taken) -> Result<DomainName, String> {
    match taken {
        Taken::Checked => checked(text),
        Taken::AsIs => DomainName::prepare(text).map_err(|error| error.to_string()),
        Taken::Exactly => DomainName::new(text).map_err(|error| error.to_string()),
    }
}

fn checked(text: &str) -> Result<DomainName, String> {
    let name = separated(text);
    // Nameprep makes ASCII of some characters: a full-width slash is a slash.
    let prepared = DomainName::prepare(&name);
    let found = fault(&name).or_else(|| fault(prepared.as_ref().map_or("x", DomainName::as_str)));
    if let Some(fault) = found {
        let meant = meant(&name).map(|it| format!("; {it} was probably meant")).unwrap_or_default();
        return Err(format!("no request can carry the name {text:?}: {fault}{meant} (--as-is takes it as it is)"));
    }
    prepared.map_err(|error| error.to_string())
}

/// The name of a domain that is there, however it came to be: what it cannot be is for the server to say.
pub fn existing(text: &str, taken: Taken) -> String {
    let name = match taken {
        Taken::Checked => separated(text),
        Taken::AsIs | Taken::Exactly => text.to_owned(),
    };
    DomainName::prepare(&name).map_or(name, |it| it.to_string())
}

/// Whether a name that is stored is read as it stands.
pub fn is_read_as_it_stands(name: &str) -> bool {
    read(name, Taken::Checked).is_ok_and(|read| read.as_str() == name)
}

fn separated(text: &str) -> String {
    text.replace(FULL_STOPS, ".")
}

/// What keeps a request from carrying it.
fn fault(name: &str) -> Option<String> {
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
    let strange = |it: &char| match it {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' | '.' => false,
        other => other.is_ascii() || other.is_control() || other.is_whitespace(),
    };
    if let Some(character) = name.chars().find(strange) {
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
            let long = name.split('.').find(|label| encoded_length(label) > LONGEST_LABEL)?;
            Some(format!("its label {long} has more than {LONGEST_LABEL} bytes"))
        }
    }
}

/// The bytes of a label as DNS and TLS have it.
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

/// What is left when all is taken away that stands around a name elsewhere; nothing, if that is no name.
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
    DomainName::prepare(&name).ok().filter(|it| fault(&name).or_else(|| fault(it.as_str())).is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        read(text, Taken::Checked).unwrap_err()
    }

    #[test]
    fn what_no_request_can_carry_is_refused_with_the_name_that_was_meant() {
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
        for (text, words) in rows {
            assert!(refused(text).contains(words), "{text:?}: {}", refused(text));
        }
    }

    #[test]
    fn a_label_is_no_longer_than_dns_has_it() {
        for label in ["a".repeat(63), "ü".repeat(57)] {
            assert!(read(&format!("{label}.example"), Taken::Checked).is_ok());
        }
        for label in ["a".repeat(64), "ü".repeat(58)] {
            assert!(refused(&format!("{label}.example")).contains("has more than 63 bytes (--as-is"));
        }
    }

    #[test]
    fn every_full_stop_of_idna_separates_labels() {
        for stop in ['.', '\u{3002}', '\u{ff0e}', '\u{ff61}'] {
            assert_eq!(read(&format!("ドメイン{stop}example"), Taken::Checked).unwrap().as_str(), "ドメイン.example");
        }
        assert!(refused("a.example。").contains("it ends with a dot; a.example"));
        assert_eq!(read("ド。example", Taken::AsIs).unwrap().as_str(), "ド。example");
        assert_eq!(existing("ド。Example", Taken::Checked), "ド.example");
    }

    #[test]
    fn names_of_requests_are_taken_and_prepared() {
        for (text, name) in [
            ("A.Example", "a.example"),
            ("_dmarc.a-b.example", "_dmarc.a-b.example"),
            ("xn--pl-wia.example", "xn--pl-wia.example"),
            ("plä.example", "plä.example"),
            ("localhost", "localhost"),
            ("192.0.2.1", "192.0.2.1"),
            ("[2001:db8::1]", "[2001:db8::1]"),
        ] {
            assert_eq!(read(text, Taken::Checked).unwrap().as_str(), name);
        }
    }

    #[test]
    fn as_it_is_every_name_is_taken_that_a_server_takes() {
        for text in ["https://a.example/", "a..b", "x\nvictim.example,type2"] {
            assert_eq!(read(text, Taken::AsIs).unwrap().as_str(), text);
            assert!(!is_read_as_it_stands(text));
        }
        assert!(read("a\u{202e}b", Taken::AsIs).is_err());
        assert!(is_read_as_it_stands("a.example") && !is_read_as_it_stands("A.example"));
    }
}
