//! `kora build`: compiles an application's guests in Rust to WebAssembly.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use kora::guest_crates;

/// Whose guests are built.
#[derive(Debug, Args)]
pub(super) struct Build {
    /// An application with a Rust crate in it
    #[arg(default_value = ".")]
    dir: PathBuf,
}

impl Build {
    pub(super) fn build(self) -> anyhow::Result<()> {
        let shown = self.dir.display();
        let crates =
            guest_crates::find(&self.dir).with_context(|| format!("can't read {shown}"))?;
        if crates.is_empty() {
            bail!("there is no Cargo.toml in {shown} nor in a folder of it: see `kora new --rust`");
        }
        for guest in crates {
            for file in guest.build()? {
                println!("Built {}", file.display());
            }
        }
        Ok(())
    }
}
