//! The changes that make what there is what is declared.
//!
//! | | there is none | of this host type | of another host type | in removal |
//! |---|---|---|---|---|
//! | declared | add | enable or disable, where the status is another one | move, with `--prune`; else refused | refused |
//! | not declared, of a complete host type | | remove, with `--prune` | | wait for its end, with `--prune` |
//!
//! A domain keeps its host type for life, so a move is a removal and an addition. It needs `--prune` and that the other host
//! type is declared complete, too, as each removal does.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::{Deserialize, Serialize};

use super::current::{Current, Row};
use super::declaration::{Completeness, Declaration, Domain, Problems};
use super::limit::RemovalLimit;
use crate::cli;
use crate::error::{Error, Result};
use crate::import::Status;
use crate::output::{self, Format, Table, count, printable};

/// Whether domains that a complete declaration lacks are removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prune {
    /// They are.
    Remove,
    /// They are left.
    Leave,
}

impl From<bool> for Prune {
    /// What the flag `--prune` says.
    fn from(prune: bool) -> Prune {
        if prune { Prune::Remove } else { Prune::Leave }
    }
}

/// A change of a domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// It is added.
    Add,
    /// It is enabled.
    Enable,
    /// It is disabled.
    Disable,
    /// It is removed, and added with another host type.
    Move,
    /// It is removed, with its data.
    Remove,
}

/// A step of a plan: a line of its output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// The change.
    pub change: Change,
    /// The domain.
    pub domain: String,
    /// Its host type; afterwards, where it is moved.
    pub host_type: String,
    /// The host type before, where it is moved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The status that it gets, where one is declared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
}

/// The changes that are due.
#[derive(Debug, Default)]
pub struct Plan {
    /// The changes, in the order of the names.
    pub steps: Vec<Step>,
    /// The domains that are as they are declared.
    same: u64,
    /// The domains of declared host types that are not declared, and stay.
    left: u64,
    /// How many domains there are of each host type, and how many of these are removed.
    removals: BTreeMap<String, (u64, u64)>,
}

impl Plan {
    /// Compares.
    pub fn new(declaration: &Declaration, current: &Current, prune: Prune, problems: &mut Problems) -> Plan {
        let mut plan = Plan::default();
        for row in current.rows.values().flatten().filter(|row| row.status != Some(cli::Status::Deleting)) {
            plan.removals.entry(row.host_type.clone()).or_default().0 += 1;
        }
        let may_remove = |host_type: &str| {
            let complete = declaration.host_types.get(host_type).map(|it| it.completeness);
            prune == Prune::Remove && matches!(complete, Some(Completeness::Complete(_)))
        };
        let mut declared: Vec<_> = declaration.domains.iter().collect();
        declared.sort_by_key(|(_, domain)| (&domain.place.file, domain.place.line));
        for (key, domain) in declared {
            let rows = current.rows.get(key).map_or(&[][..], Vec::as_slice);
            if current.statics.contains(key) {
                let text = format!("{} is a static domain, of the node's configuration: leave it out", domain.name);
                problems.add(&domain.place, &text);
            } else if let Err(why) = plan.compare(domain, rows, may_remove) {
                problems.add(&domain.place, &format!("{} {why}", domain.name));
            }
        }
        let undeclared = current.rows.iter().filter(|(key, _)| !declaration.domains.contains_key(*key));
        for row in undeclared.flat_map(|(_, rows)| rows) {
            if may_remove(&row.host_type) {
                plan.remove(row, Change::Remove, row.host_type.clone(), None);
            } else {
                plan.left += 1;
            }
        }
        plan.steps.sort_by(|one, other| one.domain.cmp(&other.domain));
        plan
    }

