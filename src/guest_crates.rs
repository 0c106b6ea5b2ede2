//! The Rust crates of an application's guests: found beside its configuration, built to WebAssembly, and put where
//! the application takes its guests from. For `kora build`, and for `kora dev`, which builds when a source changes.
//!
//! Cargo does the work, in a process of its own; what it says goes to stderr as it says it. A crate that does not
//! compile leaves the `.wasm` that is there as it is.

mod toolchain;

use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;

use crate::config::component::ComponentConfig;
use crate::config::file_set::is_never_entered;
use toolchain::Toolchain;

/// Where the `.wasm` goes unless the configuration takes guests from somewhere else.
const DEFAULT_OUTPUT: &str = "resources";

/// A crate that becomes a guest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct GuestCrate {
    /// The folder of its Cargo.toml.
    pub directory: PathBuf,
    /// The application that it belongs to.
    pub application: PathBuf,
}

/// Why there is no new `.wasm`.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error(
        "this machine can't compile Rust to WebAssembly: run `rustup target add wasm32-wasip2`, or on Debian \
         `apt-get install rustc-web rust-web-src lld-19`"
    )]
    NoToolchain,
    #[error("cargo can't be run: {0}")]
    NoCargo(io::Error),
    /// Cargo has said why.
    #[error("{} does not build", .0.display())]
    Failed(PathBuf),
    #[error(
        "{} builds no WebAssembly library: its Cargo.toml needs `[lib] crate-type = [\"cdylib\"]`",
        .0.display()
    )]
    NoLibrary(PathBuf),
    #[error("can't write {}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
}

/// The crates of the application in `application`: the folder itself, or folders in it.
///
/// # Errors
/// If the folder can't be read.
pub fn find(application: &Path) -> io::Result<Vec<GuestCrate>> {
    let mut found = Vec::new();
    let mut consider = |directory: &Path| {
        if directory.join("Cargo.toml").is_file() {
            let application = application.to_owned();
            found.push(GuestCrate { directory: directory.to_owned(), application });
        }
    };
    consider(application);
    for entry in std::fs::read_dir(application)? {
        let path = entry?.path();
        let hidden = path.file_name().and_then(|name| name.to_str()).is_none_or(is_never_entered);
        if !hidden && path.is_dir() {
            consider(&path);
        }
    }
    found.sort();
    Ok(found)
}

/// Whether a change of the file at `path` asks for a build.
pub fn is_source(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "rs" || extension == "wit")
        || path.file_name().is_some_and(|name| name == "Cargo.toml" || name == "Cargo.lock")
}

impl GuestCrate {
    /// Builds it, and puts what came of it into the application. The files that are there now.
    ///
    /// # Errors
    /// See [`BuildError`]; nothing of the application has changed then.
    pub fn build(&self) -> Result<Vec<PathBuf>, BuildError> {
        let toolchain = Toolchain::find().ok_or(BuildError::NoToolchain)?;
        let mut child = toolchain
            .cargo()
            .current_dir(&self.directory)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(BuildError::NoCargo)?;
        // Taken to its end, so that cargo never waits for a reader.
        let built: Vec<PathBuf> = child
            .stdout
            .take()
            .into_iter()
            .flat_map(|stdout| BufReader::new(stdout).lines().map_while(Result::ok))
            .flat_map(|line| libraries(&line, &self.directory))
            .collect();
        let status = child.wait().map_err(BuildError::NoCargo)?;
        if !status.success() {
            return Err(BuildError::Failed(self.directory.clone()));
        }
        if built.is_empty() {
            return Err(BuildError::NoLibrary(self.directory.clone()));
        }
        let output = self.application.join(self.output());
        built.iter().map(|file| install(file, &output)).collect()
    }

    /// Where the application takes its guests from, below its folder.
    fn output(&self) -> PathBuf {
        // A configuration that can't be read is an error of the application's, told when it is served.
        let config = ComponentConfig::read(&self.application, "").unwrap_or_default();
        let files = config.guests.files;
        let base = files.as_ref().and_then(|files| files.bases().next().map(PathBuf::from));
        base.unwrap_or_else(|| PathBuf::from(DEFAULT_OUTPUT))
    }
}

