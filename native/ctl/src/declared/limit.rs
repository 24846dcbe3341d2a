//! How many domains of a host type a run may remove.
//!
//! A declaration that lost most of its lines, or that a program wrote wrongly, looks like one that removes many domains. So
//! without `--max-removals` a run removes at most a tenth of the domains of each host type, and at most ten: whichever is
//! less. The limit is one for each host type, since a small one can be lost in a mistake that is small for all.

use std::str::FromStr;

/// The most domains of a host type that may be removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RemovalLimit {
    /// Ten, and no more than a tenth.
    #[default]
    Cautious,
    /// So many.
    Count(u64),
    /// So many of a hundred, rounded up.
    Percent(u64),
}

impl RemovalLimit {
    /// The most removals from a host type with so many domains.
    pub fn of(self, domains: u64) -> u64 {
        match self {
            RemovalLimit::Cautious => 10.min(domains.div_ceil(10)),
            RemovalLimit::Count(count) => count,
            RemovalLimit::Percent(percent) => domains.saturating_mul(percent).div_ceil(100),
        }
    }
}

impl FromStr for RemovalLimit {
    type Err = String;

    fn from_str(text: &str) -> Result<RemovalLimit, String> {
        let limit = match text.strip_suffix('%') {
            Some(number) => number.parse().ok().filter(|percent| *percent <= 100).map(RemovalLimit::Percent),
            None => text.parse().ok().map(RemovalLimit::Count),
        };
        limit.ok_or_else(|| "a limit is a number of domains, such as 50, or a percentage, such as 5%".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_limit_it_is_ten_and_no_more_than_a_tenth() {
        for (domains, most) in [(0, 0), (1, 1), (10, 1), (11, 2), (95, 10), (100, 10), (1_000_000, 10)] {
            assert_eq!(RemovalLimit::default().of(domains), most, "{domains}");
        }
    }

    #[test]
    fn a_limit_is_a_number_or_a_percentage() {
        assert_eq!("50".parse(), Ok(RemovalLimit::Count(50)));
        assert_eq!("5%".parse(), Ok(RemovalLimit::Percent(5)));
        assert_eq!(RemovalLimit::Count(50).of(3), 50);
        assert_eq!((RemovalLimit::Percent(5).of(100), RemovalLimit::Percent(5).of(101)), (5, 6));
        for text in ["", "%", "-1", "101%", "1.5%", "ten"] {
            assert!(text.parse::<RemovalLimit>().is_err(), "{text}");
        }
    }
}
