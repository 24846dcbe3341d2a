//! A record of an imported file: its bytes, and the domain in it.

/// A line of CSV that marks the name of the next record as accepted unchanged. An export writes it before a name that
/// no request can carry.
pub const AS_IS: &str = "# as-is";

/// A record.
#[derive(Debug, PartialEq, Eq)]
pub struct Record {
    /// The number of its first line; the first line of the file is 1.
    pub number: u64,
    /// The number of its last line.
    pub last: u64,
    /// Its number among the records; the first record is 1.
    pub index: u64,
    /// Its bytes without the last line break; UTF-8 if the file is valid.
    pub raw: Vec<u8>,
    /// What it contains.
    pub content: Content,
}

/// What a record contains.
#[derive(Debug, PartialEq, Eq)]
pub enum Content {
    /// Nothing: it is empty or a comment.
    Nothing,
    /// A header or a declaration of the separator.
    Header,
    /// A domain to add.
    Pair(Pair),
    /// Nothing valid: why.
    Bad(String),
}

/// A domain to add.
#[derive(Debug, PartialEq, Eq)]
pub struct Pair {
    /// Its name, as it will be stored.
    pub domain: String,
    /// Its host type.
    pub host_type: String,
    /// Its status, if it has one.
    pub status: Option<Status>,
}

/// A status that a domain can be added with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It is served.
    Enabled,
    /// It is not served.
    Disabled,
}
