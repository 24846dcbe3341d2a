//! The command line: MongooseIM's grammar, and short verbs for people.
//!
//! Whatever begins with a word that is no verb is left to `grammar` as it is.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use serde::{Deserialize, Serialize};

use crate::grammar;
use crate::output::Format;
use crate::settings::Flags;

/// Which host type serves which domain: asks and tells a running mongoose_domain.
#[derive(Debug, Parser)]
#[command(name = "domainctl", version, max_term_width = 100, disable_help_subcommand = true, after_help = AFTER_HELP)]
pub struct Line {
    /// Which server, and who asks.
    #[command(flatten)]
    pub flags: Flags,
    /// What to do.
    #[command(subcommand)]
    pub verb: Option<Verb>,
}

const AFTER_HELP: &str = "\
MongooseIM's commands, over GraphQL:
  domainctl domain                              lists them
  domainctl domain addDomain --domain example.com --hostType type1
  domainctl graphql '{ checkAuth { authStatus } }'

Exit codes: 0 done, 1 refused or failed (of doctor: something is wrong), 2 usage, 3 no connection.";

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Add a domain
    Add(Pair),
    /// Remove a domain and all its data
    Remove(Remove),
    /// Have a domain served
    Enable(Domain),
    /// Have a domain not served
    Disable(Domain),
    /// Show a domain, and its removal if there is one
    Show(Show),
    /// List the domains that the database has
    List(List),
    /// Add many domains from a file
    #[command(after_help = IMPORT_HELP)]
    Import(Import),
    /// Write all domains to a file
    #[command(after_help = EXPORT_HELP)]
    Export(Export),
    /// Declare the domains of a host type complete, or show what was declared
    Fresh(Fresh),
    /// Show what nodes are doing, side by side
    Status(Nodes),
    /// Show changes as they come
    Watch(Watch),
    /// Look for what is wrong, and say what to do
    #[command(after_help = DOCTOR_HELP)]
    Doctor(Doctor),
    /// Print a script that completes commands in a shell
    Completion {
        /// Which shell.
        shell: Shell,
    },
    /// Print the manual page, of a verb if one is given
    Man {
        /// A verb.
        verb: Option<String>,
    },
    /// Print this help, or a verb's if one is given
    Help {
        /// A verb.
        verb: Option<String>,
    },
    /// A word that is no verb, and what follows it.
    #[command(external_subcommand)]
    Other(Vec<OsString>),
}

const IMPORT_HELP: &str = "\
CSV has the columns domain, host_type and, where it is told, status, in this order or as a first line says; they are \
separated by commas, semicolons or tabs, or by what a line like sep=; says. JSON is an object with these keys on each line, \
or an array of such objects. A file may be UTF-8 or, with a byte order mark, UTF-16. Empty lines, and lines that \
begin with #, are skipped. How a file was read is told at the end.

A domain with a status, enabled or disabled, has it afterwards; one without is added enabled, or left as it is. \
An import that was interrupted goes on where it was when it is run again (FILE.progress). Refused lines are \
written, each below its reason, to FILE.refused, which can be corrected and imported.";

const EXPORT_HELP: &str = "\
What is there is replaced when the export is whole, and keeps its owner and its mode; where FILE is a link, that \
holds for what it leads to. A device or a pipe is written to. A name that no request can carry is marked (in CSV by a line \
before it), so that an import takes it as it is.";

const DOCTOR_HELP: &str = "Exit codes: 0 nothing is wrong, 1 a check warns or failed, 2 usage, 3 no connection.";

/// How to look for what is wrong.
#[derive(Debug, Args)]
pub struct Doctor {
    /// How to show what was found.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub output: Format,
}

/// A domain.
#[derive(Debug, Args)]
pub struct Domain {
    /// Its name.
    pub domain: String,
    /// Leave IDNA's other full stops (as in ドメイン。example) as they are.
    #[arg(long)]
    pub as_is: bool,
}

/// A domain and its host type.
#[derive(Debug, Args)]
pub struct Pair {
    /// Its name.
    pub domain: String,
    /// Its host type.
    pub host_type: String,
    /// Take the name as it is, even if no request can carry it.
    #[arg(long)]
    pub as_is: bool,
}

/// What to remove.
#[derive(Debug, Args)]
pub struct Remove {
    /// Which domain.
    #[command(flatten)]
    pub pair: Pair,
    /// Be content when the removal has begun.
    #[arg(long)]
    pub no_wait: bool,
}

/// What to show.
#[derive(Debug, Args)]
pub struct Show {
    /// Which domain.
    #[command(flatten)]
    pub domain: Domain,
    /// How to show it.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub output: Format,
}

