//! The options by which a plugin names its files: `files`, `urlPath` and their older forms `path` and
//! `root` (`spec/harper-components.md` section 1.4).

use std::path::Path;

use serde_yaml_ng::Value;

use super::file_set::{FileSet, join};

/// The files of a plugin. `true` means the plugin with its default files; a bare string or list stands
/// for `files`. `name` is the component's, for `urlPath: .`; `directory` its folder. The error is a
/// sentence that names the option.
pub fn file_set(
    options: &Value,
    default: &str,
    name: &str,
    directory: &Path,
) -> Result<FileSet, String> {
    let (files, url_path, root) = match options {
        Value::Bool(_) => (None, None, None),
        Value::String(_) | Value::Sequence(_) => (Some(options), None, None),
        Value::Mapping(mapping) => (
            mapping.get("files"),
            mapping.get("urlPath").or_else(|| mapping.get("path")),
            mapping.get("root"),
        ),
        Value::Null | Value::Number(_) | Value::Tagged(_) => {
            return Err("expected `files:` with a glob pattern".to_owned());
        }
    };
    let root = match root {
        None | Some(Value::Null) => None,
        Some(root) => Some(root.as_str().ok_or("`root` must be a folder")?.trim_matches('/')),
    };
    let (sources, mut ignored) = match (files, root) {
        (None | Some(Value::Null), Some(root)) => (vec![format!("{root}/**")], Vec::new()),
        (None | Some(Value::Null), None) => (vec![default.to_owned()], Vec::new()),
        (Some(Value::Mapping(mapping)), _) => (
            strings("source", mapping.get("source").unwrap_or(&Value::Null))?,
            mapping.get("ignore").map_or(Ok(Vec::new()), |value| strings("ignore", value))?,
        ),
        (Some(value), _) => (strings("files", value)?, Vec::new()),
    };
    let (negated, sources): (Vec<_>, Vec<_>) =
        sources.into_iter().partition(|source| source.starts_with('!'));
    ignored.extend(negated.iter().map(|source| source[1..].to_owned()));
    // A folder stands for everything in it.
    let sources: Vec<String> = sources
        .into_iter()
        .map(|source| {
            let trimmed = source.trim_start_matches("./").trim_end_matches('/');
            let is_folder =
                source.ends_with('/') || (!trimmed.is_empty() && directory.join(trimmed).is_dir());
            if is_folder && trimmed != "." { format!("{trimmed}/**") } else { source }
        })
        .collect();
    let set = FileSet::new(&sources, &ignored, mount(url_path, name)?)?;
    Ok(match root {
        Some(root) => set.with_base(root.trim_start_matches("./")),
        None => set,
    })
}

fn strings(key: &str, value: &Value) -> Result<Vec<String>, String> {
    let one = |value: &Value| {
        value.as_str().map(str::to_owned).ok_or_else(|| {
            format!("`{key}` must be a glob pattern, a list of them or `source:` with `ignore:`")
        })
    };
    match value {
        Value::Sequence(values) => values.iter().map(one).collect(),
        value => Ok(vec![one(value)?]),
    }
}

/// Where `urlPath` mounts the plugin (section 1.4), without slashes at the ends.
pub fn mount(url_path: Option<&Value>, name: &str) -> Result<String, String> {
    let path = match url_path {
        None | Some(Value::Null) => return Ok(String::new()),
        Some(value) => value.as_str().ok_or("`urlPath` must be a path")?,
    };
    if path.split('/').any(|segment| segment == "..") {
        return Err("`urlPath` must not contain `..`".to_owned());
    }
    let trimmed = |path: &str| path.trim_matches('/').to_owned();
    Ok(match path.strip_prefix('.') {
        Some(below) if below.is_empty() || below.starts_with('/') => join(name, &trimmed(below)),
        _ => trimmed(path),
    })
}

/// Which entries `files.only` leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Only {
    All,
    Files,
    Directories,
}

impl Only {
    /// Reads `only` of a `files` object.
    pub fn of(options: &Value) -> Result<Only, String> {
        let only = options.get("files").and_then(|files| files.get("only"));
        match only.map(|only| only.as_str()) {
            None | Some(Some("all")) => Ok(Only::All),
            Some(Some("files")) => Ok(Only::Files),
            Some(Some("directories")) => Ok(Only::Directories),
            Some(_) => Err("`only` must be all, files or directories".to_owned()),
        }
    }
}
