//! Small readings of apollo-parser's syntax tree: names, directives and their arguments.

use apollo_parser::cst::{self, CstNode};

/// Where a node begins, in bytes.
pub(super) fn offset(node: &impl CstNode) -> usize {
    node.syntax().text_range().start().into()
}

/// The directive of that name; the first, if it comes twice.
pub(super) fn directive(directives: Option<cst::Directives>, name: &str) -> Option<cst::Directive> {
    directives?.directives().find(|directive| named(directive.name(), name))
}

/// An argument's value as text, and where it stands. Quoted and bare values are equal: Harper takes
/// the literal's raw text.
pub(super) fn argument(directive: &cst::Directive, name: &str) -> Option<(String, usize)> {
    let argument =
        directive.arguments()?.arguments().find(|argument| named(argument.name(), name))?;
    let value = argument.value()?;
    let text = match &value {
        cst::Value::StringValue(text) => String::from(text),
        other => other.syntax().text().to_string().trim().to_owned(),
    };
    Some((text, offset(&value)))
}

/// The arguments' names, with their places.
pub(super) fn argument_names(directive: &cst::Directive) -> Vec<(String, usize)> {
    let arguments = directive.arguments();
    let arguments = arguments.iter().flat_map(|arguments| arguments.arguments());
    let name = |argument: cst::Argument| {
        let name = argument.name()?;
        Some((name.text().as_str().to_owned(), offset(&name)))
    };
    arguments.filter_map(name).collect()
}

/// The text of a description.
pub(super) fn description(found: Option<cst::Description>) -> Option<String> {
    let text = String::from(found?.string_value()?);
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

fn named(found: Option<cst::Name>, name: &str) -> bool {
    found.is_some_and(|found| found.text().as_str() == name)
}
