//! The command line: commands, their arguments and their help.
//!
//! A line that begins with any other word is passed to [`mongooseimctl`] unchanged.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use serde::{Deserialize, Serialize};

use crate::declared::RemovalLimit;
use crate::error::Exit;
use crate::mongooseimctl;
use crate::output::Format;
use crate::settings::Flags;

/// Show and change which host type serves which domain, on a running mongoose_domain
#[derive(Debug, Parser)]
#[command(name = "domainctl", version, max_term_width = 100, disable_help_subcommand = true, after_help = AFTER_HELP)]
pub struct CommandLine {
    /// The server and the credentials.
    #[command(flatten)]
    pub flags: Flags,
    /// The command.
    #[command(subcommand)]
    pub command: Option<Command>,
}

const AFTER_HELP: &str = "\
MongooseIM's commands, over GraphQL:
  domainctl domain                              lists them
  domainctl domain addDomain --domain example.com --hostType type1
  domainctl graphql '{ checkAuth { authStatus } }'

Exit codes: 0 done, 1 refused or failed (of doctor: something is wrong), 2 usage, 3 no connection. Of apply and diff: \
0 no change, 1 refused or failed (or usage), 2 changes made or due, 3 no connection.";

/// A command.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Add a domain
    Add(AddArgs),
    /// Remove a domain and all its data
    Remove(RemoveArgs),
    /// Enable a domain: have its host type serve it
    Enable(DomainArgs),
    /// Disable a domain: stop serving it, and keep its data
    Disable(DomainArgs),
    /// Show a domain, and its removal if there is one
    Show(ShowArgs),
    /// List the domains in the database
    List(ListArgs),
    /// Add many domains from a file
    #[command(after_help = IMPORT_HELP)]
    Import(ImportArgs),
    /// Write all domains to a file
    #[command(after_help = EXPORT_HELP)]
    Export(ExportArgs),
    /// Make the domains those that files declare
    #[command(after_help = DECLARATION_HELP)]
    Apply(ApplyArgs),
    /// Show what `apply` would change
    #[command(after_help = DECLARATION_HELP)]
    Diff(DiffArgs),
    /// Declare the domains of a host type complete, or show the declarations
    Fresh(FreshnessArgs),
    /// Show the status of nodes, side by side
    Status(StatusArgs),
    /// Show changes as they come
    Watch(WatchArgs),
    /// Check what is wrong, and show what to do
    #[command(after_help = DOCTOR_HELP)]
    Doctor(DoctorArgs),
    /// Print a completion script for a shell
    Completion {
        /// The shell.
        shell: Shell,
    },
    /// Print the manual page, or that of a command
    Man {
        /// A command.
        command: Option<String>,
    },
    /// Print this help, or that of a command
    Help {
        /// A command.
        command: Option<String>,
    },
    /// Any other word, and what follows it.
    #[command(external_subcommand)]
    Other(Vec<OsString>),
}

const IMPORT_HELP: &str = "\
CSV has the columns domain, host_type and, optionally, status, in this order or in that of a header line; they are \
separated by commas, semicolons, tabs, or the character that a line like sep=; declares. JSON is one object with \
these keys on each line, or an array of such objects. A file is UTF-8 or, with a byte order mark, UTF-16. Empty lines, \
and lines that begin with #, are skipped. The last line of the output says how the file was read.

A domain with a status, enabled or disabled, gets it; one without a status is added enabled, or left as it is. \
An interrupted import continues where it stopped when it is run again (FILE.progress). Refused lines are \
written to FILE.refused, each below its reason; that file can be corrected and imported.";

const DECLARATION_HELP: &str = "\
In YAML, and in JSON, a file is:

  complete_for: 12h            # optional: no other domain of these host types is meant to be there
  host_types:
    type1:
      - one.example
      - {domain: two.example, status: disabled}
    type2: []

CSV, lines of JSON and arrays of JSON are those of import; a line '# complete_for: 12h' may be in the first two. A domain \
without a status is added enabled, or left as it is. The domains of other host types are never changed.

With --prune, domains that a complete declaration lacks are removed with all their data, once these removals have been \
shown: on a terminal apply shows them and asks, elsewhere --plan names the output of diff. When all is done, the host types that \
are declared complete are declared fresh for that long, as by fresh. An interrupted apply is run again.

Exit codes: 0 no change, 1 refused or failed (or usage), 2 changes made or due, 3 no connection.";

