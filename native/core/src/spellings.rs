//! One name in several spellings: a label beyond ASCII is written in Unicode or, for DNS, as `xn--` and Punycode (RFC 5890).
//!
//! To the table they are different names, and so they are to nameprep. To whoever asks for `im.plä.example` they are one:
//! his program sends whichever it prefers. So two domains with one name are two tenants, of which each is reached by some
//! requests only; [`spellings`] finds the second one.

use idna::punycode;

use crate::DomainName;

/// What an encoded label begins with.
const ENCODED: &str = "xn--";

/// Labels beyond ASCII of a name for which all combinations are looked at; with more of them, only the two in which all are
/// written alike.
const MIXED: usize = 6;

/// The other spellings of a name; only those that are valid names, as every domain is.
pub fn spellings(name: &DomainName) -> Vec<DomainName> {
    let labels: Vec<(&str, Option<String>)> = name.as_str().split('.').map(|label| (label, other(label))).collect();
    let twofold = labels.iter().filter(|(_, other)| other.is_some()).count();
    let chosen: Vec<Vec<String>> = match twofold {
        0 => Vec::new(),
        few if few <= MIXED => (1..1_usize << few).map(|choice| chosen(&labels, choice)).collect(),
        _ => [decoded as fn(&str) -> Option<String>, to_punycode].iter().map(|spell| spelled(&labels, spell)).collect(),
    };
    let names = chosen.into_iter().filter_map(|labels| DomainName::new(&labels.join(".")).ok());
    names.filter(|spelled| spelled != name).collect()
}

/// The labels, with the other spelling where the bit of `choice` says so.
fn chosen(labels: &[(&str, Option<String>)], mut choice: usize) -> Vec<String> {
    let label = |(label, other): &(&str, Option<String>)| match other {
        None => (*label).to_owned(),
        Some(other) => {
            let is_other = choice & 1 == 1;
            choice >>= 1;
            if is_other { other.clone() } else { (*label).to_owned() }
        }
    };
    labels.iter().map(label).collect()
}

/// The labels, all of them spelled so.
fn spelled(labels: &[(&str, Option<String>)], spell: impl Fn(&str) -> Option<String>) -> Vec<String> {
    labels.iter().map(|(label, _)| spell(label).unwrap_or_else(|| (*label).to_owned())).collect()
}

fn other(label: &str) -> Option<String> {
    decoded(label).or_else(|| to_punycode(label))
}

/// In Unicode, if that is how it is encoded.
fn decoded(label: &str) -> Option<String> {
    let text = punycode::decode_to_string(label.strip_prefix(ENCODED)?)?;
    // Nobody encodes what is ASCII, and a dot would make labels of one.
    let is_label = !text.is_ascii() && !text.contains('.');
    (is_label && to_punycode(&text).as_deref() == Some(label)).then_some(text)
}

/// A label beyond ASCII as DNS and TLS have it, if Punycode can encode it; nothing for one of ASCII.
pub fn to_punycode(label: &str) -> Option<String> {
    let text = (!label.is_ascii()).then(|| punycode::encode_str(label))??;
    Some(format!("{ENCODED}{text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str) -> Vec<String> {
        let mut names: Vec<_> =
            spellings(&DomainName::new(name).unwrap()).iter().map(|name| name.as_str().to_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_label_is_written_in_two_ways() {
        assert_eq!(of("im.plä.example"), ["im.xn--pl-wia.example"]);
        assert_eq!(of("im.xn--pl-wia.example"), ["im.plä.example"]);
        assert_eq!(of("пример.рф"), ["xn--e1afmkfd.xn--p1ai", "xn--e1afmkfd.рф", "пример.xn--p1ai"]);
        assert_eq!(of("xn--e1afmkfd.рф"), ["xn--e1afmkfd.xn--p1ai", "пример.xn--p1ai", "пример.рф"]);
    }

    #[test]
    fn what_encodes_nothing_has_one_spelling() {
        for name in
            ["a.example", "xn--a.example", "xn--.example", "xn--pl-.example", "xn--999999999.example", "axn--pl-wia"]
        {
            assert_eq!(of(name), [""; 0], "{name}");
        }
        // Nameprep writes ß as ss: no domain has this name.
        assert_eq!(of("xn--strae-oqa.example"), [""; 0]);
    }

    #[test]
    fn many_labels_are_written_alike() {
        let name = "ä.ä.ä.ä.ä.ä.ä.example";
        let encoded = name.replace('ä', "xn--4ca");
        assert_eq!(of(name), std::slice::from_ref(&encoded));
        assert_eq!(of(&encoded), [name]);
        assert_eq!(of("ä.ä.ä.ä.ä.ä.example").len(), 63);
    }
}
