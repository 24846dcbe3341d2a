//! A parsed document: the chosen operation, and the fields that it calls, with fragments resolved.
//!
//! A document is bounded before the GraphQL library validates it, because its rules recurse: deep nesting would
//! overflow the stack, which ends the program, and fragments that spread each other twice would take forever. The
//! bounds apply to the parsed document: nesting, parts, and fields with all fragments spread. [`parser`](super::parser)
//! makes the parsing itself safe.

use std::collections::HashMap;

use async_graphql::parser::types::{
    BaseType, Directive, ExecutableDocument, Field, FragmentDefinition, OperationDefinition, OperationType, Selection,
    SelectionSet, Type,
};
use async_graphql::parser::{Error, parse_query};
use async_graphql::{Name, Pos, Positioned, Value as Constant, Variables};
use async_graphql_value::Value;

use super::error::{Code, GraphqlError};

/// The deepest nesting of brackets.
const MAX_NESTING: usize = 64;

/// The most selections around a field, with all fragments spread. The queries by which editors read the schema need
/// half of it.
const MAX_DEPTH: usize = 32;

/// The most selections, arguments, directives and variables in a document; also, fields with all fragments spread.
const MAX_PARTS: usize = 10_000;

/// The most fragments in a document.
const MAX_FRAGMENTS: usize = 100;

/// A parsed document with a chosen operation.
#[derive(Debug, Clone)]
pub struct Document {
    /// The library's form of it.
    pub parsed: ExecutableDocument,
    /// The operation name in the request.
    operation_name: Option<String>,
}

/// A field that an operation calls.
#[derive(Debug)]
pub struct Call<'a> {
    /// The names of the fields around it, from the outside in, and its own.
    pub names: Vec<&'a str>,
    /// The same as keys of the response: aliases instead of names.
    pub path: Vec<&'a str>,
    /// The field itself.
    pub field: &'a Positioned<Field>,
}

/// An argument, found by its position.
pub struct Argument<'a> {
    /// The path of its field.
    pub path: Vec<&'a str>,
    /// Its value.
    pub value: &'a Value,
}

impl Document {
    /// Parses a text. Needs a stack that has room for the parser: see [`parser`](super::parser).
    pub(super) fn parse(text: &str, operation_name: Option<String>) -> Result<Document, GraphqlError> {
        let document = Document { parsed: parse_query(text).map_err(syntax_error)?, operation_name };
        if document.nesting() > MAX_NESTING {
            return Err(too_deep());
        }
        document.check_parts()?;
        for (_, operation) in document.parsed.operations.iter() {
            document.calls_of(&operation.node)?;
        }
        document.operation()?;
        Ok(document)
    }

    /// The operation that the client named, or the only one; with its name, if it has one.
    pub fn operation(&self) -> Result<(Option<&Name>, &OperationDefinition), GraphqlError> {
        let mut operations = self.parsed.operations.iter();
        let found = match &self.operation_name {
            Some(wanted) => operations.find(|(name, _)| name.is_some_and(|name| name == wanted.as_str())),
            None if operations.len() == 1 => operations.next(),
            None => None,
        };
        let message = || match &self.operation_name {
            Some(wanted) => format!("There is no operation named {wanted}"),
            None => "There is more than one operation: the request must name one".to_owned(),
        };
        match found {
            Some((name, operation)) => Ok((name, &operation.node)),
            None => Err(GraphqlError::new(Code::OperationNotFound, message())),
        }
    }

    /// Whether its operation is a query, a mutation or a subscription.
    pub fn kind(&self) -> Result<OperationType, GraphqlError> {
        Ok(self.operation()?.1.ty)
    }

    /// The operation's name in messages about permissions.
    pub fn operation_label(&self) -> &str {
        self.operation_name.as_deref().unwrap_or("ROOT")
    }

    /// The path of a variable in errors.
    pub fn path_of_variable(&self, variable: &str) -> [String; 2] {
        let name = self.operation().ok().and_then(|(name, _)| name).map_or("..", Name::as_str);
        [name.to_owned(), variable.to_owned()]
    }

    /// Checks that every variable without a default is given.
    pub fn check_variables(&self, given: &Variables) -> Result<(), GraphqlError> {
        for definition in &self.operation()?.1.variable_definitions {
            let name = &definition.node.name.node;
            if definition.node.default_value().is_none() && !given.contains_key(name) {
                let message = format!("The variable {name} must not be null or missing");
                return Err(GraphqlError::new(Code::MissingNonNullParam, message).at(self.path_of_variable(name)));
            }
        }
        Ok(())
    }

