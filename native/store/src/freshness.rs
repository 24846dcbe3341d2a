//! Freshness: until when the rows of a host type are known to be complete.
//!
//! The program that fills the database declares that its rows of a host type are complete. While the declaration is fresh,
//! a domain without a row is removed from the table. Afterwards, its row may just be missing. A declaration is a row of
//! `domain_freshness`: a freshness domain, named after the host type, and its expiry. A new declaration replaces the
//! old one, and may expire earlier.
//!
//! The rule is that of Diego, Cloud Foundry's scheduler: a declaration is fresh if it expires after the present time, which
//! is rounded to a whole second. Both times are the database's, so nodes with different clocks agree.

use std::num::NonZeroU32;

/// The stored expiry of a declaration that does not expire.
pub(crate) const NEVER: i64 = i64::MAX;

const SECOND: i64 = 1_000_000_000;

/// For how long a declaration is fresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ttl {
    /// For this number of seconds.
    Seconds(NonZeroU32),
    /// Until another declaration replaces it.
    Forever,
}

impl Ttl {
    /// In nanoseconds; none if it does not end.
    pub(crate) fn nanoseconds(self) -> Option<i64> {
        match self {
            Ttl::Seconds(seconds) => Some(i64::from(seconds.get()) * SECOND),
            Ttl::Forever => None,
        }
    }
}

/// A declaration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FreshnessDeclaration {
    /// The freshness domain.
    pub domain: String,
    /// The stored expiry, in nanoseconds since 1970.
    pub expire_time: i64,
    /// The expiry relative to the time of the read.
    pub expiry: Expiry,
}

/// The expiry of a declaration, relative to the present.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// It does not expire.
    Never,
    /// It expires in this number of seconds, rounded up.
    In(u64),
    /// It has expired.
    Past,
}

impl FreshnessDeclaration {
    /// A row as of `now`, in nanoseconds since 1970.
    pub(crate) fn at(domain: String, expire_time: i64, now: i64) -> FreshnessDeclaration {
        FreshnessDeclaration { domain, expire_time, expiry: Expiry::at(expire_time, now) }
    }
}

impl Expiry {
    /// A stored expiry relative to `now`, both in nanoseconds since 1970.
    pub(crate) fn at(expire_time: i64, now: i64) -> Expiry {
        let rounded = now.saturating_add(SECOND / 2).div_euclid(SECOND) * SECOND;
        match expire_time.saturating_sub(rounded) {
            _ if expire_time == NEVER => Expiry::Never,
            left @ 1.. => Expiry::In(left.unsigned_abs().div_ceil(SECOND.unsigned_abs())),
            _ => Expiry::Past,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An expiry relative to 10 s and this number of nanoseconds.
    fn at(expire_time: i64, later: i64) -> Expiry {
        Expiry::at(expire_time, 10 * SECOND + later)
    }

    #[test]
    fn now_is_rounded_to_the_second() {
        assert_eq!(at(10 * SECOND, 0), Expiry::Past);
        assert_eq!(at(10 * SECOND + 1, 0), Expiry::In(1));
        // Half a second rounds up, as Go has it.
        assert_eq!(at(10 * SECOND + 1, SECOND / 2 - 1), Expiry::In(1));
        assert_eq!(at(10 * SECOND + 1, SECOND / 2), Expiry::Past);
        assert_eq!(at(11 * SECOND, SECOND / 2), Expiry::Past);
        assert_eq!(at(11 * SECOND + 1, SECOND - 1), Expiry::In(1));
    }

    #[test]
    fn a_part_of_a_second_counts_as_one() {
        assert_eq!(at(12 * SECOND, 0), Expiry::In(2));
        assert_eq!(at(12 * SECOND + 1, 0), Expiry::In(3));
    }

    #[test]
    fn whatever_number_is_stored_means_something() {
        assert_eq!(at(NEVER, 0), Expiry::Never);
        assert_eq!(at(NEVER - 1, 0), Expiry::In(NEVER.unsigned_abs() / SECOND.unsigned_abs() - 9));
        assert_eq!(at(0, 0), Expiry::Past);
        assert_eq!(at(i64::MIN, 0), Expiry::Past);
        assert_eq!(Expiry::at(1, i64::MAX), Expiry::Past);
    }

    #[test]
    fn the_longest_ttl_does_not_overflow() {
        let longest = Ttl::Seconds(NonZeroU32::MAX).nanoseconds().unwrap();
        // From the year 2100.
        assert!(longest.checked_add(4_102_444_800 * SECOND).is_some());
        assert_eq!(Ttl::Forever.nanoseconds(), None);
    }
}