const EXPORT_HELP: &str = "\
An existing file is replaced when the export is complete, and keeps its owner and its mode; a symbolic link is \
followed. A device or a pipe is written to. A name that no request can carry is marked (in CSV by a line \
before it), so that an import accepts it unchanged.";

const DOCTOR_HELP: &str = "Exit codes: 0 nothing is wrong, 1 a check warns or failed, 2 usage, 3 no connection.";

/// The arguments of `doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// The output format.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub output: Format,
}

/// A domain.
#[derive(Debug, Args)]
pub struct DomainArgs {
    /// Its name.
    pub domain: String,
    /// Do not treat IDNA's other full stops (as in ドメイン。example) as dots.
    #[arg(long)]
    pub as_is: bool,
}

/// The arguments of `add`: a domain and its host type.
#[derive(Debug, Args)]
pub struct AddArgs {
    /// Its name.
    pub domain: String,
    /// Its host type.
    pub host_type: String,
    /// Accept the name unchanged, even if no request can carry it.
    #[arg(long)]
    pub as_is: bool,
}

/// The arguments of `remove`.
#[derive(Debug, Args)]
pub struct RemoveArgs {
    /// The domain and its host type.
    #[command(flatten)]
    pub domain: AddArgs,
    /// Return when the removal has begun.
    #[arg(long)]
    pub no_wait: bool,
}

/// The arguments of `show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The domain.
    #[command(flatten)]
    pub domain: DomainArgs,
    /// The output format.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub output: Format,
}

/// The status of a domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It is served.
    Enabled,
    /// It is not served.
    Disabled,
    /// It is being removed.
    Deleting,
}

/// Which domains to list or export.
#[derive(Debug, Default, Args)]
pub struct Filter {
    /// Only domains of this host type.
    #[arg(long, value_name = "NAME")]
    pub host_type: Option<String>,
    /// Only domains with this status.
    #[arg(long, value_enum)]
    pub status: Option<Status>,
    /// Only domains with this prefix.
    #[arg(long, value_name = "TEXT")]
    pub prefix: Option<String>,
}

/// The arguments of `list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Which domains.
    #[command(flatten)]
    pub filter: Filter,
    /// List the static domains of the node's configuration first, and add a column that tells them apart.
    #[arg(long = "static")]
    pub with_static: bool,
    /// The output format.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub output: Format,
}

/// The format of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileFormat {
    /// Lines `domain,host_type,status`.
    Csv,
    /// Lines `{"domain":…,"host_type":…,"status":…}`.
    Ndjson,
}

/// The arguments of `import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// The file; - is standard input.
    pub file: PathBuf,
    /// Its format [default: by its name, else by its first character].
    #[arg(long, value_enum)]
    pub format: Option<FileFormat>,
    /// Check every line, and send nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Accept names unchanged, even if no request can carry them.
    #[arg(long)]
    pub as_is: bool,
    /// The file for refused lines [default: FILE.refused; standard error for standard input and pipes].
    #[arg(long, value_name = "FILE")]
    pub refused: Option<PathBuf>,
    /// How long to retry when the server does not answer.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub patience: u64,
}

/// The format of a declaration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DeclarationFormat {
    /// YAML.
    Yaml,
    /// JSON: what YAML would have, or an array of `{"domain":…,"host_type":…,"status":…}`.
    Json,
    /// Such an object on each line.
    Ndjson,
    /// Lines `domain,host_type,status`.
    Csv,
}

/// A declaration, and what may be done for it.
#[derive(Debug, Args)]
pub struct DeclarationArgs {
    /// A file, a directory of such files, or - for standard input; may be repeated.
    #[arg(short, long = "file", value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// The format [default: by a file's name, else yaml].
    #[arg(long, value_enum)]
    pub format: Option<DeclarationFormat>,
    /// Accept names unchanged, even if no request can carry them.
    #[arg(long)]
    pub as_is: bool,
    /// Remove the domains that a complete declaration lacks, and all their data.
    #[arg(long)]
    pub prune: bool,
    /// The most domains to remove of each host type: a number or a percentage [default: 10%, and no more than 10].
    #[arg(long, value_name = "LIMIT")]
    pub max_removals: Option<RemovalLimit>,
    /// The format of the changes.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub output: Format,
}

/// The arguments of `diff`.
#[derive(Debug, Args)]
pub struct DiffArgs {
    /// The declaration.
    #[command(flatten)]
    pub declaration: DeclarationArgs,
}