    /// The value of an argument, with its variables replaced; `None` where one is not given.
    pub fn resolve(&self, value: &Value, given: &Variables) -> Option<Constant> {
        value.clone().into_const_with(|name| self.variable(&name, given).ok_or(())).ok()
    }

    fn variable(&self, name: &Name, given: &Variables) -> Option<Constant> {
        let definitions = &self.operation().ok()?.1.variable_definitions;
        let default = definitions.iter().find(|it| it.node.name.node == *name).and_then(|it| it.node.default_value());
        given.get(name).or(default).cloned()
    }

    /// The fields that the chosen operation calls.
    pub fn calls(&self) -> Result<Vec<Call<'_>>, GraphqlError> {
        self.calls_of(self.operation()?.1)
    }

    /// The path of the field at this position: the last one that begins before it.
    pub fn path_at(&self, position: Pos) -> Vec<String> {
        let calls = self.calls().unwrap_or_default();
        let call = calls.iter().filter(|call| call.field.pos <= position).max_by_key(|call| call.field.pos);
        call.map(|call| call.path.iter().map(|&key| key.to_owned()).collect()).unwrap_or_default()
    }

    /// The argument whose name is at this position.
    pub fn argument_at(&self, position: Pos) -> Option<Argument<'_>> {
        self.calls().ok()?.into_iter().find_map(|call| {
            let Field { arguments, directives, .. } = &call.field.node;
            let of_directives = directives.iter().flat_map(|directive| &directive.node.arguments);
            let (_, value) = arguments.iter().chain(of_directives).find(|(name, _)| name.pos == position)?;
            Some(Argument { path: call.path, value: &value.node })
        })
    }

    fn calls_of<'a>(&'a self, operation: &'a OperationDefinition) -> Result<Vec<Call<'a>>, GraphqlError> {
        let mut spreading = Spreading { fragments: &self.parsed.fragments, calls: Vec::new(), left: MAX_PARTS };
        spreading.spread(&operation.selection_set.node, &Around::default())?;
        Ok(spreading.calls)
    }

    /// How many brackets there are around the most deeply nested part.
    fn nesting(&self) -> usize {
        let operations = self.parsed.operations.iter().map(|(_, operation)| {
            let OperationDefinition { variable_definitions, directives, selection_set, .. } = &operation.node;
            let variables = variable_definitions.iter().map(|variable| {
                let default = variable.node.default_value.as_ref().map_or(0, |it| nesting_of_constant(&it.node));
                let marks = nesting_of_directives(&variable.node.directives);
                1 + nesting_of_type(&variable.node.var_type.node).max(default).max(marks)
            });
            let inner = nesting_of_selections(&selection_set.node).max(nesting_of_directives(directives));
            variables.max().unwrap_or(0).max(inner)
        });
        let fragments = self.parsed.fragments.values().map(|fragment| {
            nesting_of_selections(&fragment.node.selection_set.node)
                .max(nesting_of_directives(&fragment.node.directives))
        });
        operations.chain(fragments).max().unwrap_or(0)
    }

    fn check_parts(&self) -> Result<(), GraphqlError> {
        let operations = self.parsed.operations.iter().map(|(_, operation)| &operation.node);
        let fragments = self.parsed.fragments.values().map(|fragment| &fragment.node);
        let of_operations = operations.map(|operation| {
            let variables = &operation.variable_definitions;
            let marks: usize = variables.iter().map(|it| directives(&it.node.directives)).sum();
            variables.len() + marks + directives(&operation.directives) + parts(&operation.selection_set.node)
        });
        let of_fragments =
            fragments.map(|fragment| directives(&fragment.directives) + parts(&fragment.selection_set.node));
        let all: usize = of_operations.chain(of_fragments).sum();
        if all > MAX_PARTS || self.parsed.fragments.len() > MAX_FRAGMENTS { Err(too_complex()) } else { Ok(()) }
    }
}

/// The fields around a selection.
#[derive(Default, Clone)]
struct Around<'a> {
    names: Vec<&'a str>,
    path: Vec<&'a str>,
    depth: usize,
}

struct Spreading<'a> {
    fragments: &'a HashMap<Name, Positioned<FragmentDefinition>>,
    calls: Vec<Call<'a>>,
    left: usize,
}

