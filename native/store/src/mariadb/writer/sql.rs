//! Parts of statements.
//!
//! Statements are texts with their values in them, since only texts may be sent several at once. A text that has more than
//! letters, digits and a few other characters is written as a hexadecimal literal. So no value needs escapes, which depend
//! on settings of the session.

use std::fmt::Write;

/// The database's clock, in milliseconds since 1970. The session's time zone is UTC.
pub(super) const NOW_MS: &str = "CAST(UNIX_TIMESTAMP(SYSDATE(6)) * 1000 AS SIGNED)";

/// The database's clock, in nanoseconds since 1970 with a precision of microseconds.
pub(super) const NOW_NS: &str = "CAST(UNIX_TIMESTAMP(SYSDATE(6)) * 1000000 AS SIGNED) * 1000";

/// A text.
pub(super) fn literal(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b" !#$%()*+,-./:;<=>?@[]_|".contains(&byte);
    if text.bytes().all(is_plain) {
        return format!("_utf8mb4'{text}'");
    }
    let mut literal = String::with_capacity(text.len() * 2 + 12);
    literal.push_str("_utf8mb4 X'");
    // Writing to a String cannot fail.
    text.bytes().for_each(|byte| _ = write!(literal, "{byte:02x}"));
    literal.push('\'');
    literal
}

/// Texts, with commas between them.
pub(super) fn literals<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    texts.into_iter().map(literal).collect::<Vec<_>>().join(", ")
}

/// Numbers, with commas between them.
pub(super) fn numbers<'a>(numbers: impl IntoIterator<Item = &'a u64>) -> String {
    numbers.into_iter().map(u64::to_string).collect::<Vec<_>>().join(", ")
}

/// Whether a column has one of these texts, whatever they are.
pub(super) fn is_any<'a>(column: &str, texts: impl IntoIterator<Item = &'a str>) -> String {
    let texts = literals(texts);
    if texts.is_empty() { "FALSE".to_owned() } else { format!("{column} IN ({texts})") }
}

/// The text of a column, which compares and sorts by its bytes in UTF-8, whatever the collation of the column is.
pub(super) fn bytes(column: &str) -> String {
    format!("CONVERT({column} USING utf8mb4) COLLATE utf8mb4_nopad_bin")
}

/// The text of a column, cut where it is too long to be valid: the server does not send the rest. What it sends is still
/// longer than 1000 bytes, and [`readable`](crate::readable) reports it as too long.
pub(super) fn bounded(column: &str) -> String {
    let text = bytes(column);
    format!("IF(OCTET_LENGTH({text}) > 1000, LEFT({text}, 1001), {text})")
}

/// The beginning of a text as a pattern of LIKE, with `|` as its escape.
pub(super) fn prefix_pattern(prefix: &str) -> String {
    let mut pattern = String::with_capacity(prefix.len() + 1);
    for character in prefix.chars() {
        if ['%', '_', '|'].contains(&character) {
            pattern.push('|');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_needs_no_escapes() {
        assert_eq!(literal(""), "_utf8mb4''");
        assert_eq!(literal("a-b_c.example"), "_utf8mb4'a-b_c.example'");
        assert_eq!(literal("a'\\é"), "_utf8mb4 X'61275cc3a9'");
        assert_eq!(is_any("a", []), "FALSE");
        assert_eq!(is_any("a", ["b", "c"]), "a IN (_utf8mb4'b', _utf8mb4'c')");
    }

    #[test]
    fn a_prefix_is_taken_literally() {
        assert_eq!(prefix_pattern("a_b%|c"), "a|_b|%||c%");
    }
}