/// The arguments of `apply`.
#[derive(Debug, Args)]
pub struct ApplyArgs {
    /// The declaration.
    #[command(flatten)]
    pub declaration: DeclarationArgs,
    /// Show the changes, and make none: the same as `diff`.
    #[arg(long)]
    pub dry_run: bool,
    /// The output of diff with --output ndjson: only these removals are made.
    #[arg(long, value_name = "FILE")]
    pub plan: Option<PathBuf>,
    /// How long to retry when the server does not answer.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub patience: u64,
}

/// The arguments of `export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// The file; - is standard output.
    #[arg(default_value = "-")]
    pub file: PathBuf,
    /// Its format [default: by its name, else csv].
    #[arg(long, value_enum)]
    pub format: Option<FileFormat>,
    /// Which domains.
    #[command(flatten)]
    pub filter: Filter,
}

/// The arguments of `fresh`.
#[derive(Debug, Args)]
pub struct FreshnessArgs {
    /// The host type that is complete.
    #[arg(requires = "ttl")]
    pub host_type: Option<String>,
    /// For how long: seconds, or 90s, 30m, 12h, 7d, or forever.
    pub ttl: Option<String>,
    /// The output format.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub output: Format,
}

/// The arguments of `status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// The URL of a node; may be repeated.
    #[arg(long = "node", value_name = "URL")]
    pub nodes: Vec<String>,
    /// The output format.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub output: Format,
}

/// The arguments of `watch`.
#[derive(Debug, Args)]
pub struct WatchArgs {
    /// Begin after this event [default: with the next change].
    #[arg(long, value_name = "EVENT")]
    pub after: Option<i64>,
    /// The output format.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub output: Format,
}

impl FileFormat {
    /// The format that a file's name implies.
    pub fn of(path: &std::path::Path) -> FileFormat {
        match path.extension().and_then(|it| it.to_str()).map(str::to_ascii_lowercase).as_deref() {
            Some("ndjson" | "jsonl" | "json") => FileFormat::Ndjson,
            _ => FileFormat::Csv,
        }
    }
}

impl Status {
    /// Its name in REST and in files.
    pub fn name(self) -> &'static str {
        match self {
            Status::Enabled => "enabled",
            Status::Disabled => "disabled",
            Status::Deleting => "deleting",
        }
    }
}

/// The exit code for a command line that is wrong, or that asks for help.
pub fn exit_of_usage(error: &clap::Error) -> Exit {
    match command_name(std::env::args_os()).as_deref() {
        _ if error.exit_code() == 0 => Exit::Done,
        // To these, 2 is an answer.
        Some("apply" | "diff") => Exit::Failed,
        _ => Exit::Usage,
    }
}

/// The name of the command in a command line that may be wrong otherwise.
fn command_name<Word: Into<OsString> + Clone>(words: impl IntoIterator<Item = Word>) -> Option<String> {
    let matches = CommandLine::command().ignore_errors(true).try_get_matches_from(words).ok()?;
    matches.subcommand_name().map(str::to_owned)
}

/// The command line with MongooseIM's commands, for the manual pages, completion scripts and help.
pub fn full_command() -> clap::Command {
    CommandLine::command().subcommands(mongooseimctl::clap_commands())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        CommandLine::command().debug_assert();
        full_command().debug_assert();
    }

    #[test]
    fn what_follows_an_unknown_word_is_passed_on_unchanged() {
        let line =
            CommandLine::parse_from(["domainctl", "--url", "http://x", "domain", "addDomain", "--url", "--help"]);
        assert_eq!(line.flags.url.as_deref(), Some("http://x"));
        let Some(Command::Other(words)) = line.command else { panic!("a command") };
        assert_eq!(words, ["domain", "addDomain", "--url", "--help"]);
    }

    #[test]
    fn the_command_is_known_even_where_its_arguments_are_wrong() {
        assert_eq!(command_name(["domainctl", "--url", "diff", "apply", "--nonsense"]).as_deref(), Some("apply"));
        assert_eq!(command_name(["domainctl", "add", "apply", "--nonsense"]).as_deref(), Some("add"));
        assert_eq!(command_name(["domainctl"]), None);
    }

    #[test]
    fn there_is_no_flag_for_a_password() {
        assert!(CommandLine::try_parse_from(["domainctl", "--password", "secret", "doctor"]).is_err());
    }
}
