//! `completion`, `man` and `help`: what is generated from the command line itself.

use std::io::Write;

use clap_complete::Shell;
use clap_mangen::Man;

use crate::cli;
use crate::error::{Error, Exit, Result};

/// A script for a shell.
pub fn completion(shell: Shell, output: &mut impl Write) -> Result<Exit> {
    // The generator panics where it cannot write; into memory it always can.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut cli::whole(), "domainctl", &mut script);
    output.write_all(&script)?;
    Ok(Exit::Done)
}

/// The manual page, of a verb if one is given.
pub fn manual(verb: Option<&str>, output: &mut impl Write) -> Result<Exit> {
    Man::new(described(verb)?).render(output)?;
    Ok(Exit::Done)
}

/// What `--help` prints, behind a verb if one is given.
pub fn help(verb: Option<&str>, output: &mut impl Write) -> Result<Exit> {
    write!(output, "{}", described(verb)?.render_long_help())?;
    Ok(Exit::Done)
}

/// The program, or one of its verbs.
fn described(verb: Option<&str>) -> Result<clap::Command> {
    let mut whole = cli::whole();
    whole.build();
    match verb {
        None => Ok(whole),
        Some(verb) => {
            let found = whole.find_subcommand(verb).cloned();
            found.ok_or_else(|| Error::Usage(format!("there is no verb {verb}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn every_shell_is_told_the_verbs_and_the_peers_commands() {
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
    fn there_is_a_page_for_the_program_and_for_each_verb() {
        for verb in [None, Some("import"), Some("domain")] {
            let mut page = Vec::new();
            manual(verb, &mut page).unwrap();
            assert!(String::from_utf8(page).unwrap().contains(".TH domainctl"), "{verb:?}");
        }
        assert!(manual(Some("x"), &mut Vec::new()).is_err());
    }

    #[test]
    fn there_is_help_for_the_program_and_for_each_verb() {
        for (verb, words) in [(None, "doctor"), (Some("import"), "--dry-run"), (Some("domain"), "addDomain")] {
            let mut text = Vec::new();
            help(verb, &mut text).unwrap();
            assert!(String::from_utf8(text).unwrap().contains(words), "{verb:?}");
        }
        assert!(help(Some("x"), &mut Vec::new()).is_err());
    }
}
