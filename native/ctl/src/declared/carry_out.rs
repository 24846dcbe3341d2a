//! Carries out a plan: additions and statuses, then removals, then the additions of what was moved, then freshness.
//!
//! Each part begins when the one before it is done without a refusal. So nothing is removed where something could not be
//! added, and a host type is declared complete only when all of its domains are there and the others are gone.

use std::io::Write;
use std::time::Duration;

use serde_json::json;
use ureq::http::Method;

use super::declaration::Declaration;
use super::plan::{Change, Plan, Step};
use crate::client::{Client, ReadTimeout, domain_path};
use crate::commands::freshness::declare;
use crate::error::{Error, Result};
use crate::import::{MAX_BATCH, Pair, Sender, Verdict};
use crate::output::{count, printable};
use crate::settings::Settings;

/// What a line of a request has beside the names.
const LINE_BYTES: usize = 64;

/// Carries out a plan, and declares freshness.
pub fn carry_out(
    settings: &Settings,
    patience: u64,
    declaration: &Declaration,
    plan: &Plan,
    output: &mut impl Write,
) -> Result<()> {
    let client = Client::new(settings, ReadTimeout::Response)?;
    let sender = Sender::new(Client::new(settings, ReadTimeout::Response)?, Duration::from_secs(patience));
    let (moved, put): (Vec<Pair>, Vec<Pair>) =
        (pairs(plan, |it| it == Change::Move), pairs(plan, |it| it != Change::Move));
    send(&sender, &put)?;
    remove(&client, plan)?;
    send(&sender, &moved)?;
    if !plan.steps.is_empty() {
        writeln!(output, "made {}", count(plan.steps.len() as u64, "change", "changes"))?;
    }
    declaration.complete_host_types().try_for_each(|(host_type, seconds)| declare(&client, host_type, seconds, output))
}

/// The domains of the steps that add a domain or give it a status.
fn pairs(plan: &Plan, wanted: impl Fn(Change) -> bool) -> Vec<Pair> {
    let steps = plan.steps.iter().filter(|step| wanted(step.change) && step.change != Change::Remove);
    let pair = |Step { domain, host_type, status, .. }: &Step| Pair {
        domain: domain.clone(),
        host_type: host_type.clone(),
        status: *status,
    };
    steps.map(pair).collect()
}

/// Adds domains, or gives them their status, batch by batch.
fn send(sender: &Sender, pairs: &[Pair]) -> Result<()> {
    let mut refused = Vec::new();
    let mut rest: Vec<&Pair> = pairs.iter().collect();
    while !rest.is_empty() {
        let more = rest.split_off(batch_length(&rest));
        let verdicts = sender.send(&rest)?;
        refused.extend(rest.iter().zip(verdicts).filter_map(|(pair, verdict)| match verdict {
            Verdict::Accepted => None,
            Verdict::Refused(why) => Some(format!("{}: {why}", pair.domain)),
        }));
        rest = more;
    }
    check(&refused)
}

/// How many of these are in the next batch: at least one.
fn batch_length(pairs: &[&Pair]) -> usize {
    let mut bytes = 0;
    let fits = |pair: &&&Pair| {
        bytes += pair.domain.len() + pair.host_type.len() + LINE_BYTES;
        bytes <= MAX_BATCH.1
    };
    pairs.iter().take(MAX_BATCH.0).take_while(fits).count().max(1).min(pairs.len())
}

/// Removes domains, one after the other, each with all its data.
fn remove(client: &Client, plan: &Plan) -> Result<()> {
    let mut refused = Vec::new();
    for (domain, host_type) in plan.steps.iter().filter_map(Step::removed) {
        match client.send(Method::DELETE, &domain_path(domain), &json!({"host_type": host_type})) {
            // Somebody else was first.
            Ok(()) | Err(Error::Refused { status: 404, .. }) => {}
            Err(Error::Refused { text, .. }) => refused.push(format!("{domain}: {text}")),
            Err(error) => return Err(error),
        }
    }
    check(&refused)
}

fn check(refused: &[String]) -> Result<()> {
    if refused.is_empty() {
        return Ok(());
    }
    for line in refused {
        // It fails where standard error is closed: then the exit code is all that is left.
        let _ = writeln!(std::io::stderr(), "{}", printable(line));
    }
    let refused = count(refused.len() as u64, "change was", "changes were");
    Err(Error::Failed(format!(
        "{refused} refused, and nothing is declared complete; what was done stays: run this again"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_bounded_in_lines_and_in_bytes() {
        let pair = |length: usize| Pair { domain: "a".repeat(length), host_type: "t".into(), status: None };
        let (short, long, longest) = (pair(1), pair(250), pair(MAX_BATCH.1));
        assert_eq!(batch_length(&[&short; 2500]), MAX_BATCH.0.min(MAX_BATCH.1 / 66));
        assert_eq!(batch_length(&[&long; 1000]), MAX_BATCH.1 / 315);
        assert_eq!(batch_length(&[&longest; 2]), 1);
        assert_eq!(batch_length(&[&short]), 1);
    }
}
