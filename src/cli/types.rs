//! `kora types`: declarations for editors and for `tsc`, written into an application's folder.
//!
//! Two files in `types/`: the host's module, as the package in `sdk-types/` has it, and the
//! application's tables, from its schema. Neither is read by the host.

mod declarations;

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use kora::config::component::ComponentConfig;
use kora_resource::schema::{self, TableSchema};

/// The declarations of the host's own module.
const HOST: &str = include_str!("../../sdk-types/index.d.ts");

/// For which application.
#[derive(Debug, Args)]
pub(super) struct Types {
    /// The application: a folder with config.yaml or schema.graphql
    #[arg(default_value = ".")]
    dir: PathBuf,
}

impl Types {
    pub(super) fn write(self) -> anyhow::Result<()> {
        let tables = tables_of(&self.dir)?;
        let folder = self.dir.join("types");
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("can't make {}", folder.display()))?;
        for (name, text) in
            [("harperdb.d.ts", HOST.to_owned()), ("tables.d.ts", declarations::of_tables(&tables))]
        {
            let path = folder.join(name);
            std::fs::write(&path, text)
                .with_context(|| format!("can't write {}", path.display()))?;
        }
        let names: Vec<&str> = tables.iter().map(|table| table.table.as_str()).collect();
        println!("Wrote {} for {}", folder.display(), names.join(", "));
        Ok(())
    }
}

/// The tables that the application's schema files declare, in the order of the files.
fn tables_of(directory: &Path) -> anyhow::Result<Vec<TableSchema>> {
    if !directory.is_dir() {
        bail!("there is no folder {}", directory.display());
    }
    let resolved = directory.canonicalize().unwrap_or_else(|_| directory.to_owned());
    let name = resolved.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let config = ComponentConfig::read(directory, name)?;
    let mut tables = Vec::new();
    if let Some(files) = config.schemas {
        for file in files.list(directory).context("can't read the application's files")? {
            let text = std::fs::read_to_string(&file.path)
                .with_context(|| format!("can't read {}", file.path.display()))?;
            tables.extend(schema::parse(&text, &file.path)?.tables);
        }
    }
    if tables.is_empty() {
        bail!("no table is declared in {}", directory.display());
    }
    Ok(tables)
}
