//! What a line of MongooseIM's grammar means: `<category> <command> --<argument> <value> …`.
//!
//! Words are read from left to right, and the first that makes no sense is what is complained of. A name is followed
//! by its value, whatever that looks like; of two equal names the last counts. What is missing is looked for when
//! all that is there made sense.

use serde_json::{Map, Value};

use super::commands::{CATEGORIES, Category, Command, Kind, Need};

/// A line that makes sense.
#[derive(Debug)]
pub enum Action {
    /// Show the commands of a category.
    ShowCategory(&'static Category),
    /// Show the arguments of a command.
    ShowCommand(&'static Category, &'static Command),
    /// Run a command with these arguments.
    Run(&'static Category, &'static Command, Map<String, Value>),
    /// Run a GraphQL document.
    Document(String),
}

/// A line that makes none; and the help that is of use.
#[derive(Debug)]
pub enum Complaint {
    /// There is no word at all.
    Nothing,
    /// About the first word.
    Line(String),
    /// About the second.
    Category(&'static Category, String),
    /// About those behind.
    Command(&'static Category, &'static Command, String),
    /// About `graphql`.
    Document(String),
}

/// Reads a line.
pub fn parse(words: &[String]) -> Result<Action, Complaint> {
    let (first, rest) = words.split_first().ok_or(Complaint::Nothing)?;
    if first == "graphql" {
        return match rest {
            [document] => Ok(Action::Document(document.clone())),
            _ => Err(Complaint::Document("This command requires one argument: a GraphQL document".to_owned())),
        };
    }
    let category = CATEGORIES.iter().find(|category| category.name == first);
    let category = category.ok_or_else(|| Complaint::Line("Unknown category".to_owned()))?;
    let Some((name, rest)) = rest.split_first() else { return Ok(Action::ShowCategory(category)) };
    let command = category.command(name);
    let command = command.ok_or_else(|| Complaint::Category(category, format!("Unknown command '{name}'")))?;
    if let [only] = rest
        && only == "--help"
    {
        return Ok(Action::ShowCommand(category, command));
    }
    match arguments(command, rest) {
        Ok(arguments) => Ok(Action::Run(category, command, arguments)),
        Err(text) => Err(Complaint::Command(category, command, text)),
    }
}

fn arguments(command: &Command, mut words: &[String]) -> Result<Map<String, Value>, String> {
    let mut given = Map::new();
    while !words.is_empty() {
        let [name, value, rest @ ..] = words else { return Err(unparsable()) };
        let name = name.strip_prefix("--").ok_or_else(unparsable)?;
        let argument = command.arguments.iter().find(|argument| argument.name == name);
        let argument = argument.ok_or_else(|| format!("Unknown argument '{name}' for command '{}'", command.name))?;
        let value = converted(argument.kind, value)
            .ok_or_else(|| format!("Invalid value '{value}' of argument '{name}' for command '{}'", command.name))?;
        given.insert(name.to_owned(), value);
        words = rest;
    }
    let missing = command.arguments.iter().filter(|it| it.need == Need::Required && !given.contains_key(it.name));
    match missing.map(|argument| format!("'{}'", argument.name)).collect::<Vec<_>>().join(", ") {
        none if none.is_empty() => Ok(given),
        names => Err(format!("Missing mandatory arguments for command '{}': {names}", command.name)),
    }
}

fn unparsable() -> String {
    "Could not parse the command arguments".to_owned()
}

/// Only a number is no text.
fn converted(kind: Kind, value: &str) -> Option<Value> {
    match kind {
        Kind::Int => value.parse::<i32>().ok().map(Value::from),
        Kind::DomainName | Kind::DomainStatus | Kind::NonEmptyString | Kind::String => Some(Value::from(value)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parsed(line: &str) -> Result<Action, Complaint> {
        parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    fn arguments(line: &str) -> Value {
        match parsed(line) {
            Ok(Action::Run(_, _, arguments)) => Value::Object(arguments),
            other => panic!("{line}: {other:?}"),
        }
    }

    fn complaint(line: &str) -> String {
        match parsed(line) {
            Err(Complaint::Command(_, command, text)) => format!("{}: {text}", command.name),
            Err(Complaint::Category(_, text) | Complaint::Line(text) | Complaint::Document(text)) => text,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn the_order_of_arguments_is_free() {
        let wanted = json!({"domain": "a", "hostType": "t"});
        assert_eq!(arguments("domain addDomain --domain a --hostType t"), wanted);
        assert_eq!(arguments("domain addDomain --hostType t --domain a"), wanted);
    }

    #[test]
    fn of_two_equal_arguments_the_last_counts() {
        assert_eq!(arguments("domain enableDomain --domain a --domain b"), json!({"domain": "b"}));
    }

    #[test]
    fn what_follows_a_name_is_its_value_whatever_it_looks_like() {
        assert_eq!(arguments("domain enableDomain --domain --domain"), json!({"domain": "--domain"}));
        assert_eq!(arguments("domain enableDomain --domain --help"), json!({"domain": "--help"}));
    }

    #[test]
    fn only_a_number_is_no_text() {
        assert_eq!(arguments("domain domains --limit 7 --prefix 7"), json!({"limit": 7, "prefix": "7"}));
        let text = "domains: Invalid value 'x' of argument 'limit' for command 'domains'";
        assert_eq!(complaint("domain domains --limit x"), text);
    }

    #[test]
    fn the_first_word_that_makes_no_sense_is_complained_of() {
        let unknown = "addDomain: Unknown argument 'x' for command 'addDomain'";
        let unparsable = "addDomain: Could not parse the command arguments";
        assert_eq!(complaint("domain addDomain --x 1 --y 2 dangling"), unknown);
        assert_eq!(complaint("domain addDomain --domain a dangling --x"), unparsable);
        assert_eq!(complaint("domain addDomain --domain"), unparsable);
        assert_eq!(
            complaint("domain addDomain --domain=a --hostType=t"),
            "addDomain: Unknown argument 'domain=a' for \
                                                                           command 'addDomain'"
        );
        assert_eq!(complaint("domain addDomain --domain a --hostType"), unparsable);
        assert_eq!(
            complaint("domain addDomain --help --domain"),
            "addDomain: Unknown argument 'help' for command \
                                                                   'addDomain'"
        );
    }

    #[test]
    fn what_is_missing_is_named_when_all_else_made_sense() {
        let both = "addDomain: Missing mandatory arguments for command 'addDomain': 'domain', 'hostType'";
        assert_eq!(complaint("domain addDomain"), both);
        let one = "addDomain: Missing mandatory arguments for command 'addDomain': 'domain'";
        assert_eq!(complaint("domain addDomain --hostType t"), one);
        assert_eq!(complaint("domain addDomain --x y"), "addDomain: Unknown argument 'x' for command 'addDomain'");
        assert_eq!(arguments("domain allDomains"), json!({}));
    }

    #[test]
    fn words_that_are_no_category_or_command_are_complained_of() {
        assert_eq!(complaint("account"), "Unknown category");
        assert_eq!(complaint("domain adddomain"), "Unknown command 'adddomain'");
        assert_eq!(complaint("domain --help"), "Unknown command '--help'");
        assert!(matches!(parse(&[]), Err(Complaint::Nothing)));
    }

    #[test]
    fn help_is_shown_where_it_is_the_only_argument() {
        assert!(matches!(parsed("domain"), Ok(Action::ShowCategory(_))));
        assert!(matches!(parsed("domain addDomain --help"), Ok(Action::ShowCommand(_, _))));
    }

    #[test]
    fn graphql_takes_one_document() {
        assert!(
            matches!(parsed("graphql {checkAuth{domain}}"), Ok(Action::Document(it)) if it == "{checkAuth{domain}}")
        );
        for line in ["graphql", "graphql a b"] {
            assert!(complaint(line).starts_with("This command requires"));
        }
    }
}
