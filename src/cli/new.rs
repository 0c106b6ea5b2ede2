//! `kora new`: writes the starter, the application that `components/starter` shows.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;

/// The files of the starter, by their paths in the new folder.
const STARTER: [(&str, &str); 7] = [
    ("README.md", include_str!("../../components/starter/README.md")),
    ("config.yaml", include_str!("../../components/starter/config.yaml")),
    ("schema.graphql", include_str!("../../components/starter/schema.graphql")),
    ("resources/greeting.ts", include_str!("../../components/starter/resources/greeting.ts")),
    ("web/index.html", include_str!("../../components/starter/web/index.html")),
    ("web/page.js", include_str!("../../components/starter/web/page.js")),
    ("web/style.css", include_str!("../../components/starter/web/style.css")),
];

/// Where the new application goes.
#[derive(Debug, Args)]
pub(super) struct New {
    /// The folder to make; its last part is the application's name
    name: PathBuf,
}

impl New {
    pub(super) fn write(self) -> anyhow::Result<()> {
        write_starter(&self.name)?;
        let name = self.name.display();
        println!("Made {name}. Now serve it:\n\n  kora dev {name}");
        Ok(())
    }
}

fn write_starter(folder: &Path) -> anyhow::Result<()> {
    let is_free = match std::fs::read_dir(folder) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => true,
        Err(error) => bail!("can't write to {}: {error}", folder.display()),
    };
    if !is_free {
        bail!("{} exists and is not empty", folder.display());
    }
    for (name, text) in STARTER.into_iter().chain([(".gitignore", ".kora/\nnode_modules/\n")]) {
        let path = folder.join(name);
        let parent = path.parent().unwrap_or(folder);
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
        write_starter(&folder).unwrap();
        assert!(folder.join("schema.graphql").is_file());
        let error = write_starter(&folder).unwrap_err();
        assert!(error.to_string().ends_with("exists and is not empty"), "{error}");
    }
}
