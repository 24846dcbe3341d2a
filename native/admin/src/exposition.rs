//! The text format in which Prometheus reads metrics (version 0.0.4), written so that it cannot be wrong.
//!
//! A *family* is a name with its help and its kind, then its samples; whoever opens one gets no other until it
//! is done, so the lines of a family are never apart. Texts are escaped here, and nowhere else.
//!
//! ```text
//! # HELP mongoose_domain_lookups_total Lookups by what they found.
//! # TYPE mongoose_domain_lookups_total counter
//! mongoose_domain_lookups_total{result="hit"} 42
//! ```
//!
//! It does not check that a name is a name, or that no two samples have the same labels: names are written in
//! this program, and tests read what it answers.

use std::fmt::{self, Write};

/// What the format calls itself.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What begins the name of every family.
const PREFIX: &str = "mongoose_domain_";

/// What a family's numbers mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// They only grow.
    Counter,
    /// They come and go.
    Gauge,
    /// How many were up to so much.
    Histogram,
}

/// A number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// A whole one.
    Whole(i64),
    /// Any other.
    Real(f64),
}

impl From<u64> for Number {
    fn from(number: u64) -> Number {
        i64::try_from(number).map_or(Number::Real(number as f64), Number::Whole)
    }
}

impl From<i64> for Number {
    fn from(number: i64) -> Number {
        Number::Whole(number)
    }
}

impl From<f64> for Number {
    fn from(number: f64) -> Number {
        Number::Real(number)
    }
}

impl From<bool> for Number {
    fn from(is_so: bool) -> Number {
        Number::Whole(is_so.into())
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Number::Whole(number) => number.fmt(f),
            Number::Real(number) if number.is_nan() => f.write_str("NaN"),
            Number::Real(number) if number.is_infinite() => f.write_str(if *number > 0.0 { "+Inf" } else { "-Inf" }),
            Number::Real(number) => number.fmt(f),
        }
    }
}

/// Names and values that tell samples of a family apart.
pub type Labels<'a> = &'a [(&'a str, &'a str)];

/// A text that grows by families.
#[derive(Debug, Default)]
pub struct Exposition {
    text: String,
}

/// A family whose samples are being written.
pub struct Family<'a> {
    text: &'a mut String,
    name: &'a str,
}

impl Exposition {
    /// Begins a family; `name` is what follows the prefix that all have.
    pub fn family<'a>(&'a mut self, name: &'a str, kind: Kind, help: &str) -> Family<'a> {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        self.text += &format!("# HELP {PREFIX}{name} {}\n", escaped(help, &[]));
        self.text += &format!("# TYPE {PREFIX}{name} {kind}\n");
        Family { text: &mut self.text, name }
    }

    /// All of it.
    pub fn into_text(self) -> String {
        self.text
    }
}

impl Family<'_> {
    /// Adds a sample.
    pub fn sample(&mut self, labels: Labels<'_>, number: impl Into<Number>) -> &mut Self {
        self.line("", labels, None, number.into());
        self
    }

    /// Adds a histogram: how many were up to each bound (in order, each with those below it), how many in all,
    /// and what they add up to.
    pub fn histogram(
        &mut self,
        labels: Labels<'_>,
        buckets: impl IntoIterator<Item = (f64, u64)>,
        count: u64,
        sum: f64,
    ) {
        let all = (f64::INFINITY, count);
        for (bound, count) in buckets.into_iter().chain([all]) {
            self.line("_bucket", labels, Some(&Number::Real(bound).to_string()), count.into());
        }
        self.line("_sum", labels, None, Number::Real(sum));
        self.line("_count", labels, None, count.into());
    }

    fn line(&mut self, suffix: &str, labels: Labels<'_>, bound: Option<&str>, number: Number) {
        let pairs = labels.iter().copied().chain(bound.map(|bound| ("le", bound)));
        let pairs: Vec<_> = pairs.map(|(name, value)| format!("{name}=\"{}\"", escaped(value, &['"']))).collect();
        let labels = if pairs.is_empty() { String::new() } else { format!("{{{}}}", pairs.join(",")) };
        // Writing to a text does not fail.
        let _ = writeln!(self.text, "{PREFIX}{}{suffix}{labels} {number}", self.name);
    }
}

fn escaped(text: &str, more: &[char]) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' => escaped.push_str("\\n"),
            '\\' => escaped.push_str("\\\\"),
            other => {
                escaped.extend(more.contains(&other).then_some('\\'));
                escaped.push(other);
            }
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_its_help_its_kind_and_its_samples() {
        let mut exposition = Exposition::default();
        exposition
            .family("a_total", Kind::Counter, "What.")
            .sample(&[("b", "c"), ("d", "e")], 7_i64)
            .sample(&[], u64::MAX);
        exposition.family("f_seconds", Kind::Gauge, "How long.").sample(&[], f64::INFINITY).sample(&[("g", "")], 0.25);
        let expected = "# HELP mongoose_domain_a_total What.\n\
                        # TYPE mongoose_domain_a_total counter\n\
                        mongoose_domain_a_total{b=\"c\",d=\"e\"} 7\n\
                        mongoose_domain_a_total 18446744073709552000\n\
                        # HELP mongoose_domain_f_seconds How long.\n\
                        # TYPE mongoose_domain_f_seconds gauge\n\
                        mongoose_domain_f_seconds +Inf\n\
                        mongoose_domain_f_seconds{g=\"\"} 0.25\n";
        assert_eq!(exposition.into_text(), expected);
    }

    #[test]
    fn what_has_a_meaning_in_the_format_is_escaped() {
        let mut exposition = Exposition::default();
        exposition.family("a", Kind::Gauge, "One \"line\"\\\n").sample(&[("b", "\"c\\d\n{e}=\u{e9}")], 1_i64);
        let expected = "# HELP mongoose_domain_a One \"line\"\\\\\\n\n\
                        # TYPE mongoose_domain_a gauge\n\
                        mongoose_domain_a{b=\"\\\"c\\\\d\\n{e}=\u{e9}\"} 1\n";
        assert_eq!(exposition.into_text(), expected);
    }

    #[test]
    fn a_histogram_ends_with_all_that_there_are() {
        let mut exposition = Exposition::default();
        exposition.family("a", Kind::Histogram, "A.").histogram(&[("b", "c")], [(0.5, 1), (1.0, 2)], 3, 7.25);
        let expected = "# HELP mongoose_domain_a A.\n\
                        # TYPE mongoose_domain_a histogram\n\
                        mongoose_domain_a_bucket{b=\"c\",le=\"0.5\"} 1\n\
                        mongoose_domain_a_bucket{b=\"c\",le=\"1\"} 2\n\
                        mongoose_domain_a_bucket{b=\"c\",le=\"+Inf\"} 3\n\
                        mongoose_domain_a_sum{b=\"c\"} 7.25\n\
                        mongoose_domain_a_count{b=\"c\"} 3\n";
        assert_eq!(exposition.into_text(), expected);
    }
}
