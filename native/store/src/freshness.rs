//! Freshness: for how long the rows of a host type may be taken for all that there are.
//!
//! Whoever fills the database declares that what it holds for a host type is complete. While the
//! declaration is fresh, a domain that has no row is one that is to go; afterwards it may as well be one
//! whose row is missing. A declaration is a row of `domain_freshness`: a freshness domain, named after
//! the host type, and the time at which it expires. One that follows replaces it, for longer or shorter.
//!
//! The rule is Diego's: fresh is what expires after the present time, which is rounded to the whole
//! second. Both times are the database's, so that nodes whose clocks differ agree.

use std::num::NonZeroU32;

/// The expiry of what does not expire, in the database.
pub(crate) const NEVER: i64 = i64::MAX;

const SECOND: i64 = 1_000_000_000;

/// How long a declaration is fresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ttl {
    /// For so many seconds.
    Seconds(NonZeroU32),
    /// Until another one replaces it.
    Forever,
}

impl Ttl {
    /// In nanoseconds, if it ends.
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
    /// When it expires, in nanoseconds since 1970, as it is stored.
    pub expire_time: i64,
    /// What that meant when it was read.
    pub expiry: Expiry,
}

/// How far away the end of a declaration is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// It is fresh for ever.
    Never,
    /// It is fresh for so many seconds more, a part of one counted as one.
    In(u64),
    /// It is not fresh.
    Past,
}

impl FreshnessDeclaration {
    /// What a row means at `now`, in nanoseconds since 1970.
    pub(crate) fn judge(domain: String, expire_time: i64, now: i64) -> FreshnessDeclaration {
        FreshnessDeclaration { domain, expire_time, expiry: Expiry::judge(expire_time, now) }
    }
}

impl Expiry {
    /// What a stored time means at `now`, both in nanoseconds since 1970.
    pub(crate) fn judge(expire_time: i64, now: i64) -> Expiry {
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

    /// What an expiry means so many nanoseconds later than 10 s.
    fn at(expire_time: i64, later: i64) -> Expiry {
        Expiry::judge(expire_time, 10 * SECOND + later)
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
        assert_eq!(Expiry::judge(1, i64::MAX), Expiry::Past);
    }

    #[test]
    fn the_longest_ttl_does_not_overflow() {
        let longest = Ttl::Seconds(NonZeroU32::MAX).nanoseconds().unwrap();
        // From the year 2100.
        assert!(longest.checked_add(4_102_444_800 * SECOND).is_some());
        assert_eq!(Ttl::Forever.nanoseconds(), None);
    }
}
