//! `domainctl`: asks and tells a running mongoose_domain, over HTTP.
//!
//! ```text
//! cli ── the command line
//!   ├─ grammar ── MongooseIM's commands, over GraphQL: its words, its output, its exit codes
//!   ├─ verbs ── short ones for people, over REST
//!   └─ import ── many domains from a file, which survives interruptions
//! name ── which names are taken
//! place ── where a file is put, and what is left alone
//! settings ── which server, and who asks: flags, environment, file
//! client ── one server over HTTP
//! ```
//!
//! It keeps nothing but the progress of an interrupted import, and knows no rule about domains but what a name is:
//! whatever it is told is told to the server, whose words it repeats.

mod cli;
mod client;
mod error;
mod grammar;
mod import;
mod name;
mod output;
mod place;
mod settings;
mod url;
mod verbs;

use std::ffi::OsString;
use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Line, Verb};
use crate::error::{Error, Exit, Result};

fn main() -> ExitCode {
    let line = Line::parse();
    let mut output = BufWriter::new(io::stdout().lock());
    let ended = run(line, &mut output);
    let flushed = output.flush().map_err(Error::Output);
    let exit = match ended.and_then(|exit| flushed.map(|()| exit)) {
        Ok(exit) => exit,
        Err(error) if error.nobody_reads() => Exit::Done,
        Err(error) => {
            // Where standard error is gone, too, nobody is left to be told.
            let _ = writeln!(io::stderr(), "domainctl: {}", output::printable(&error.to_string()));
            error.exit()
        }
    };
    ExitCode::from(exit as u8)
}

fn run(line: Line, output: &mut impl Write) -> Result<Exit> {
    match line.verb {
        None => grammar::run(&[], &line.flags, output),
        Some(Verb::Other(words)) => grammar::run(&texts(words)?, &line.flags, output),
        Some(verb) => verbs::run(verb, &line.flags, output),
    }
}

fn texts(words: Vec<OsString>) -> Result<Vec<String>> {
    let texts = words.into_iter().map(OsString::into_string).collect::<std::result::Result<_, _>>();
    texts.map_err(|word| Error::Usage(format!("{} is not UTF-8", word.to_string_lossy())))
}
