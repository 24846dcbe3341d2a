//! What a comparison with the database did to the table.

/// The domains that a comparison repaired, counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Repairs {
    /// Domains that the table lacked.
    pub added: u64,
    /// Domains that had another host type.
    pub changed: u64,
    /// Domains that the database does not have.
    pub removed: u64,
    /// Domains that the database does not have and that stay, because the gate keeps them.
    pub kept: u64,
}

impl Repairs {
    /// Whether there was nothing to repair.
    pub fn is_none(&self) -> bool {
        self.added + self.changed + self.removed == 0
    }
}
