//! The words of an expression.

use super::ExpressionError;

/// One word, and where it begins in bytes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) at: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum TokenKind {
    Number(f64),
    Text(String),
    /// The texts of a template and the source of what stands between them, with its place.
    Template(Vec<String>, Vec<(String, usize)>),
    Name(String),
    Sign(&'static str),
    End,
}

/// The longest before their beginnings.
const SIGNS: [&str; 41] = [
    "===", "!==", "**=", "...", "=>", "==", "!=", "<=", ">=", "&&", "||", "??", "?.", "**", "++",
    "--", "+=", "-=", "<<", ">>", "+", "-", "*", "/", "%", "<", ">", "!", "?", ":", "(", ")", "[",
    "]", "{", "}", ",", ".", "=", ";", "~",
];

pub(super) fn failure(text: &str, at: usize, message: impl Into<String>) -> ExpressionError {
    let at = text.get(..at).map_or(at, |before| before.chars().count());
    ExpressionError { at, message: message.into() }
}

pub(super) fn tokens(text: &str) -> Result<Vec<Token>, ExpressionError> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(next) = text[at..].chars().next() {
        if next.is_whitespace() {
            at += next.len_utf8();
            continue;
        }
        let (kind, length) = match next {
            '0'..='9' => number(text, at)?,
            '.' if text[at + 1..].starts_with(|c: char| c.is_ascii_digit()) => number(text, at)?,
            '"' | '\'' => quoted(text, at, next)?,
            '`' => template(text, at)?,
            c if c.is_alphabetic() || matches!(c, '_' | '$') => {
                let name: String = text[at..]
                    .chars()
                    .take_while(|c| c.is_alphanumeric() || matches!(c, '_' | '$'))
                    .collect();
                let length = name.len();
                (TokenKind::Name(name), length)
            }
            c => {
                let sign = SIGNS.iter().find(|sign| text[at..].starts_with(**sign));
                let Some(sign) = sign else {
                    return Err(failure(text, at, format!("unexpected '{c}'")));
                };
                (TokenKind::Sign(sign), sign.len())
            }
        };
        tokens.push(Token { kind, at });
        at += length;
    }
    tokens.push(Token { kind: TokenKind::End, at });
    Ok(tokens)
}

fn number(text: &str, at: usize) -> Result<(TokenKind, usize), ExpressionError> {
    let rest = &text[at..];
    let mut length = 0;
    let mut before = ' ';
    for c in rest.chars() {
        let exponent_sign = matches!(c, '+' | '-') && matches!(before, 'e' | 'E');
        if !(c.is_ascii_alphanumeric() || c == '.' || c == '_' || exponent_sign) {
            break;
        }
        length += c.len_utf8();
        before = c;
    }
    let digits = rest[..length].replace('_', "");
    let hex = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X"));
    let n = match hex {
        Some(hex) => u64::from_str_radix(hex, 16).ok().map(|n| n as f64),
        None => digits.parse().ok(),
    };
    match n {
        Some(n) => Ok((TokenKind::Number(n), length)),
        None => Err(failure(text, at, format!("'{digits}' is no number"))),
    }
}

fn quoted(text: &str, at: usize, quote: char) -> Result<(TokenKind, usize), ExpressionError> {
    let mut out = String::new();
    let mut chars = text[at + 1..].char_indices();
    while let Some((offset, c)) = chars.next() {
        match c {
            '\\' => out.extend(escaped(&mut chars)),
            c if c == quote => return Ok((TokenKind::Text(out), offset + 2)),
            c => out.push(c),
        }
    }
    Err(failure(text, at, "the text does not end"))
}

fn escaped(chars: &mut std::str::CharIndices<'_>) -> Option<char> {
    Some(match chars.next()?.1 {
        'n' => '\n',
        't' => '\t',
        'r' => '\r',
        'b' => '\u{8}',
        'f' => '\u{c}',
        '0' => '\0',
        'u' => {
            let digits: String = (0..4).filter_map(|_| chars.next()).map(|(_, c)| c).collect();
            char::from_u32(u32::from_str_radix(&digits, 16).ok()?)?
        }
        c => c,
    })
}

fn template(text: &str, at: usize) -> Result<(TokenKind, usize), ExpressionError> {
    let mut texts = vec![String::new()];
    let mut parts = Vec::new();
    let mut chars = text[at + 1..].char_indices();
    while let Some((offset, c)) = chars.next() {
        let here = texts.last_mut().expect("begins with one text");
        match c {
            '`' => return Ok((TokenKind::Template(texts, parts), offset + 2)),
            '\\' => here.extend(escaped(&mut chars)),
            '$' if text[at + 1 + offset..].starts_with("${") => {
                let start = at + 1 + offset + 2;
                chars.next();
                let mut depth = 1;
                let end = chars.by_ref().find_map(|(offset, c)| {
                    depth += match c {
                        '{' => 1,
                        '}' => -1,
                        _ => 0,
                    };
                    (depth == 0).then_some(at + 1 + offset)
                });
                let Some(end) = end else {
                    return Err(failure(text, start, "expected '}' in the template"));
                };
                parts.push((text[start..end].to_owned(), start));
                texts.push(String::new());
            }
            c => here.push(c),
        }
    }
    Err(failure(text, at, "the template does not end"))
}
