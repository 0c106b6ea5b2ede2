//! What Harper's parser takes and apollo-parser does not: types without fields.

use std::borrow::Cow;

/// The text with the braces of empty bodies as spaces, so that all places stay where they are.
pub(super) fn without_empty_bodies(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let mut blanked: Option<Vec<u8>> = None;
    let mut opened: Option<usize> = None;
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'#' => at += text[at..].find('\n').unwrap_or(text.len() - at),
            b'"' => {
                opened = None;
                at += string_length(&text[at..]);
                continue;
            }
            b'{' => opened = Some(at),
            b'}' => {
                if let Some(open) = opened.take() {
                    let out = blanked.get_or_insert_with(|| bytes.to_vec());
                    out[open] = b' ';
                    out[at] = b' ';
                }
            }
            byte if byte.is_ascii_whitespace() || byte == b',' => {}
            _ => opened = None,
        }
        at += 1;
    }
    // Only ASCII signs were replaced by spaces.
    match blanked.map(String::from_utf8) {
        Some(Ok(text)) => Cow::Owned(text),
        Some(Err(_)) | None => Cow::Borrowed(text),
    }
}

/// How long the string is that the text begins with; to the end, if it does not end.
fn string_length(text: &str) -> usize {
    if let Some(block) = text.strip_prefix("\"\"\"") {
        return block.find("\"\"\"").map_or(text.len(), |end| end + 6);
    }
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            b'\n' => return at,
            b'"' if !escaped => return at + 1,
            _ => escaped = byte == b'\\' && !escaped,
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_empty_bodies_are_blanked() {
        for (text, expected) in [
            ("type A { a: Int }", "type A { a: Int }"),
            ("type A @table {}", "type A @table   "),
            ("type A { # none\n }", "type A   # none\n  "),
            ("\"{}\" type A { a: Int @x(y: \"{}\") }", "\"{}\" type A { a: Int @x(y: \"{}\") }"),
            ("\"\"\"{}\"\"\" type A {\n}", "\"\"\"{}\"\"\" type A  \n "),
            ("\"open", "\"open"),
        ] {
            assert_eq!(without_empty_bodies(text), expected);
        }
    }
}