impl<'a> Spreading<'a> {
    fn spread(&mut self, selections: &'a SelectionSet, around: &Around<'a>) -> Result<(), GraphqlError> {
        if around.depth > MAX_DEPTH {
            return Err(too_deep());
        }
        let mut inner = Around { depth: around.depth + 1, ..around.clone() };
        for selection in &selections.items {
            self.left = self.left.checked_sub(1).ok_or_else(too_complex)?;
            match &selection.node {
                Selection::Field(field) => {
                    inner.names.push(&field.node.name.node);
                    inner.path.push(&field.node.response_key().node);
                    self.calls.push(Call { names: inner.names.clone(), path: inner.path.clone(), field });
                    self.spread(&field.node.selection_set.node, &inner)?;
                    inner.names.pop();
                    inner.path.pop();
                }
                Selection::InlineFragment(fragment) => self.spread(&fragment.node.selection_set.node, &inner)?,
                Selection::FragmentSpread(spread) => {
                    if let Some(fragment) = self.fragments.get(&spread.node.fragment_name.node) {
                        self.spread(&fragment.node.selection_set.node, &inner)?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// The number of parts of a selection; the parser bounds the recursion.
fn parts(selections: &SelectionSet) -> usize {
    let part = |selection: &Selection| match selection {
        Selection::Field(field) => field.node.arguments.len() + parts(&field.node.selection_set.node),
        Selection::InlineFragment(fragment) => parts(&fragment.node.selection_set.node),
        Selection::FragmentSpread(_) => 0,
    };
    selections.items.iter().map(|it| 1 + directives(it.node.directives()) + part(&it.node)).sum()
}

fn directives(directives: &[Positioned<Directive>]) -> usize {
    directives.iter().map(|directive| 1 + directive.node.arguments.len()).sum()
}

fn nesting_of_selections(selections: &SelectionSet) -> usize {
    let nested = selections.items.iter().map(|selection| {
        let inner = match &selection.node {
            Selection::Field(field) => {
                let arguments = field.node.arguments.iter().map(|(_, value)| 1 + nesting_of_value(&value.node));
                arguments.max().unwrap_or(0).max(nesting_of_selections(&field.node.selection_set.node))
            }
            Selection::InlineFragment(fragment) => nesting_of_selections(&fragment.node.selection_set.node),
            Selection::FragmentSpread(_) => 0,
        };
        1 + inner.max(nesting_of_directives(selection.node.directives()))
    });
    nested.max().unwrap_or(0)
}

fn nesting_of_directives(directives: &[Positioned<Directive>]) -> usize {
    let values = directives.iter().flat_map(|directive| &directive.node.arguments);
    values.map(|(_, value)| 1 + nesting_of_value(&value.node)).max().unwrap_or(0)
}

fn nesting_of_type(r#type: &Type) -> usize {
    match &r#type.base {
        BaseType::Named(_) => 0,
        BaseType::List(inner) => 1 + nesting_of_type(inner),
    }
}

fn nesting_of_value(value: &Value) -> usize {
    match value {
        Value::List(items) => 1 + items.iter().map(nesting_of_value).max().unwrap_or(0),
        Value::Object(fields) => 1 + fields.values().map(nesting_of_value).max().unwrap_or(0),
        _ => 0,
    }
}

fn nesting_of_constant(value: &Constant) -> usize {
    match value {
        Constant::List(items) => 1 + items.iter().map(nesting_of_constant).max().unwrap_or(0),
        Constant::Object(fields) => 1 + fields.values().map(nesting_of_constant).max().unwrap_or(0),
        _ => 0,
    }
}

/// The error of a text that does not parse. The parser's own message would quote the text, which may contain a
/// password.
fn syntax_error(error: Error) -> GraphqlError {
    if error == Error::RecursionLimitExceeded {
        return too_deep();
    }
    let position = error.positions().next().map(|at| format!(" at line {}, column {}", at.line, at.column));
    let what = match &error {
        Error::Syntax { .. } => "syntax error".to_owned(),
        other => other.to_string(),
    };
    GraphqlError::new(Code::ParserError, format!("The document makes no sense{}: {what}", position.unwrap_or_default()))
}

pub(super) fn too_deep() -> GraphqlError {
    GraphqlError::new(Code::QueryTooDeep, "The document is nested too deep")
}

pub(super) fn too_complex() -> GraphqlError {
    GraphqlError::new(Code::QueryTooComplex, "The document asks for too much at once")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> Option<Code> {
        Document::parse(text, None).err().map(|error| error.code())
    }

    #[test]
    fn brackets_are_counted_wherever_they_are() {
        let (open, close) = (|text: &str, count| text.repeat(count), |text: &str, count| text.repeat(count));
        let deep = |begin: &str, left: &str, middle: &str, right: &str, end: &str| {
            let text = |count| format!("{begin}{}{middle}{}{end}", open(left, count), close(right, count));
            (refused(&text(20)), refused(&text(MAX_NESTING + 1)))
        };
        let bounded = (None, Some(Code::QueryTooDeep));
        assert_eq!(deep("{a(b: ", "[", "1", "]", ")}"), bounded);
        assert_eq!(deep("{a(b: ", "{c: ", "1", "}", ")}"), bounded);
        assert_eq!(deep("{a @b(c: ", "[", "1", "]", ")}"), bounded);
        assert_eq!(deep("query @b(c: ", "[", "1", "]", ") {a}"), bounded);
        assert_eq!(deep("query($v: ", "[", "Int", "]", ") {a}"), bounded);
        assert_eq!(deep("query($v: Int = ", "[", "1", "]", ") {a}"), bounded);
        assert_eq!(deep("{...F} fragment F on T @b(c: ", "[", "1", "]", ") {a}"), bounded);
        assert_eq!(deep("{", "a {", "a", "}", "}"), bounded);
        assert_eq!(deep("{", "... {", "a", "}", "}"), bounded);
    }

    #[test]
    fn brackets_in_strings_and_comments_are_none() {
        let many = "{[(".repeat(100);
        let text = format!("{{a(b: \"\\\"{many}\", c: \"\"\"\"{many}\\\"\"\"\"\"\") # {many}\n}}");
        assert_eq!(refused(&text), None);
    }

    #[test]
    fn fragments_that_multiply_are_refused_before_they_do() {
        let fragment = |n: usize| format!("fragment f{n} on Q {{...f{} ...f{}}}", n + 1, n + 1);
        let bomb: String = (0..30).map(fragment).collect();
        assert_eq!(refused(&format!("{{...f0}} {bomb} fragment f30 on Q {{a}}")), Some(Code::QueryTooComplex));
        assert_eq!(refused("{...f} fragment f on Q {...f}"), Some(Code::QueryTooDeep));
        let chain: String = (0..5_000).map(|n| format!("fragment f{n} on Q {{...f{}}}", n + 1)).collect();
        assert_eq!(refused(&format!("{{a}} {chain}")), Some(Code::QueryTooComplex));
    }

    #[test]
    fn many_parts_are_too_many() {
        assert_eq!(refused(&format!("{{{}}}", "a ".repeat(MAX_PARTS))), None);
        assert_eq!(refused(&format!("{{{}}}", "a ".repeat(MAX_PARTS + 1))), Some(Code::QueryTooComplex));
        assert_eq!(refused(&format!("{{a({})}}", "b: 1 ".repeat(MAX_PARTS))), Some(Code::QueryTooComplex));
    }

    #[test]
    fn what_does_not_parse_is_not_quoted() {
        let error = Document::parse("mutation { domain { setDomainPassword(password: \"secret\" }", None).err();
        let message = error.map(|error| error.to_string()).unwrap_or_default();
        assert!(message.starts_with("The document makes no sense at line 1, column "), "{message}");
        assert!(!message.contains("secret"));
    }

    #[test]
    fn the_operation_is_the_one_that_is_named_or_the_only_one() {
        let named =
            |text, name: &str| Document::parse(text, Some(name.to_owned())).map(|it| it.operation_label().to_owned());
        assert_eq!(refused("query A {a} query B {b}"), Some(Code::OperationNotFound));
        assert_eq!(named("query A {a} query B {b}", "B"), Ok("B".to_owned()));
        assert_eq!(named("query A {a}", "B").map_err(|error| error.code()), Err(Code::OperationNotFound));
        assert_eq!(named("{a}", "B").map_err(|error| error.code()), Err(Code::OperationNotFound));
        assert_eq!(refused("query A {a}"), None);
    }

    #[test]
    fn calls_are_found_through_aliases_and_fragments() -> Result<(), GraphqlError> {
        let document = Document::parse("{x: a {... on T {...f}}} fragment f on T {y: b(c: $v) {d}}", None)?;
        let paths: Vec<_> = document.calls()?.into_iter().map(|call| (call.names, call.path)).collect();
        let expected =
            [(vec!["a"], vec!["x"]), (vec!["a", "b"], vec!["x", "y"]), (vec!["a", "b", "d"], vec!["x", "y", "d"])];
        assert_eq!(paths, expected);
        assert_eq!(document.path_at(Pos { line: 1, column: 52 }), ["x", "y"]);
        Ok(())
    }
}
