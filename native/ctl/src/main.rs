//! `domainctl`: a command line for a running mongoose_domain, over HTTP.
//!
//! The files, from top to bottom; imports run downwards only:
//!
//! | file | contents |
//! |---|---|
//! | `commands` | the short commands for people, over REST, one file each |
//! | `declared` | `domainctl apply` and `diff`: makes the domains those that files declare |
//! | `import` | `domainctl import`: many domains from a file, in a way that survives interruptions |
//! | `cli` | the command line: commands, arguments, help |
//! | `mongooseimctl` | MongooseIM's commands, over GraphQL: their syntax, output and exit codes |
//! | `client` | HTTP requests to one server |
//! | `settings` | which server, with which credentials: flags, environment, configuration file |
//! | `name` | which domain names are accepted from people |
//! | `destination`, `sidecar` | where an output file goes; files that the program itself names |
//! | `output`, `url`, `error` | tables and JSON; a server's URL; errors and exit codes |
//!
//! It stores nothing but the progress of an interrupted import. It knows one rule about domains: what a name is.
//! Everything else the server decides, and its messages are shown as they are.

mod cli;
mod client;
mod commands;
mod declared;
mod destination;
mod error;
mod import;
mod mongooseimctl;
mod name;
mod output;
mod settings;
mod sidecar;
mod url;

use std::ffi::OsString;
use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Command, CommandLine};
use crate::error::{Error, Exit, Result};

fn main() -> ExitCode {
    let line = match CommandLine::try_parse() {
        Ok(line) => line,
        Err(error) => {
            // It fails where standard error is closed: then the exit code is all that is left.
            let _ = error.print();
            return ExitCode::from(cli::exit_of_usage(&error).code());
        }
    };
    let mut output = BufWriter::new(io::stdout().lock());
    let ended = run(line, &mut output);
    let flushed = output.flush().map_err(Error::Output);
    let exit = match ended.and_then(|exit| flushed.map(|()| exit)) {
        Ok(exit) => exit,
        Err(error) if error.is_broken_pipe() => Exit::Done,
        Err(error) => {
            // It fails where standard error is closed: then the exit code is all that is left.
            let _ = writeln!(io::stderr(), "domainctl: {}", output::printable(&error.to_string()));
            error.exit()
        }
    };
    ExitCode::from(exit.code())
}

fn run(line: CommandLine, output: &mut impl Write) -> Result<Exit> {
    match line.command {
        None => mongooseimctl::run(&[], &line.flags, output),
        Some(Command::Other(words)) => mongooseimctl::run(&texts(words)?, &line.flags, output),
        Some(command) => commands::run(command, &line.flags, output),
    }
}

fn texts(words: Vec<OsString>) -> Result<Vec<String>> {
    let texts = words.into_iter().map(OsString::into_string).collect::<std::result::Result<_, _>>();
    texts.map_err(|word| Error::Usage(format!("{} is not UTF-8", word.to_string_lossy())))
}
