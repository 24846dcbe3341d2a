//! The short commands for people, over REST.

mod changes;
mod doctor;
mod documentation;
mod domain;
mod export;
pub mod freshness;
pub mod listing;
mod status;

use std::io::Write;

use crate::cli::Command;
use crate::client::{Client, ReadTimeout};
use crate::error::{Error, Exit, Result};
use crate::settings::{Flags, Settings};
use crate::{declared, import, mongooseimctl};

/// Runs a command.
pub fn run(command: Command, flags: &Flags, output: &mut impl Write) -> Result<Exit> {
    let client = || Client::new(&Settings::gather(flags)?, ReadTimeout::Response);
    match command {
        Command::Add(args) => domain::add(&client()?, &args, output),
        Command::Remove(args) => domain::remove(&client()?, &args, output),
        Command::Enable(args) => domain::switch(&client()?, &args, domain::Switch::On, output),
        Command::Disable(args) => domain::switch(&client()?, &args, domain::Switch::Off, output),
        Command::Show(args) => domain::show(&client()?, &args, output),
        Command::List(args) => listing::run(&client()?, &args, output),
        Command::Import(args) => import::run(&Settings::gather(flags)?, &args, output),
        Command::Export(args) => export::run(&client()?, &args, output),
        Command::Apply(args) => Settings::gather(flags)
            .and_then(|settings| declared::apply(&settings, &args, output))
            .map_err(Error::without_usage),
        Command::Diff(args) => Settings::gather(flags)
            .and_then(|settings| declared::diff(&settings, &args.declaration, output))
            .map_err(Error::without_usage),
        Command::Fresh(args) => freshness::run(&client()?, &args, output),
        Command::Status(args) => status::run(&Settings::gather(flags)?, &args, output),
        Command::Watch(args) => changes::run(&Settings::gather(flags)?, &args, output),
        Command::Doctor(args) => doctor::run(&client()?, &args, output),
        Command::Completion { shell } => documentation::completion(shell, output),
        Command::Man { command } => documentation::manual(command.as_deref(), output),
        Command::Help { command } => documentation::help(command.as_deref(), output),
        Command::Other(words) => {
            let words: Vec<_> = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
            mongooseimctl::run(&words, flags, output)
        }
    }
}
