//! `kora new`: writes an application that works: the starter in TypeScript (`components/starter`), or with `--rust`
//! the one in Rust (`sdk-guest/starter`) with the library that it needs.

mod starters;

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use starters::{File, RUST, TYPESCRIPT};

/// Where the new application goes.
#[derive(Debug, Args)]
pub(super) struct New {
    /// The folder to make; its last part is the application's name
    name: PathBuf,
    /// With resources in Rust, compiled to WebAssembly
    #[arg(long)]
    rust: bool,
}

impl New {
    pub(super) fn write(self) -> anyhow::Result<()> {
        write_starter(&self.name, if self.rust { RUST } else { TYPESCRIPT })?;
        let name = self.name.display();
        println!("Made {name}. Now serve it:\n\n  kora dev {name}");
        Ok(())
    }
}

fn write_starter(folder: &Path, files: &[File]) -> anyhow::Result<()> {
    let is_free = match std::fs::read_dir(folder) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => true,
        Err(error) => bail!("can't write to {}: {error}", folder.display()),
    };
    if !is_free {
        bail!("{} exists and is not empty", folder.display());
    }
    for (name, text) in files {
        let path = folder.join(name);
        let parent = path.parent().unwrap_or(folder);
        // Within this repository the starter finds the library elsewhere.
        let text = text.replace(r#"path = "../../rust""#, r#"path = "sdk/rust""#);
        std::fs::create_dir_all(parent)
            .and_then(|()| std::fs::write(&path, text))
            .with_context(|| format!("can't write {}", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_with_something_in_it_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("dogs");
        write_starter(&folder, TYPESCRIPT).unwrap();
        assert!(folder.join("schema.graphql").is_file());
        let error = write_starter(&folder, RUST).unwrap_err();
        assert!(error.to_string().ends_with("exists and is not empty"), "{error}");
    }

    #[test]
    fn the_one_in_rust_brings_all_of_its_library() {
        let dir = tempfile::tempdir().unwrap();
        write_starter(dir.path(), RUST).unwrap();
        let manifest = std::fs::read_to_string(dir.path().join("guest/Cargo.toml")).unwrap();
        assert!(manifest.contains(r#"kora-guest = { path = "sdk/rust" }"#), "{manifest}");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("sdk-guest");
        for part in ["rust/src", "rust/src/host", "macros/src", "wit"] {
            for entry in std::fs::read_dir(source.join(part)).unwrap() {
                let path = entry.unwrap().path();
                let handed_out =
                    dir.path().join("guest/sdk").join(part).join(path.file_name().unwrap());
                assert!(path.is_dir() || handed_out.is_file(), "{} is left out", path.display());
            }
        }
    }
}
