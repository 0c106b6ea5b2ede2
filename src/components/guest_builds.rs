//! `kora dev` and guests in Rust: built before the start, and again when a source changes. What cargo makes lands
//! among the application's files, where the watch finds it like any other change.
//!
//! Runs on the watch's thread or a blocking one. A crate that does not build leaves the guest that is served as it is.

use std::path::{Path, PathBuf};

use super::discovery;
use crate::guest_crates::{self, GuestCrate};

/// Builds the guests of all applications in these folders, saying on stderr what does not build.
pub(crate) fn build_all<'a>(folders: impl Iterator<Item = &'a Path>) {
    build(&crates(folders));
}

/// Builds what the changed files belong to; gives back the changes that are no source of a guest.
pub(super) fn rebuild<'a>(
    folders: impl Iterator<Item = &'a Path>,
    changed: Vec<PathBuf>,
) -> Vec<PathBuf> {
    if !changed.iter().any(|path| guest_crates::is_source(path)) {
        return changed;
    }
    let crates = crates(folders);
    let (sources, others): (Vec<_>, Vec<_>) =
        changed.into_iter().partition(|path| crates.iter().any(|guest| is_of(guest, path)));
    let touched = crates.iter().filter(|guest| sources.iter().any(|path| is_of(guest, path)));
    build(&touched.cloned().collect::<Vec<_>>());
    others
}

fn is_of(guest: &GuestCrate, path: &Path) -> bool {
    guest_crates::is_source(path) && path.starts_with(&guest.directory)
}

fn crates<'a>(folders: impl Iterator<Item = &'a Path>) -> Vec<GuestCrate> {
    // A folder that can't be read is told of by those who serve it.
    let applications = folders.filter_map(|folder| discovery::discover(folder).ok()).flatten();
    applications.filter_map(|found| guest_crates::find(&found.directory).ok()).flatten().collect()
}

fn build(crates: &[GuestCrate]) {
    for guest in crates {
        let shown = guest.directory.display();
        println!("Building {shown}");
        if let Err(error) = guest.build() {
            eprintln!("Not built, the guest that is there goes on: {error}");
        }
    }
}
