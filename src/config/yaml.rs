//! Finding the line of a key in YAML text, so that a message about a value can name it: the YAML
//! parser reports positions only for syntax errors.

/// The line, from 1, on which the top-level key `key` stands; 1 where it can't be found.
pub(super) fn line_of_key(text: &str, key: &str) -> usize {
    text.lines()
        .position(|line| {
            let line = line.trim_start_matches(['"', '\'']);
            line.strip_prefix(key).is_some_and(|rest| {
                rest.trim_start_matches(['"', '\'']).trim_start().starts_with(':')
            })
        })
        .map_or(1, |index| index + 1)
}

#[cfg(test)]
mod tests {
    use super::line_of_key;

    #[test]
    fn finds_plain_and_quoted_keys() {
        let text = "# c\nrest: true\n'@harperfast/vite':\n  package: x\nrestful: 1\n";
        assert_eq!(line_of_key(text, "rest"), 2);
        assert_eq!(line_of_key(text, "@harperfast/vite"), 3);
        assert_eq!(line_of_key(text, "absent"), 1);
    }
}