/// The status of a domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It is served.
    Enabled,
    /// It is not.
    Disabled,
    /// It is being removed.
    Deleting,
}

/// Which domains.
#[derive(Debug, Default, Args)]
pub struct Filter {
    /// Only those of this host type.
    #[arg(long, value_name = "NAME")]
    pub host_type: Option<String>,
    /// Only those with this status.
    #[arg(long, value_enum)]
    pub status: Option<Status>,
    /// Only those whose names begin so.
    #[arg(long, value_name = "TEXT")]
    pub prefix: Option<String>,
}

/// What to list.
#[derive(Debug, Args)]
pub struct List {
    /// Which domains.
    #[command(flatten)]
    pub filter: Filter,
    /// Also those from the configuration of the node, first; and a column that says which are which.
    #[arg(long = "static")]
    pub with_static: bool,
    /// How to show them.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub output: Format,
}

/// The format of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileFormat {
    /// A line `domain,host_type,status` each.
    Csv,
    /// A line `{"domain":…,"host_type":…,"status":…}` each.
    Ndjson,
}

/// What to import.
#[derive(Debug, Args)]
pub struct Import {
    /// The file; - is standard input.
    pub file: PathBuf,
    /// Its format [default: what its name ends with, else what it begins with].
    #[arg(long, value_enum)]
    pub format: Option<FileFormat>,
    /// Look at every line, and send nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Take names as they are, even if no request can carry them.
    #[arg(long)]
    pub as_is: bool,
    /// Where refused lines go [default: FILE.refused; standard error for standard input and pipes].
    #[arg(long, value_name = "FILE")]
    pub refused: Option<PathBuf>,
    /// How long to try again when the server is away.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub patience: u64,
}

/// What to export.
#[derive(Debug, Args)]
pub struct Export {
    /// The file; - is standard output.
    #[arg(default_value = "-")]
    pub file: PathBuf,
    /// Its format [default: what its name ends with, else csv].
    #[arg(long, value_enum)]
    pub format: Option<FileFormat>,
    /// Which domains.
    #[command(flatten)]
    pub filter: Filter,
}

/// What to declare.
#[derive(Debug, Args)]
pub struct Fresh {
    /// The host type that is complete.
    #[arg(requires = "ttl")]
    pub host_type: Option<String>,
    /// For how long: seconds, or 90s, 30m, 12h, 7d, or forever.
    pub ttl: Option<String>,
    /// How to show what was declared.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub output: Format,
}

/// Which nodes.
#[derive(Debug, Args)]
pub struct Nodes {
    /// The URL of a node; once for each.
    #[arg(long = "node", value_name = "URL")]
    pub nodes: Vec<String>,
    /// How to show them.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub output: Format,
}

/// From where on.
#[derive(Debug, Args)]
pub struct Watch {
    /// Begin behind this event [default: with what comes next].
    #[arg(long, value_name = "EVENT")]
    pub after: Option<i64>,
    /// How to show changes.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub output: Format,
}

impl FileFormat {
    /// What a file's name says.
    pub fn of(path: &std::path::Path) -> FileFormat {
        match path.extension().and_then(|it| it.to_str()).map(str::to_ascii_lowercase).as_deref() {
            Some("ndjson" | "jsonl" | "json") => FileFormat::Ndjson,
            _ => FileFormat::Csv,
        }
    }
}

impl Status {
    /// As it is written everywhere.
    pub fn name(self) -> &'static str {
        match self {
            Status::Enabled => "enabled",
            Status::Disabled => "disabled",
            Status::Deleting => "deleting",
        }
    }
}

/// The command line with MongooseIM's commands spelled out: for manual pages and completion, which would not
/// know of them.
pub fn whole() -> clap::Command {
    Line::command().subcommands(grammar::described())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Line::command().debug_assert();
        whole().debug_assert();
    }

    #[test]
    fn what_follows_a_word_that_is_no_verb_is_left_as_it_is() {
        let line = Line::parse_from(["domainctl", "--url", "http://x", "domain", "addDomain", "--url", "--help"]);
        assert_eq!(line.flags.url.as_deref(), Some("http://x"));
        let Some(Verb::Other(words)) = line.verb else { panic!("a verb") };
        assert_eq!(words, ["domain", "addDomain", "--url", "--help"]);
    }

    #[test]
    fn there_is_no_flag_for_a_password() {
        assert!(Line::try_parse_from(["domainctl", "--password", "secret", "doctor"]).is_err());
    }
}
