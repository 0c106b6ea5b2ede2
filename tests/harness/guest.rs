//! Guests in Rust, built by the binary under test. Their dependencies are compiled once for all of them, below cargo's
//! target folder; what is up to date costs a look of cargo's.

use std::path::{Path, PathBuf};

use super::kora;

/// The folder of this repository.
fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Where guests are compiled.
pub fn target_folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    folder.parent().unwrap_or(folder).join("guests")
}

/// `kora build` in a folder; what it printed.
pub fn build(folder: &Path) -> Result<String, String> {
    let output =
        kora().arg("build").arg(folder).env("CARGO_TARGET_DIR", target_folder()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

/// The guest of the crate in `folder` of this repository, compiled.
pub fn guest(folder: &str) -> Vec<u8> {
    let printed = build(&repository().join(folder)).unwrap_or_else(|error| panic!("{error}"));
    let file = printed.trim().strip_prefix("Built ").expect("one guest");
    std::fs::read(file).unwrap()
}