    /// Compares a declared domain with its row; fails with what is wrong.
    fn compare(
        &mut self,
        Domain { name, host_type, status, .. }: &Domain,
        rows: &[Row],
        may_remove: impl Fn(&str) -> bool,
    ) -> std::result::Result<(), String> {
        let row = match rows {
            [] => {
                let (change, domain, host_type) = (Change::Add, name.clone(), host_type.clone());
                self.steps.push(Step { change, domain, host_type, from: None, status: *status });
                return Ok(());
            }
            [row] => row,
            [one, other, ..] => {
                return Err(format!(
                    "is in the database in two spellings, {} and {}: remove one of them",
                    one.domain, other.domain
                ));
            }
        };
        let change = match (row.status, status) {
            _ if row.host_type != *host_type => {
                if !may_remove(&row.host_type) {
                    return Err(format!(
                        "has the host type {0} in the database. A move removes its data: it needs --prune, and a \
                         declaration of {0} with complete_for",
                        row.host_type
                    ));
                }
                self.remove(row, Change::Move, host_type.clone(), *status);
                return Ok(());
            }
            (Some(cli::Status::Deleting), _) => {
                return Err("is being removed, and its data go: run this again when it is gone (domainctl show)".into());
            }
            (Some(cli::Status::Disabled), Some(Status::Enabled)) => Change::Enable,
            (Some(cli::Status::Enabled), Some(Status::Disabled)) => Change::Disable,
            (Some(_), _) | (None, None) => {
                self.same += 1;
                return Ok(());
            }
            (None, Some(_)) => return Err("has a status that this version of domainctl does not know".into()),
        };
        let (domain, host_type) = (row.domain.clone(), host_type.clone());
        self.steps.push(Step { change, domain, host_type, from: None, status: *status });
        Ok(())
    }

    /// Adds a step that removes a row.
    fn remove(&mut self, row: &Row, change: Change, host_type: String, status: Option<Status>) {
        // One that is in removal already is waited for, and no decision of this run.
        if row.status != Some(cli::Status::Deleting) {
            self.removals.entry(row.host_type.clone()).or_default().1 += 1;
        }
        let from = (change == Change::Move).then(|| row.host_type.clone());
        self.steps.push(Step { change, domain: row.domain.clone(), host_type, from, status });
    }

    /// Checks that no host type loses too many domains.
    pub fn check_removals(&self, limit: RemovalLimit) -> Result<()> {
        for (host_type, (domains, removed)) in &self.removals {
            let most = limit.of(*domains);
            if *removed > most {
                return Err(Error::Failed(format!(
                    "this would remove {removed} of the {} of {host_type}, and at most {most} may be: nothing was changed. \
                     Where it is meant, give --max-removals {removed}",
                    count(*domains, "domain", "domains")
                )));
            }
        }
        Ok(())
    }

    /// Shows the steps.
    pub fn show(&self, format: Format, output: &mut impl Write) -> io::Result<()> {
        match format {
            Format::Json => return output::json(output, &self.steps),
            Format::Ndjson => return self.steps.iter().try_for_each(|step| output::json_line(output, step)),
            Format::Table => {}
        }
        if !self.steps.is_empty() {
            let mut table = Table::new(&["change", "domain", "host type", "status"]);
            self.steps.iter().for_each(|step| table.row(step.cells()));
            table.write(output)?;
        }
        let kinds = [Change::Add, Change::Enable, Change::Disable, Change::Move, Change::Remove];
        let counts = kinds.map(|kind| (self.steps.iter().filter(|step| step.change == kind).count(), kind.name()));
        let due: Vec<_> =
            counts.iter().filter(|(count, _)| *count > 0).map(|(count, name)| format!("{count} to {name}")).collect();
        let due = if due.is_empty() { "nothing to change".to_owned() } else { due.join(", ") };
        let left = if self.left > 0 { format!(", {} not declared and left", self.left) } else { String::new() };
        writeln!(output, "{due}; {} as declared{left}", self.same)
    }
}

