//! `completion`, `man` and `help`: texts that are generated from the command line.

use std::io::Write;

use clap_complete::Shell;
use clap_mangen::Man;

use crate::cli;
use crate::error::{Error, Exit, Result};

/// A completion script for a shell.
pub fn completion(shell: Shell, output: &mut impl Write) -> Result<Exit> {
    // The generator panics on a write error, so it writes to memory.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut cli::full_command(), "domainctl", &mut script);
    output.write_all(&script)?;
    Ok(Exit::Done)
}

/// The manual page of the program or of a command.
pub fn manual(command: Option<&str>, output: &mut impl Write) -> Result<Exit> {
    Man::new(find(command)?).render(output)?;
    Ok(Exit::Done)
}

/// The help of the program or of a command.
pub fn help(command: Option<&str>, output: &mut impl Write) -> Result<Exit> {
    write!(output, "{}", find(command)?.render_long_help())?;
    Ok(Exit::Done)
}

/// The program, or one of its commands.
fn find(name: Option<&str>) -> Result<clap::Command> {
    let mut program = cli::full_command();
    program.build();
    match name {
        None => Ok(program),
        Some(name) => {
            let found = program.find_subcommand(name).cloned();
            found.ok_or_else(|| Error::Usage(format!("there is no command {name}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn every_script_has_this_programs_and_mongooseims_commands() {
        for shell in Shell::value_variants() {
            let mut script = Vec::new();
            completion(*shell, &mut script).unwrap();
            let script = String::from_utf8(script).unwrap();
            assert!(
                script.contains("import") && script.contains("addDomain") && script.contains("hostType"),
                "{shell}"
            );
        }
    }

    #[test]
    fn there_is_a_page_for_the_program_and_for_each_command() {
        for command in [None, Some("import"), Some("domain")] {
            let mut page = Vec::new();
            manual(command, &mut page).unwrap();
            assert!(String::from_utf8(page).unwrap().contains(".TH domainctl"), "{command:?}");
        }
        assert!(manual(Some("x"), &mut Vec::new()).is_err());
    }

    #[test]
    fn there_is_help_for_the_program_and_for_each_command() {
        for (command, part) in [(None, "doctor"), (Some("import"), "--dry-run"), (Some("domain"), "addDomain")] {
            let mut text = Vec::new();
            help(command, &mut text).unwrap();
            assert!(String::from_utf8(text).unwrap().contains(part), "{command:?}");
        }
        assert!(help(Some("x"), &mut Vec::new()).is_err());
    }
}
