//! Packages that a configuration names by `<any name>: {package: x}` (`spec/harper-components.md`
//! section 2): where they lie, and whether they are code to start or an application of their own.

use std::path::{Path, PathBuf};

use serde_yaml_ng::Value;

use crate::config::component::FILE_NAMES;

/// What a package is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Package {
    /// A plugin or an extension: the module to start.
    Code(PathBuf),
    /// A nested application.
    Application(PathBuf),
}

/// Finds a package: a path from the component's folder, or a name in its `node_modules`, then beside
/// the component, then in `node_modules` further up, as far as `root`.
pub(super) fn find(package: &str, component: &Path, root: &Path) -> Option<PathBuf> {
    let path = package.strip_prefix("file:").unwrap_or(package);
    if path.starts_with('.') || path.starts_with('/') {
        return existing(&component.join(path));
    }
    // A version behind the name says what to install, not where it lies.
    let name = match path[1.min(path.len())..].find('@') {
        Some(at) => &path[..=at],
        None => path,
    };
    let mut candidates = vec![component.join("node_modules").join(name)];
    candidates.push(root.join(name));
    candidates.extend(
        component
            .ancestors()
            .skip(1)
            .take_while(|folder| folder.starts_with(root))
            .map(|folder| folder.join("node_modules").join(name)),
    );
    candidates.iter().find_map(|candidate| existing(candidate))
}

/// A symbolic link leads to the package itself: its own imports are looked up from there.
fn existing(folder: &Path) -> Option<PathBuf> {
    folder.canonicalize().ok().filter(|folder| folder.is_dir())
}

/// Looks at a package. The error is a sentence without file name.
pub(super) fn inspect(folder: &Path) -> Result<Package, String> {
    for name in FILE_NAMES {
        let file = folder.join(name);
        let Ok(text) = std::fs::read_to_string(&file) else { continue };
        let config: Value = serde_yaml_ng::from_str(&text)
            .map_err(|error| format!("{} is not YAML: {error}", file.display()))?;
        for key in ["pluginModule", "extensionModule"] {
            if let Some(module) = config.get(key).and_then(Value::as_str) {
                return module_in(folder, module)
                    .map(Package::Code)
                    .ok_or_else(|| format!("`{key}: {module}` of {} is no file", file.display()));
            }
        }
        return Ok(Package::Application(folder.to_owned()));
    }
    let is_application = ["resources.js", "resources.ts", "schema.graphql", "web"]
        .iter()
        .any(|name| folder.join(name).exists());
    if !is_application && let Some(module) = main_module(folder) {
        return Ok(Package::Code(module));
    }
    Ok(Package::Application(folder.to_owned()))
}

fn module_in(folder: &Path, module: &str) -> Option<PathBuf> {
    let path = folder.join(module.trim_start_matches("./"));
    let with_ending = ["js", "mjs", "ts"].map(|ending| path.with_extension(ending));
    [path].into_iter().chain(with_ending).find(|path| path.is_file())
}

/// What `package.json` names as its entry.
fn main_module(folder: &Path) -> Option<PathBuf> {
    let text = std::fs::read_to_string(folder.join("package.json")).ok()?;
    // JSON is YAML.
    let package: Value = serde_yaml_ng::from_str(&text).ok()?;
    let exports = package.get("exports").and_then(|exports| {
        let root = exports.get(".").unwrap_or(exports);
        let of = |key: &str| root.get(key).and_then(Value::as_str);
        root.as_str().or_else(|| of("import")).or_else(|| of("default"))
    });
    let main = exports.or_else(|| package.get("main").and_then(Value::as_str));
    module_in(folder, main.unwrap_or("index.js"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, text: &str) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    #[test]
    fn packages_are_found_near_first() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        let app = root.join("app");
        let found = |package: &str| find(package, &app, &root);
        write(&app.join("node_modules/@a/near/index.js"), "");
        write(&root.join("beside/index.js"), "");
        write(&root.join("node_modules/far/index.js"), "");
        assert_eq!(found("@a/near"), Some(app.join("node_modules/@a/near")));
        assert_eq!(found("@a/near@^1.0"), Some(app.join("node_modules/@a/near")));
        assert_eq!(found("beside"), Some(root.join("beside")));
        assert_eq!(found("far@2"), Some(root.join("node_modules/far")));
        assert_eq!(found("file:../beside"), Some(root.join("beside")));
        assert_eq!(found("absent"), None);
    }

    #[test]
    fn code_is_told_from_applications() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("p");
        write(&folder.join("package.json"), r#"{"exports":{".":{"import":"./lib/main.js"}}}"#);
        write(&folder.join("lib/main.js"), "");
        assert_eq!(inspect(&folder), Ok(Package::Code(folder.join("lib/main.js"))));
        write(&folder.join("config.yaml"), "rest: true\n");
        assert_eq!(inspect(&folder), Ok(Package::Application(folder.clone())));
        write(&folder.join("config.yaml"), "pluginModule: ./plugin\n");
        assert!(inspect(&folder).unwrap_err().contains("`pluginModule: ./plugin`"));
        write(&folder.join("plugin.ts"), "");
        assert_eq!(inspect(&folder), Ok(Package::Code(folder.join("plugin.ts"))));
    }
}
