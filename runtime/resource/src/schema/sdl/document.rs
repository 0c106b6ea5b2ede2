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

fn named(found: Option<cst::Name>, name: &str) -> bool {
    found.is_some_and(|found| found.text().as_str() == name)
}
