//! Short verbs for people, over REST.

mod changes;
mod doctor;
mod domains;
mod export;
mod fresh;
mod list;
mod pages;
mod status;

use std::io::Write;

use crate::cli::Verb;
use crate::client::{Client, Patience};
use crate::error::{Exit, Result};
use crate::settings::{Flags, Settings};
use crate::{grammar, import};

/// Does what a verb says.
pub fn run(verb: Verb, flags: &Flags, output: &mut impl Write) -> Result<Exit> {
    let client = || Client::new(&Settings::gather(flags)?, Patience::Answer);
    match verb {
        Verb::Add(pair) => domains::add(&client()?, &pair, output),
        Verb::Remove(remove) => domains::remove(&client()?, &remove, output),
        Verb::Enable(domain) => domains::switch(&client()?, &domain, domains::Switch::On, output),
        Verb::Disable(domain) => domains::switch(&client()?, &domain, domains::Switch::Off, output),
        Verb::Show(show) => domains::show(&client()?, &show, output),
        Verb::List(list) => list::run(&client()?, &list, output),
        Verb::Import(arguments) => import::run(&Settings::gather(flags)?, &arguments, output),
        Verb::Export(export) => export::run(&client()?, &export, output),
        Verb::Fresh(fresh) => fresh::run(&client()?, &fresh, output),
        Verb::Status(nodes) => status::run(&Settings::gather(flags)?, &nodes, output),
        Verb::Watch(watch) => changes::run(&Settings::gather(flags)?, &watch, output),
        Verb::Doctor(doctor) => doctor::run(&client()?, &doctor, output),
        Verb::Completion { shell } => pages::completion(shell, output),
        Verb::Man { verb } => pages::manual(verb.as_deref(), output),
        Verb::Help { verb } => pages::help(verb.as_deref(), output),
        Verb::Other(words) => {
            let words: Vec<_> = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
            grammar::run(&words, flags, output)
        }
    }
}