impl Change {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Change::Add => "add",
            Change::Enable => "enable",
            Change::Disable => "disable",
            Change::Move => "move",
            Change::Remove => "remove",
        }
    }
}

impl Step {
    /// The domain and the host type that this removes.
    pub fn removed(&self) -> Option<(&str, &str)> {
        match self.change {
            Change::Remove => Some((&self.domain, &self.host_type)),
            Change::Move => self.from.as_deref().map(|from| (self.domain.as_str(), from)),
            Change::Add | Change::Enable | Change::Disable => None,
        }
    }

    fn cells(&self) -> [String; 4] {
        let host_type = match &self.from {
            Some(from) => format!("{} -> {}", printable(from), printable(&self.host_type)),
            None => self.host_type.clone(),
        };
        let status = match (self.change, self.status) {
            (Change::Remove, _) => "-",
            (_, Some(Status::Disabled)) => "disabled",
            (_, Some(Status::Enabled) | None) => "enabled",
        };
        [self.change.name().to_owned(), self.domain.clone(), host_type, status.to_owned()]
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::declaration::Place;
    use super::*;
    use crate::import::Pair;

    const COMPLETE: Completeness = Completeness::Complete(60);

    /// Domains as `(domain, host type, status)`, line by line; of the host types in `complete` these are all.
    fn declared(domains: &[(&str, &str, Option<Status>)], complete: &[&str]) -> Declaration {
        let (mut declaration, mut problems) = (Declaration::default(), Problems::default());
        let place = Place::beginning(Path::new("x"));
        for (line, (domain, host_type, status)) in (1..).zip(domains) {
            let pair = Pair { domain: (*domain).into(), host_type: (*host_type).into(), status: *status };
            declaration.add_domain(pair, place.at(line), &mut problems);
        }
        let partial: std::collections::BTreeSet<&str> = domains.iter().map(|it| it.1).collect();
        for host_type in partial.iter().filter(|it| !complete.contains(it)) {
            declaration.add_host_type(host_type, Completeness::Partial, &place, &mut problems);
        }
        for host_type in complete {
            declaration.add_host_type(host_type, COMPLETE, &place, &mut problems);
        }
        assert_eq!(problems.texts(), [""; 0]);
        declaration
    }

    /// The steps as words, and the problems.
    fn planned(
        declaration: &Declaration,
        rows: &[(&str, &str, &str)],
        prune: Prune,
    ) -> (Plan, Vec<String>, Vec<String>) {
        let mut problems = Problems::default();
        let plan = Plan::new(declaration, &Current::of(rows, declaration), prune, &mut problems);
        let steps = plan.steps.iter().map(|step| step.cells().join(" ")).collect();
        (plan, steps, problems.texts().to_vec())
    }

    #[test]
    fn what_is_missing_or_has_another_status_is_changed() {
        let (on, off) = (Some(Status::Enabled), Some(Status::Disabled));
        let declaration = declared(
            &[("a", "t", None), ("b", "t", off), ("c", "t", on), ("d", "t", off), ("e", "t", None), ("f", "t", on)],
            &[],
        );
        let rows = [
            ("c", "t", "disabled"),
            ("d", "t", "enabled"),
            ("e", "t", "disabled"),
            ("f", "t", "enabled"),
            ("g", "t", "enabled"),
            ("h", "u", "enabled"),
        ];
        let (plan, steps, problems) = planned(&declaration, &rows, Prune::Leave);
        assert_eq!(steps, ["add a t enabled", "add b t disabled", "enable c t enabled", "disable d t disabled"]);
        assert_eq!((plan.same, plan.left, problems.len()), (2, 1, 0));
        assert!(plan.check_removals(RemovalLimit::Count(0)).is_ok());
    }

    #[test]
    fn only_what_a_complete_host_type_lacks_is_removed_and_only_with_prune() {
        let declaration = declared(&[("a", "t", None), ("b", "u", None)], &["t"]);
        let rows = [
            ("a", "t", "enabled"),
            ("b", "u", "enabled"),
            ("x", "t", "disabled"),
            ("y", "u", "enabled"),
            ("z", "v", "enabled"),
        ];
        let (plan, steps, _) = planned(&declaration, &rows, Prune::Remove);
        assert_eq!((steps, plan.left), (vec!["remove x t -".to_owned()], 1));
        assert!(plan.check_removals(RemovalLimit::Cautious).is_ok());
        assert!(
            plan.check_removals(RemovalLimit::Count(0)).unwrap_err().to_string().contains("1 of the 2 domains of t")
        );
        let (plan, steps, _) = planned(&declaration, &rows, Prune::Leave);
        assert_eq!((steps.len(), plan.left), (0, 2));
    }

    #[test]
    fn a_move_needs_that_both_host_types_are_complete() {
        let domains = [("a", "t", None), ("b", "u", None)];
        let rows = [("a", "u", "enabled"), ("b", "u", "enabled")];
        let (plan, steps, problems) = planned(&declared(&domains, &["t", "u"]), &rows, Prune::Remove);
        assert_eq!((steps, problems.len()), (vec!["move a u -> t enabled".to_owned()], 0));
        assert_eq!(plan.steps[0].removed(), Some(("a", "u")));
        assert!(plan.check_removals(RemovalLimit::Count(0)).is_err(), "it is a removal");
        for (complete, prune) in [(&["t"][..], Prune::Remove), (&["t", "u"], Prune::Leave)] {
            let (_, steps, problems) = planned(&declared(&domains, complete), &rows, prune);
            assert_eq!(steps.len(), 0);
            assert!(problems[0].starts_with("x:1: a has the host type u in the database."), "{problems:?}");
        }
    }

    #[test]
    fn a_removal_under_way_is_waited_for_and_counts_for_no_limit() {
        let declaration = declared(&[("a", "t", None)], &["t"]);
        let (plan, steps, _) = planned(&declaration, &[("x", "t", "deleting"), ("a", "t", "enabled")], Prune::Remove);
        assert_eq!(steps, ["remove x t -"]);
        assert!(plan.check_removals(RemovalLimit::Count(0)).is_ok());
        let (_, steps, problems) = planned(&declaration, &[("a", "t", "deleting")], Prune::Remove);
        assert_eq!(steps.len(), 0);
        assert!(problems[0].starts_with("x:1: a is being removed"), "{problems:?}");
    }

    #[test]
    fn all_spellings_of_a_name_are_one_domain() {
        let declaration = declared(&[("plä", "t", Some(Status::Disabled))], &["t"]);
        let (_, steps, _) = planned(&declaration, &[("xn--pl-wia", "t", "enabled")], Prune::Remove);
        assert_eq!(steps, ["disable xn--pl-wia t disabled"]);
        let both = [("xn--pl-wia", "t", "enabled"), ("plä", "t", "enabled")];
        let (_, steps, problems) = planned(&declaration, &both, Prune::Remove);
        assert_eq!(steps.len(), 0);
        assert!(problems[0].contains("in two spellings, xn--pl-wia and plä"), "{problems:?}");
    }

    #[test]
    fn a_plan_is_shown_and_its_lines_can_be_read_again() {
        let declaration = declared(&[("a", "t", None)], &["t"]);
        let (plan, ..) = planned(&declaration, &[("x", "t", "enabled")], Prune::Remove);
        let shown = |format| {
            let mut text = Vec::new();
            plan.show(format, &mut text).unwrap();
            String::from_utf8(text).unwrap()
        };
        let table = "CHANGE  DOMAIN  HOST TYPE  STATUS\nadd     a       t          enabled\nremove  x       t          -\n1 to add, 1 to remove; 0 as declared\n";
        assert_eq!(shown(Format::Table), table);
        let lines: Vec<Step> = shown(Format::Ndjson).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines, plan.steps);
    }
}
