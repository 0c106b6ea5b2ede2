//! Reading `schema.graphql` (`spec/harper-schema.md` sections 1 to 4).
//!
//! The text is parsed by apollo-parser; here its syntax tree becomes tables. Only object types are
//! read: other definitions and unknown directives pass silently, as in Harper. What is understood
//! but does little (an unknown scalar) is a [`Warning`]; what would make a table mean something else
//! than it says is a [`SchemaError`]. Both know where they stand.

mod document;
mod fields;
mod source;
mod tolerance;
mod types;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use apollo_parser::Parser;

use self::source::Source;
use self::types::Types;
use super::{ObjectType, TableSchema};

/// What one file declares.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SchemaFile {
    /// The types with `@table`, in the order of the file.
    pub tables: Vec<TableSchema>,
    /// The types without.
    pub objects: Vec<Arc<ObjectType>>,
    pub warnings: Vec<Warning>,
}

/// Something in a schema that is read, but does less than its author may think.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    pub message: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.message)
    }
}

/// Why a file is no schema; displayed with its source line and a mark below the place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}:{line}:{column}: {message}\n{line:>5} | {source_line}\n      | {:>column$}", file.display(), '^')]
pub struct SchemaError {
    pub file: PathBuf,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// What was expected and what was found.
    pub message: String,
    pub source_line: String,
}

/// Reads a schema file; `file` is only named in errors.
pub fn parse(text: &str, file: &Path) -> Result<SchemaFile, SchemaError> {
    let source = Source { text, file };
    let tolerated = tolerance::without_empty_bodies(text);
    let tree = Parser::new(&tolerated).parse();
    let document = tree.document();
    if let Some(error) = tree.errors().next() {
        if document.definitions().next().is_none() && error.is_eof() {
            // Nothing but space and comments: a schema without tables.
            return Ok(SchemaFile::default());
        }
        return Err(source.syntax_error(error));
    }
    Types::new(source, document.definitions())?.read()
}

/// The only table of a schema: for tests all over the crate.
#[cfg(test)]
pub(crate) fn parse_one(text: &str) -> TableSchema {
    let mut file = parse(text, Path::new("schema.graphql")).expect("a schema");
    assert_eq!(file.tables.len(), 1);
    file.tables.remove(0)
}

#[cfg(test)]
mod tests;
