//! `apply` and `diff`: makes the domains those that files declare, or shows what that would change.
//!
//! ```text
//! files ──► declaration ──┐
//!                         ├──► plan, which is shown ──► additions ──► removals ──► freshness
//! database ──► current ───┘
//! ```
//!
//! Everything that is wrong with a declaration is found before anything is changed. A run keeps no progress: the next one
//! compares again, and does what is left. The domains of host types that no file names are never changed.
//!
//! A removal needs three things: `--prune`, a declaration that says that it is complete, and that somebody could see it
//! before ([`approval`]). There is a limit to the number of removals ([`limit`]).

mod approval;
mod carry_out;
mod current;
mod declaration;
mod document;
mod limit;
mod plan;
mod sources;

pub use self::limit::RemovalLimit;

use std::io::{self, Write};

use self::approval::approve;
use self::carry_out::carry_out;
use self::current::Current;
use self::declaration::{Declaration, Problems};
use self::plan::Plan;
use crate::cli::{ApplyArgs, DeclarationArgs};
use crate::client::{Client, ReadTimeout};
use crate::error::{Error, Exit, Result};
use crate::output::Format;
use crate::settings::Settings;

/// Shows the changes that are due.
pub fn diff(settings: &Settings, args: &DeclarationArgs, output: &mut impl Write) -> Result<Exit> {
    let declaration = sources::read(args)?;
    let plan = show_plan(&client(settings)?, args, &declaration, output)?;
    Ok(if plan.steps.is_empty() { Exit::Done } else { Exit::Changed })
}

/// Makes the changes that are due, and declares freshness.
pub fn apply(settings: &Settings, args: &ApplyArgs, output: &mut impl Write) -> Result<Exit> {
    if args.dry_run {
        return diff(settings, &args.declaration, output);
    }
    let declaration = sources::read(&args.declaration)?;
    let client = client(settings)?;
    let plan = show_plan(&client, &args.declaration, &declaration, output)?;
    // Whoever reads the output sees the plan before it is carried out.
    output.flush()?;
    approve(&plan, args.plan.as_deref())?;
    // What a program reads has the changes and nothing else.
    match args.declaration.output {
        Format::Table => carry_out(settings, args.patience, &declaration, &plan, output)?,
        Format::Json | Format::Ndjson => carry_out(settings, args.patience, &declaration, &plan, &mut io::stderr())?,
    }
    Ok(if plan.steps.is_empty() { Exit::Done } else { Exit::Changed })
}

fn client(settings: &Settings) -> Result<Client> {
    Client::new(settings, ReadTimeout::Response)
}

/// Compares the declaration with the database and shows the plan, also one that may not be carried out.
fn show_plan(
    client: &Client,
    args: &DeclarationArgs,
    declaration: &Declaration,
    output: &mut impl Write,
) -> Result<Plan> {
    if args.prune && !declaration.has_complete_host_type() {
        return Err(Error::Failed(
            "--prune removes what a complete declaration lacks, and no file has complete_for: nothing was changed"
                .into(),
        ));
    }
    let mut problems = Problems::default();
    let current = Current::read(client, declaration)?;
    current.check_host_types(declaration, &mut problems);
    let plan = Plan::new(declaration, &current, args.prune.into(), &mut problems);
    problems.check()?;
    plan.show(args.output, output)?;
    plan.check_removals(args.max_removals.unwrap_or_default())?;
    Ok(plan)
}
