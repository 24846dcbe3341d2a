//! The help of MongooseIM's commands: names in one column, descriptions in another.
//!
//! Lines are two columns narrower than the terminal; without a terminal they have 78. Escape sequences are written to a
//! terminal only.

use std::fmt::{self, Display, Formatter};

use console::{StyledObject, Term, measure_text_width, style};

use super::commands::{CATEGORIES, Category, Command};

/// Descriptions that would be narrower than this get lines of their own.
const MIN_DESCRIPTION_WIDTH: usize = 40;

/// A help text.
#[derive(Debug, Clone, Copy)]
pub enum Help {
    /// Of the program.
    General,
    /// Of a category.
    Category(&'static Category),
    /// Of a command.
    Command(&'static Category, &'static Command),
}

impl Display for Help {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let width = Term::stdout().size_checked().map_or(80, |(_, columns)| usize::from(columns)).saturating_sub(2);
        match self {
            Help::General => general(f, width),
            Help::Category(category) => of_category(f, category, width),
            Help::Command(category, command) => of_command(f, category, command, width),
        }
    }
}

fn general(f: &mut Formatter<'_>, width: usize) -> fmt::Result {
    usage(f, "[category] command [arguments]")?;
    paragraph(f, "These are the categories of commands:", width)?;
    let categories = CATEGORIES.iter().map(|category| (category.name, category.description.to_owned()));
    columns(f, categories, width)?;
    hint(f, "To list the commands of a category:", "domainctl category")?;
    paragraph(f, "And this command needs no category:", width)?;
    let graphql = ("graphql", "Runs the GraphQL document that is its argument".to_owned());
    columns(f, [graphql].into_iter(), width)?;
    hint(f, "Short commands for people, and how to choose the server:", "domainctl --help")
}

fn of_category(f: &mut Formatter<'_>, category: &Category, width: usize) -> fmt::Result {
    usage(f, &format!("{} command arguments", category.name))?;
    paragraph(f, &format!("These are the commands of the category '{}':", category.name), width)?;
    columns(f, category.commands.iter().map(|command| (command.name, command.description.to_owned())), width)?;
    hint(f, "To list the arguments of a command:", &format!("domainctl {} command --help", category.name))
}

fn of_command(f: &mut Formatter<'_>, category: &Category, command: &Command, width: usize) -> fmt::Result {
    usage(f, &format!("{} {} arguments", category.name, command.name))?;
    paragraph(f, &format!("{}.", command.description), width)?;
    if command.arguments.is_empty() {
        return paragraph(f, "This command takes no arguments.", width);
    }
    paragraph(f, "Each argument is two words, --name and its value, in any order. Their names and types are:", width)?;
    columns(f, command.arguments.iter().map(|argument| (argument.name, argument.type_text())), width)?;
    let notes = "An argument whose type ends with ! must be given. Put a value in quotes when the shell would \
                 change it. Lists and objects, where a type wants one, are written in JSON.";
    paragraph(f, notes, width)
}

fn usage(f: &mut Formatter<'_>, words: &str) -> fmt::Result {
    writeln!(f, "{} domainctl {words}\n", strong("Usage:"))
}

fn strong(text: &str) -> StyledObject<&str> {
    style(text).bold()
}

fn paragraph(f: &mut Formatter<'_>, text: &str, width: usize) -> fmt::Result {
    wrapped(text, width).iter().try_for_each(|line| writeln!(f, "{line}"))?;
    writeln!(f)
}

fn hint(f: &mut Formatter<'_>, text: &str, line: &str) -> fmt::Result {
    writeln!(f, "{text}\n  {line}\n")
}

fn columns<'a>(
    f: &mut Formatter<'_>,
    rows: impl Iterator<Item = (&'a str, String)> + Clone,
    width: usize,
) -> fmt::Result {
    let names = rows.clone().map(|(name, _)| measure_text_width(name)).max().unwrap_or(0);
    let column = names + 4;
    for (name, text) in rows {
        let padded = format!("{name:names$}");
        if width < column + MIN_DESCRIPTION_WIDTH {
            writeln!(f, "  {}", strong(padded.trim_end()))?;
            wrapped(&text, width.saturating_sub(4)).iter().try_for_each(|line| writeln!(f, "    {line}"))?;
            continue;
        }
        for (n, line) in wrapped(&text, width - column).iter().enumerate() {
            match n {
                0 => writeln!(f, "  {}  {line}", strong(&padded))?,
                _ => writeln!(f, "{:column$}{line}", "")?,
            }
        }
    }
    writeln!(f)
}

/// Wraps a text into lines; a word that is too long gets a line of its own.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.len() - 1;
        let line = &mut lines[last];
        if line.is_empty() {
            line.push_str(word);
        } else if measure_text_width(line) + 1 + measure_text_width(word) <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    struct At<F: Fn(&mut Formatter<'_>) -> fmt::Result>(F);

    impl<F: Fn(&mut Formatter<'_>) -> fmt::Result> Display for At<F> {
        fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
            self.0(f)
        }
    }

    #[test]
    fn names_and_descriptions_are_in_columns_that_fit() {
        let category = &CATEGORIES[0];
        let text = At(|f| of_category(f, category, 78)).to_string();
        assert!(text.starts_with("Usage: domainctl domain command arguments\n"), "{text}");
        assert!(text.contains("\n  addDomain             Adds a domain"), "{text}");
        assert!(text.contains("domainctl domain command --help"), "{text}");
        assert!(text.lines().all(|line| line.len() <= 78), "{text}");
    }

    #[test]
    fn in_a_narrow_terminal_descriptions_have_lines_of_their_own() {
        let text = At(|f| of_category(f, &CATEGORIES[0], 60)).to_string();
        assert!(text.contains("\n  addDomain\n    Adds a domain"), "{text}");
        assert!(text.lines().all(|line| line.len() <= 60), "{text}");
    }

    #[test]
    fn a_command_shows_its_arguments_with_their_types() {
        let category = &CATEGORIES[0];
        let text = At(|f| of_command(f, category, &category.commands[0], 78)).to_string();
        assert!(text.starts_with("Usage: domainctl domain addDomain arguments\n"), "{text}");
        assert!(text.contains("\n  domain    DomainName!\n  hostType  String!\n"), "{text}");
    }
}
