//! Places in the text of a schema, for errors and warnings.

use std::path::Path;

use super::{SchemaError, Warning};

#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) text: &'a str,
    pub(super) file: &'a Path,
}

impl Source<'_> {
    /// Line and column, from 1, of a byte offset.
    fn place(&self, offset: usize) -> (usize, usize) {
        let before = &self.text[..self.text.floor_char_boundary(offset)];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = 1 + before.matches('\n').count();
        (line, 1 + before[line_start..].chars().count())
    }

    pub(super) fn error(&self, offset: usize, message: impl Into<String>) -> SchemaError {
        let (line, column) = self.place(offset);
        SchemaError {
            file: self.file.to_owned(),
            line,
            column,
            message: message.into(),
            source_line: self.text.lines().nth(line - 1).unwrap_or_default().to_owned(),
        }
    }

    pub(super) fn warning(&self, offset: usize, message: impl Into<String>) -> Warning {
        let (line, column) = self.place(offset);
        Warning { line, column, message: message.into() }
    }

    /// The parser's error in our words: its names of tokens are not GraphQL's.
    pub(super) fn syntax_error(&self, error: &apollo_parser::Error) -> SchemaError {
        let mut message = error.message().trim_end_matches('.').to_owned();
        for (name, sign) in TOKENS {
            message = message.replace(name, sign);
        }
        // Past the last character that is no space, or the mark would stand on an empty line.
        let end = self.text.trim_end().len();
        if error.is_eof() || error.index() >= end {
            return self.error(end, format!("{message}, found the end of the file"));
        }
        let found = error.data().lines().next().unwrap_or_default();
        let says_found = message.contains(", got ") || found.is_empty();
        if !says_found {
            message = format!("{message}, found `{found}`");
        }
        self.error(error.index(), message.replace(", got ", ", found "))
    }
}

const TOKENS: [(&str, &str); 8] = [
    ("R_CURLY", "`}`"),
    ("L_CURLY", "`{`"),
    ("R_PAREN", "`)`"),
    ("L_PAREN", "`(`"),
    ("R_BRACK", "`]`"),
    ("L_BRACK", "`[`"),
    (", got EOF", ""),
    ("got EOF", ""),
];
