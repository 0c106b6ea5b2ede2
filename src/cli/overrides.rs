//! Settings of the root configuration as flags: `--HTTP_PORT=9926` or `--HTTP_PORT 9926`
//! (`spec/harper-components.md` section 5).

use std::ffi::OsString;

/// Takes such flags out of the arguments.
pub(super) fn split(
    arguments: impl Iterator<Item = OsString>,
) -> (Vec<OsString>, Vec<(String, String)>) {
    let (mut others, mut settings) = (Vec::new(), Vec::new());
    let mut arguments = arguments.peekable();
    while let Some(argument) = arguments.next() {
        let setting = argument.to_str().and_then(|text| text.strip_prefix("--")).and_then(name_of);
        match setting {
            None => others.push(argument),
            Some((name, Some(value))) => settings.push((name, value)),
            Some((name, None)) => {
                let value = arguments.next_if(|next| !next.to_string_lossy().starts_with("--"));
                let value = value.and_then(|value| value.into_string().ok());
                settings.push((name, value.unwrap_or_else(|| "true".to_owned())));
            }
        }
    }
    (others, settings)
}

/// The name and value of a setting; names are in capitals.
fn name_of(text: &str) -> Option<(String, Option<String>)> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (text, None),
    };
    let is_name = name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
    is_name.then(|| (name.to_owned(), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_told_from_flags() {
        let arguments =
            ["kora", "run", "app", "--HTTP_PORT=1", "--port", "2", "--LOGGING_LEVEL", "debug"];
        let (others, settings) = split(arguments.iter().map(OsString::from));
        assert_eq!(others, ["kora", "run", "app", "--port", "2"]);
        let named = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(settings, [named("HTTP_PORT", "1"), named("LOGGING_LEVEL", "debug")]);
    }
}
