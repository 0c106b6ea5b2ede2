//! The expressions of `@computed(from: "price * taxRate")` (`spec/harper-schema.md` section 7).
//!
//! HOST: expressions are a part of JavaScript's language (operators, literals, members, templates,
//! arrow functions as arguments, the usual methods of strings and arrays, `Math`) and are evaluated
//! here, not in an isolate. So the writer can keep an index on them consistent inside its own
//! transaction, where no component code may run, and a table with computed attributes is still
//! served without entering an isolate. What the part does not cover is refused when the schema is
//! read, by a message that names the place and `setComputedAttribute`. An expression that throws in
//! JavaScript (a member of `undefined`) is `undefined` here.

mod evaluate;
mod methods;
mod operators;
mod parse;
mod scope;
mod tokens;

use std::fmt;

use crate::Value;
use parse::Node;
use scope::Scope;

/// A parsed expression and the names that are free in it.
#[derive(Clone)]
pub struct Expression {
    text: String,
    root: Node,
    names: Vec<String>,
}

/// Why a text is no expression, or none that is understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} at position {at}")]
pub struct ExpressionError {
    /// In characters, from 0.
    pub at: usize,
    pub message: String,
}

impl Expression {
    pub fn parse(text: &str) -> Result<Expression, ExpressionError> {
        let root = parse::parse(text)?;
        let mut names = Vec::new();
        root.free_names(&mut Vec::new(), &mut names);
        Ok(Expression { text: text.to_owned(), root, names })
    }

    /// The attributes that it looks at, each once.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// As it stands in the schema.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its value where `lookup` gives the attributes; `None` is `undefined`, also of what would throw
    /// in JavaScript or take too much.
    pub fn evaluate(&self, lookup: &dyn Fn(&str) -> Option<Value>) -> Option<Value> {
        Scope::begin(lookup, |scope| self.root.evaluate(scope)).ok().flatten()
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Expression) -> bool {
        self.text == other.text
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expression").field(&self.text).finish()
    }
}

#[cfg(test)]
mod tests;