/// The libraries in WebAssembly that one line of cargo's output tells of, if they are of the crate in `directory` and
/// not of a dependency.
fn libraries(line: &str, directory: &Path) -> Vec<PathBuf> {
    let Ok(message) = serde_json::from_str::<Value>(line) else { return Vec::new() };
    let text = |value: &Value| value.as_str().map(PathBuf::from);
    let is_own = message["reason"] == "compiler-artifact"
        && text(&message["manifest_path"]).is_some_and(|manifest| {
            let own = directory.join("Cargo.toml");
            manifest == own || own.canonicalize().is_ok_and(|own| manifest == own)
        });
    if !is_own {
        return Vec::new();
    }
    let files = message["filenames"].as_array().into_iter().flatten().filter_map(text);
    files.filter(|file| file.extension().is_some_and(|extension| extension == "wasm")).collect()
}

/// Copies `file` into `folder`, in one step; a file that is the same already is left alone.
fn install(file: &Path, folder: &Path) -> Result<PathBuf, BuildError> {
    let name = file.file_name().unwrap_or_default();
    let target = folder.join(name);
    let failed = |source| BuildError::Write { path: target.clone(), source };
    let bytes = std::fs::read(file).map_err(failed)?;
    if std::fs::read(&target).is_ok_and(|old| old == bytes) {
        return Ok(target);
    }
    std::fs::create_dir_all(folder).map_err(failed)?;
    // Two builds at the same time must not write one file.
    let beside = target.with_extension(format!("{}.tmp", std::process::id()));
    std::fs::write(&beside, bytes)
        .and_then(|()| std::fs::rename(&beside, &target))
        .map_err(failed)?;
    Ok(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crates_are_found_beside_the_configuration() {
        let app = tempfile::tempdir().unwrap();
        assert_eq!(find(app.path()).unwrap(), []);
        for folder in ["guest", ".hidden", "web"] {
            std::fs::create_dir(app.path().join(folder)).unwrap();
        }
        for manifest in ["guest/Cargo.toml", ".hidden/Cargo.toml"] {
            std::fs::write(app.path().join(manifest), "").unwrap();
        }
        let found = find(app.path()).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].directory, app.path().join("guest"));
        assert_eq!(found[0].output(), Path::new("resources"));
        std::fs::write(
            app.path().join("config.yaml"),
            "wasmResource: { files: 'built/**/*.wasm' }",
        )
        .unwrap();
        assert_eq!(found[0].output(), Path::new("built"));
    }

    #[test]
    fn only_own_libraries_are_taken_from_cargo() {
        let line = |manifest: &str| {
            format!(
                r#"{{"reason":"compiler-artifact","manifest_path":"{manifest}","filenames":["/t/a.wasm","/t/a.rlib"]}}"#
            )
        };
        let own = Path::new("/app/guest");
        assert_eq!(libraries(&line("/app/guest/Cargo.toml"), own), [Path::new("/t/a.wasm")]);
        assert!(libraries(&line("/other/Cargo.toml"), own).is_empty());
        assert!(libraries("no json", own).is_empty());
    }

    #[test]
    fn a_file_that_is_the_same_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let built = folder.path().join("a.wasm");
        let output = folder.path().join("resources");
        std::fs::write(&built, "1").unwrap();
        let target = install(&built, &output).unwrap();
        let before = std::fs::metadata(&target).unwrap().modified().unwrap();
        install(&built, &output).unwrap();
        assert_eq!(std::fs::metadata(&target).unwrap().modified().unwrap(), before);
        std::fs::write(&built, "2").unwrap();
        install(&built, &output).unwrap();
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "2");
    }

    #[test]
    fn sources_are_told_from_other_files() {
        for (path, expected) in [
            ("guest/src/lib.rs", true),
            ("guest/Cargo.toml", true),
            ("resources/a.wasm", false),
            ("resources/a.ts", false),
        ] {
            assert_eq!(is_source(Path::new(path)), expected, "{path}");
        }
    }
}
