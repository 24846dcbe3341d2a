//! What the files declare together: the domains that there should be, by host type.
//!
//! Names are compared by what they mean: those in Unicode and in Punycode, and in any case, are one domain. Each domain is
//! declared once. A host type is declared complete where every file that names it says so, for the shortest of their times.
//!
//! Everything that is wrong is collected, so that a person corrects it in one go.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::io::{self, Write};
use std::path::Path;
use std::rc::Rc;

use domain_core::spellings::ascii_spelling;

use crate::error::{Error, Result};
use crate::import::{Pair, Status};
use crate::output::{count, path_text, printable};

/// The most problems that are shown.
const MAX_SHOWN: usize = 20;

/// What the files declare.
#[derive(Debug, Default)]
pub struct Declaration {
    /// The host types that are named.
    pub host_types: BTreeMap<String, HostType>,
    /// The domains, by their spelling in ASCII.
    pub domains: HashMap<String, Domain>,
}

/// What is declared about a host type.
#[derive(Debug)]
pub struct HostType {
    /// Whether its domains are complete.
    pub completeness: Completeness,
    /// Where it is named first.
    pub place: Place,
}

/// Whether other domains are meant to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completeness {
    /// They may be.
    Partial,
    /// They are not, for so many seconds; 0 is for ever.
    Complete(u32),
}

/// A domain that there should be.
#[derive(Debug)]
pub struct Domain {
    /// Its name, as it would be stored.
    pub name: String,
    /// Its host type.
    pub host_type: String,
    /// Its status; without one, the domain is added enabled, or left as it is.
    pub status: Option<Status>,
    /// Where it is declared.
    pub place: Place,
}

/// A line of a file.
#[derive(Debug, Clone)]
pub struct Place {
    /// The file, for people.
    pub file: Rc<str>,
    /// The line.
    pub line: u64,
}

/// What is wrong with a declaration.
#[derive(Debug, Default)]
pub struct Problems(Vec<String>);

impl Declaration {
    /// Adds a host type that a file names.
    pub fn add_host_type(&mut self, name: &str, completeness: Completeness, place: &Place, problems: &mut Problems) {
        let Some(known) = self.host_types.get_mut(name) else {
            self.host_types.insert(name.to_owned(), HostType { completeness, place: place.clone() });
            return;
        };
        known.completeness = match (known.completeness, completeness) {
            (Completeness::Complete(one), Completeness::Complete(other)) => Completeness::Complete(shorter(one, other)),
            (Completeness::Partial, Completeness::Partial) => Completeness::Partial,
            (Completeness::Partial, _) | (_, Completeness::Partial) => {
                let other = known.place.file.clone();
                let text = format!("{name} is named in {other}, too, and only one of the files has complete_for");
                problems.add(place, &text);
                Completeness::Partial
            }
        };
    }

    /// Adds a domain.
    pub fn add_domain(&mut self, pair: Pair, place: Place, problems: &mut Problems) {
        let Pair { domain: name, host_type, status } = pair;
        match self.domains.entry(identity(&name)) {
            std::collections::hash_map::Entry::Vacant(free) => {
                free.insert(Domain { name, host_type, status, place });
            }
            std::collections::hash_map::Entry::Occupied(taken) => {
                let Domain { name: other, place: there, .. } = taken.get();
                let spelled = if *other == name { String::new() } else { format!(", as {other}") };
                problems
                    .add(&place, &format!("{name} is declared already{spelled}, at {there}: leave one of them out"));
            }
        }
    }

    /// Whether one of the host types is declared complete.
    pub fn has_complete_host_type(&self) -> bool {
        self.complete_host_types().next().is_some()
    }

    /// The host types that are declared complete, each with its seconds.
    pub fn complete_host_types(&self) -> impl Iterator<Item = (&str, u32)> {
        self.host_types.iter().filter_map(|(name, host_type)| match host_type.completeness {
            Completeness::Complete(seconds) => Some((name.as_str(), seconds)),
            Completeness::Partial => None,
        })
    }
}

/// What all spellings of a name have in common.
pub fn identity(name: &str) -> String {
    ascii_spelling(name).into_owned()
}

/// The shorter of two times, of which 0 is for ever.
fn shorter(one: u32, other: u32) -> u32 {
    match (one, other) {
        (0, time) | (time, 0) => time,
        (one, other) => one.min(other),
    }
}

impl Place {
    /// The beginning of a file; - is standard input.
    pub fn beginning(path: &Path) -> Place {
        let file = if path == Path::new("-") { "standard input".to_owned() } else { path_text(path) };
        Place { file: file.into(), line: 1 }
    }

    /// A line of the same file.
    pub fn at(&self, line: u64) -> Place {
        Place { file: self.file.clone(), line }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

impl Problems {
    /// Adds one.
    pub fn add(&mut self, place: &Place, text: &str) {
        self.0.push(format!("{place}: {text}"));
    }

    /// Shows them on standard error; an error if there are any.
    pub fn check(self) -> Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        let mut errors = io::stderr().lock();
        for problem in self.0.iter().take(MAX_SHOWN) {
            // It fails where standard error is closed: then the exit code is all that is left.
            let _ = writeln!(errors, "{}", printable(problem));
        }
        let all = count(self.0.len() as u64, "mistake", "mistakes");
        Err(Error::Failed(format!("the declaration has {all}; nothing was changed")))
    }

    #[cfg(test)]
    pub fn texts(&self) -> &[String] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(domain: &str) -> Pair {
        Pair { domain: domain.into(), host_type: "type1".into(), status: None }
    }

    #[test]
    fn a_domain_is_declared_once_in_whatever_spelling() {
        let (mut declaration, mut problems) = (Declaration::default(), Problems::default());
        let place = Place::beginning(Path::new("x.yaml"));
        declaration.add_domain(pair("plä.example"), place.at(3), &mut problems);
        declaration.add_domain(pair("plb.example"), place.at(4), &mut problems);
        assert!(problems.texts().is_empty());
        declaration.add_domain(pair("plb.example"), place.at(5), &mut problems);
        declaration.add_domain(pair("xn--pl-wia.example"), place.at(6), &mut problems);
        let wanted = [
            "x.yaml:5: plb.example is declared already, at x.yaml:4: leave one of them out",
            "x.yaml:6: xn--pl-wia.example is declared already, as plä.example, at x.yaml:3: leave one of them out",
        ];
        assert_eq!(problems.texts(), wanted);
        assert!(problems.check().is_err());
    }

    #[test]
    fn a_host_type_is_complete_where_all_files_say_so_for_the_shortest_of_their_times() {
        use Completeness::{Complete, Partial};
        let (mut declaration, mut problems) = (Declaration::default(), Problems::default());
        let place = |file: &str| Place::beginning(Path::new(file));
        for (file, completeness) in [("a", Complete(0)), ("b", Complete(60)), ("c", Complete(90))] {
            declaration.add_host_type("type1", completeness, &place(file), &mut problems);
        }
        for file in ["a", "b"] {
            declaration.add_host_type("type2", Partial, &place(file), &mut problems);
        }
        assert!(problems.texts().is_empty());
        assert_eq!(declaration.complete_host_types().collect::<Vec<_>>(), [("type1", 60)]);
        declaration.add_host_type("type1", Partial, &place("d"), &mut problems);
        assert_eq!(problems.texts(), ["d:1: type1 is named in a, too, and only one of the files has complete_for"]);
        assert!(!declaration.has_complete_host_type());
    }
}
