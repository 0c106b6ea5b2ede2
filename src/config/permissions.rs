//! `permissions:` in an application's `config.yaml`: what its code may touch beyond its own folder.
//!
//! ```yaml
//! permissions:
//!   read: [/srv/reports]      # files and folders, absolute or from the application's folder
//!   write: [/srv/uploads]
//!   net: [api.example.com]    # true (the default), false, or hosts with or without a port
//!   listen: true              # open ports of its own; false by default
//!   run: [git]                # programs that it may start
//! ```
//! Harper has no such key: an application that has none gets the defaults of [`Grants`].

use kora_js::{Grants, Listen, Net};
use serde_yaml_ng::Value;

/// Reads the key's value. The error is a sentence without file name or line.
pub(super) fn grants(options: &Value) -> Result<Grants, String> {
    let Value::Mapping(mapping) = options else {
        return Err("expected read, write, net, listen or run, each with its value".to_owned());
    };
    let mut grants = Grants::default();
    for (key, value) in mapping {
        match key.as_str() {
            Some("read") => grants.read = strings("read", value)?,
            Some("write") => grants.write = strings("write", value)?,
            Some("run") => grants.run = strings("run", value)?,
            Some("net") => {
                grants.net = match value {
                    Value::Bool(true) => Net::Anywhere,
                    Value::Bool(false) => Net::Nowhere,
                    hosts => Net::Only(strings("net", hosts)?),
                }
            }
            Some("listen") => {
                grants.listen = match value.as_bool() {
                    Some(true) => Listen::Allowed,
                    Some(false) => Listen::Denied,
                    None => return Err("`listen` must be true or false".to_owned()),
                }
            }
            _ => {
                let shown = key.as_str().map_or_else(|| format!("{key:?}"), str::to_owned);
                return Err(format!(
                    "`{shown}` is no permission: there are read, write, net, listen and run"
                ));
            }
        }
    }
    Ok(grants)
}

fn strings(key: &str, value: &Value) -> Result<Vec<String>, String> {
    let wrong = || format!("`{key}` must be a list of strings");
    match value {
        Value::String(one) => Ok(vec![one.clone()]),
        Value::Sequence(all) => {
            all.iter().map(|one| one.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
        }
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Grants, String> {
        grants(&serde_yaml_ng::from_str(text).unwrap())
    }

    #[test]
    fn reads_each_permission() {
        let all =
            parse("read: [/a, b]\nwrite: /c\nnet: [x.org]\nlisten: true\nrun: [git]").unwrap();
        assert_eq!(
            all,
            Grants {
                read: vec!["/a".into(), "b".into()],
                write: vec!["/c".into()],
                net: Net::Only(vec!["x.org".into()]),
                listen: Listen::Allowed,
                run: vec!["git".into()],
            }
        );
        assert_eq!(parse("net: false").unwrap().net, Net::Nowhere);
    }

    #[test]
    fn says_what_is_wrong() {
        assert!(parse("reed: [/a]").unwrap_err().contains("`reed` is no permission"));
        assert!(parse("read: 5").unwrap_err().contains("`read` must be a list"));
        assert!(parse("listen: 80").unwrap_err().contains("`listen` must be true or false"));
        assert!(parse("[a]").unwrap_err().contains("expected read"));
    }
}
