//! No domain is removed before somebody could see that it would be.
//!
//! On a terminal the plan is shown and the number of the removals has to be typed. Elsewhere `--plan` names the output of an
//! earlier `diff --output ndjson`, and only domains that it removes are removed. A plan stays good for a run after one that was
//! interrupted, since what is left to remove is in it.

use std::collections::HashSet;
use std::fs;
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::Path;

use super::plan::{Plan, Step};
use crate::error::{Error, Result};
use crate::output::{count, path_text};

/// Checks that the removals of a plan were shown.
pub fn approve(plan: &Plan, shown: Option<&Path>) -> Result<()> {
    let removals: Vec<(&str, &str)> = plan.steps.iter().filter_map(Step::removed).collect();
    match (removals.as_slice(), shown) {
        ([], _) => Ok(()),
        (_, Some(path)) => {
            let shown = read(path)?;
            let shown: HashSet<_> = shown.iter().filter_map(Step::removed).collect();
            let new = removals.iter().filter(|removal| !shown.contains(*removal)).count() as u64;
            match new {
                0 => Ok(()),
                new => Err(Error::Failed(format!(
                    "{} not in {}: nothing was changed. Look at a new diff",
                    count(new, "removal is", "removals are"),
                    path_text(path)
                ))),
            }
        }
        (_, None) if io::stdin().is_terminal() && io::stderr().is_terminal() => ask(removals.len()),
        (_, None) => Err(Error::Failed(
            "a domain is removed only where that was shown before: nothing was changed. Write the output of diff --prune \
             --output ndjson to a file, and give it to apply as --plan"
                .to_owned(),
        )),
    }
}

/// Asks the person at the terminal.
fn ask(removals: usize) -> Result<()> {
    let number = removals.to_string();
    let domains = count(removals as u64, "domain", "domains");
    let mut errors = io::stderr().lock();
    // Where the question cannot be written, nobody answers it.
    let _ = write!(errors, "This removes {domains} and all their data. Type {number} to go on: ");
    let _ = errors.flush();
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer);
    match read {
        Ok(_) if answer.trim() == number => Ok(()),
        _ => Err(Error::Failed("nothing was changed".to_owned())),
    }
}

/// Reads the lines of a plan.
fn read(path: &Path) -> Result<Vec<Step>> {
    let text = fs::read_to_string(path).map_err(Error::of_file(path))?;
    let line = |(number, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|error| {
            let place = format!("{}:{number}", path_text(path));
            Error::Failed(format!("{place}: this is no line of diff --output ndjson: {error}; nothing was changed"))
        })
    };
    (1..).zip(text.lines()).map(line).collect()
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::super::plan::Change;
    use super::*;

    fn step(change: Change, domain: &str) -> Step {
        let from = (change == Change::Move).then(|| "u".to_owned());
        Step { change, domain: domain.into(), host_type: "t".into(), from, status: None }
    }

    #[test]
    fn what_a_plan_did_not_show_is_not_removed() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("plan");
        let plan = |steps: &[(Change, &str)]| {
            let mut plan = Plan::default();
            plan.steps.extend(steps.iter().map(|(change, domain)| step(*change, domain)));
            plan
        };
        let write = |shown: &[(Change, &str)]| {
            let mut text = Vec::new();
            plan(shown).show(crate::output::Format::Ndjson, &mut text).unwrap();
            fs::write(&path, text).unwrap();
        };
        write(&[(Change::Add, "a"), (Change::Remove, "b"), (Change::Move, "c")]);
        for good in
            [&[(Change::Remove, "b"), (Change::Move, "c")][..], &[(Change::Move, "c")], &[(Change::Add, "x")], &[]]
        {
            assert!(approve(&plan(good), Some(&path)).is_ok(), "{good:?}");
        }
        for bad in
            [&[(Change::Remove, "b"), (Change::Remove, "x")][..], &[(Change::Remove, "a")], &[(Change::Remove, "c")]]
        {
            let error = approve(&plan(bad), Some(&path)).unwrap_err().to_string();
            assert!(error.starts_with("1 removal is not in "), "{error}");
        }
        assert!(approve(&plan(&[(Change::Remove, "b")]), Some(&directory.path().join("none"))).is_err());
        fs::write(&path, "CHANGE  DOMAIN\n").unwrap();
        assert!(approve(&plan(&[(Change::Remove, "b")]), Some(&path)).unwrap_err().to_string().contains("plan:1: "));
    }
}
