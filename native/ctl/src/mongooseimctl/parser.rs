//! Parses a line of MongooseIM's syntax: `<category> <command> --<argument> <value> …`.
//!
//! Words are read from left to right, and the first invalid one is reported. A name is followed by its value, whatever
//! that looks like; of two equal names the last one counts. Missing arguments are reported when all others are valid.

use serde_json::{Map, Value};

use super::commands::{ArgumentType, CATEGORIES, Category, Command, Need};

/// A valid line.
#[derive(Debug)]
pub enum ParsedLine {
    /// Show the commands of a category.
    CategoryHelp(&'static Category),
    /// Show the arguments of a command.
    CommandHelp(&'static Category, &'static Command),
    /// Run a command with these arguments.
    Run(&'static Category, &'static Command, Map<String, Value>),
    /// Run a GraphQL document.
    Document(String),
}

/// An invalid line, with the help to show.
#[derive(Debug)]
pub enum ParseError {
    /// The line is empty.
    Empty,
    /// The first word is invalid.
    Line(String),
    /// The second word is invalid.
    Category(&'static Category, String),
    /// The arguments are invalid.
    Command(&'static Category, &'static Command, String),
    /// The arguments of `graphql` are invalid.
    Document(String),
}

/// Parses a line.
pub fn parse(words: &[String]) -> Result<ParsedLine, ParseError> {
    let (first, rest) = words.split_first().ok_or(ParseError::Empty)?;
    if first == "graphql" {
        return match rest {
            [document] => Ok(ParsedLine::Document(document.clone())),
            _ => Err(ParseError::Document("This command requires one argument: a GraphQL document".to_owned())),
        };
    }
    let category = CATEGORIES.iter().find(|category| category.name == first);
    let category = category.ok_or_else(|| ParseError::Line("Unknown category".to_owned()))?;
    let Some((name, rest)) = rest.split_first() else { return Ok(ParsedLine::CategoryHelp(category)) };
    let command = category.command(name);
    let command = command.ok_or_else(|| ParseError::Category(category, format!("Unknown command '{name}'")))?;
    if let [only] = rest
        && only == "--help"
    {
        return Ok(ParsedLine::CommandHelp(category, command));
    }
    match arguments(command, rest) {
        Ok(arguments) => Ok(ParsedLine::Run(category, command, arguments)),
        Err(text) => Err(ParseError::Command(category, command, text)),
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

/// Converts a value to the argument's type; only a number is no string.
fn converted(kind: ArgumentType, value: &str) -> Option<Value> {
    match kind {
        ArgumentType::Int => value.parse::<i32>().ok().map(Value::from),
        ArgumentType::DomainName | ArgumentType::DomainStatus | ArgumentType::NonEmptyString | ArgumentType::String => {
            Some(Value::from(value))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parsed(line: &str) -> Result<ParsedLine, ParseError> {
        parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    fn arguments(line: &str) -> Value {
        match parsed(line) {
            Ok(ParsedLine::Run(_, _, arguments)) => Value::Object(arguments),
            other => panic!("{line}: {other:?}"),
        }
    }

    fn error(line: &str) -> String {
        match parsed(line) {
            Err(ParseError::Command(_, command, text)) => format!("{}: {text}", command.name),
            Err(ParseError::Category(_, text) | ParseError::Line(text) | ParseError::Document(text)) => text,
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
    fn only_a_number_is_no_string() {
        assert_eq!(arguments("domain domains --limit 7 --prefix 7"), json!({"limit": 7, "prefix": "7"}));
        let text = "domains: Invalid value 'x' of argument 'limit' for command 'domains'";
        assert_eq!(error("domain domains --limit x"), text);
    }

    #[test]
    fn the_first_invalid_word_is_reported() {
        let unknown = "addDomain: Unknown argument 'x' for command 'addDomain'";
        let unparsable = "addDomain: Could not parse the command arguments";
        assert_eq!(error("domain addDomain --x 1 --y 2 dangling"), unknown);
        assert_eq!(error("domain addDomain --domain a dangling --x"), unparsable);
        assert_eq!(error("domain addDomain --domain"), unparsable);
        assert_eq!(
            error("domain addDomain --domain=a --hostType=t"),
            "addDomain: Unknown argument 'domain=a' for \
                                                                           command 'addDomain'"
        );
        assert_eq!(error("domain addDomain --domain a --hostType"), unparsable);
        assert_eq!(
            error("domain addDomain --help --domain"),
            "addDomain: Unknown argument 'help' for command \
                                                                   'addDomain'"
        );
    }

    #[test]
    fn missing_arguments_are_named_when_all_others_are_valid() {
        let both = "addDomain: Missing mandatory arguments for command 'addDomain': 'domain', 'hostType'";
        assert_eq!(error("domain addDomain"), both);
        let one = "addDomain: Missing mandatory arguments for command 'addDomain': 'domain'";
        assert_eq!(error("domain addDomain --hostType t"), one);
        assert_eq!(error("domain addDomain --x y"), "addDomain: Unknown argument 'x' for command 'addDomain'");
        assert_eq!(arguments("domain allDomains"), json!({}));
    }

    #[test]
    fn an_unknown_category_or_command_is_reported() {
        assert_eq!(error("account"), "Unknown category");
        assert_eq!(error("domain adddomain"), "Unknown command 'adddomain'");
        assert_eq!(error("domain --help"), "Unknown command '--help'");
        assert!(matches!(parse(&[]), Err(ParseError::Empty)));
    }

    #[test]
    fn help_is_shown_where_it_is_the_only_argument() {
        assert!(matches!(parsed("domain"), Ok(ParsedLine::CategoryHelp(_))));
        assert!(matches!(parsed("domain addDomain --help"), Ok(ParsedLine::CommandHelp(_, _))));
    }

    #[test]
    fn graphql_takes_one_document() {
        assert!(
            matches!(parsed("graphql {checkAuth{domain}}"), Ok(ParsedLine::Document(it)) if it == "{checkAuth{domain}}")
        );
        for line in ["graphql", "graphql a b"] {
            assert!(error(line).starts_with("This command requires"));
        }
    }
}
