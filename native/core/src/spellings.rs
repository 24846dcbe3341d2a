//! The spellings of a name: a label beyond ASCII is written in Unicode or, for DNS, as `xn--` and Punycode (RFC 5890).
//!
//! To the table and to nameprep these are different names. To a person who uses `im.plä.example` they are the same: a
//! client sends one or the other. So two domains that are spellings of one name are two tenants, each of which gets
//! some of the requests; [`spellings`] finds the second one.

use std::borrow::Cow;

use idna::punycode;

use crate::DomainName;

/// The start of a label in Punycode.
const PREFIX: &str = "xn--";

/// The number of labels beyond ASCII for which all combinations are spelled. A name with more of them has two
/// spellings: all labels in Unicode, and all in Punycode.
const MAX_MIXED_LABELS: usize = 6;

/// The other spellings of a name. Only those that are valid names, as all domains are.
pub fn spellings(name: &DomainName) -> Vec<DomainName> {
    let labels: Vec<(&str, Option<String>)> =
        name.as_str().split('.').map(|label| (label, other_spelling(label))).collect();
    let with_two = labels.iter().filter(|(_, other)| other.is_some()).count();
    let spelled: Vec<Vec<String>> = match with_two {
        0 => Vec::new(),
        few if few <= MAX_MIXED_LABELS => (1..1_usize << few).map(|choice| combination(&labels, choice)).collect(),
        _ => [from_punycode as fn(&str) -> Option<String>, to_punycode]
            .iter()
            .map(|spelling| spell_all(&labels, spelling))
            .collect(),
    };
    let names = spelled.into_iter().filter_map(|labels| DomainName::new(&labels.join(".")).ok());
    names.filter(|spelled| spelled != name).collect()
}

/// The name with its labels in ASCII, as DNS and TLS use it. All spellings of a name have the same one.
pub fn ascii_spelling(name: &str) -> Cow<'_, str> {
    if name.is_ascii() {
        return Cow::Borrowed(name);
    }
    let labels = name.split('.').map(|label| to_punycode(label).map_or(Cow::Borrowed(label), Cow::Owned));
    Cow::Owned(labels.collect::<Vec<_>>().join("."))
}

/// The labels. Bit `n` of `choice` chooses the other spelling for the `n`th label that has one.
fn combination(labels: &[(&str, Option<String>)], mut choice: usize) -> Vec<String> {
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

/// The labels, with this spelling where it exists.
fn spell_all(labels: &[(&str, Option<String>)], spelling: impl Fn(&str) -> Option<String>) -> Vec<String> {
    labels.iter().map(|(label, _)| spelling(label).unwrap_or_else(|| (*label).to_owned())).collect()
}

fn other_spelling(label: &str) -> Option<String> {
    from_punycode(label).or_else(|| to_punycode(label))
}

/// The label in Unicode, if it is the Punycode of one.
fn from_punycode(label: &str) -> Option<String> {
    let text = punycode::decode_to_string(label.strip_prefix(PREFIX)?)?;
    // A text in ASCII has no Punycode, and one with a dot is not a label.
    let is_label = !text.is_ascii() && !text.contains('.');
    (is_label && to_punycode(&text).as_deref() == Some(label)).then_some(text)
}

/// The spelling of a label that DNS and TLS use, if the label is beyond ASCII and Punycode can encode it.
pub fn to_punycode(label: &str) -> Option<String> {
    let text = (!label.is_ascii()).then(|| punycode::encode_str(label))??;
    Some(format!("{PREFIX}{text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted_spellings(name: &str) -> Vec<String> {
        let mut names: Vec<_> =
            spellings(&DomainName::new(name).unwrap()).iter().map(|name| name.as_str().to_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn each_label_beyond_ascii_has_two_spellings() {
        assert_eq!(sorted_spellings("im.plä.example"), ["im.xn--pl-wia.example"]);
        assert_eq!(sorted_spellings("im.xn--pl-wia.example"), ["im.plä.example"]);
        let spelled = ["xn--e1afmkfd.xn--p1ai", "xn--e1afmkfd.рф", "пример.xn--p1ai"];
        assert_eq!(sorted_spellings("пример.рф"), spelled);
        let spelled = ["xn--e1afmkfd.xn--p1ai", "пример.xn--p1ai", "пример.рф"];
        assert_eq!(sorted_spellings("xn--e1afmkfd.рф"), spelled);
    }

    #[test]
    fn all_spellings_of_a_name_are_one_in_ascii() {
        for (name, ascii) in [
            ("a.example", "a.example"),
            ("im.plä.example", "im.xn--pl-wia.example"),
            ("пример.xn--p1ai", "xn--e1afmkfd.xn--p1ai"),
        ] {
            assert_eq!(ascii_spelling(name), ascii);
            for spelling in sorted_spellings(name) {
                assert_eq!(ascii_spelling(&spelling), ascii);
            }
        }
        assert_ne!(ascii_spelling("plä.example"), ascii_spelling("pla.example"));
    }

    #[test]
    fn a_label_that_is_no_punycode_has_one_spelling() {
        for name in
            ["a.example", "xn--a.example", "xn--.example", "xn--pl-.example", "xn--999999999.example", "axn--pl-wia"]
        {
            assert_eq!(sorted_spellings(name), [""; 0], "{name}");
        }
        // Nameprep writes ß as ss: no domain has this name.
        assert_eq!(sorted_spellings("xn--strae-oqa.example"), [""; 0]);
    }

    #[test]
    fn many_labels_have_the_same_spelling_each() {
        let name = "ä.ä.ä.ä.ä.ä.ä.example";
        let encoded = name.replace('ä', "xn--4ca");
        assert_eq!(sorted_spellings(name), std::slice::from_ref(&encoded));
        assert_eq!(sorted_spellings(&encoded), [name]);
        assert_eq!(sorted_spellings("ä.ä.ä.ä.ä.ä.example").len(), 63);
    }
}
