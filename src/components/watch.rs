//! Reloading on change: a thread of its own that gathers file system events until they pause,
//! reloads what changed and prints one line about it.
//!
//! Folders are watched one by one rather than recursively, so that `node_modules`, `.git` and the
//! data directory (whose files change with every write) cost nothing. The thread ends when its
//! [`Watch`] is dropped.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::runtime::Handle;

use super::{Components, Reload, guest_builds};
use crate::config::file_set::{is_never_entered, relative_path};

/// Events closer together than this are one change: editors write a file in several steps.
const PAUSE: Duration = Duration::from_millis(100);

/// A change that goes on longer than this is reloaded in between.
const LONGEST_GATHERING: Duration = Duration::from_secs(1);

/// The file by which programs mark folders of theirs that can be made again (https://bford.info/cachedir).
const CACHE_TAG: &str = "CACHEDIR.TAG";

/// Keeps the watching alive.
pub struct Watch {
    signals: Sender<Signal>,
}

enum Signal {
    Changed(Vec<PathBuf>),
    Stop,
}

impl Drop for Watch {
    fn drop(&mut self) {
        // If the thread is gone already, there is nobody to stop.
        let _ = self.signals.send(Signal::Stop);
    }
}

/// Begins to watch the folders of `components`. Must be called on a tokio runtime, which then runs
/// the reloads.
pub fn watch(components: Arc<Components>) -> notify::Result<Watch> {
    let (signals, changes) = channel();
    let events = signals.clone();
    let watcher =
        notify::recommended_watcher(move |event: notify::Result<notify::Event>| match event {
            Ok(event) if matches!(event.kind, EventKind::Access(_)) => {}
            // The receiver is gone only at the end of the process.
            Ok(event) => drop(events.send(Signal::Changed(event.paths))),
            Err(error) => tracing::warn!("watching for changes: {error}"),
        })?;
    let mut folders = Folders { watcher, data: components.data().to_owned() };
    for folder in components.folders() {
        folders.add(folder)?;
    }
    let runtime = Handle::current();
    std::thread::Builder::new()
        .name("kora-watch".to_owned())
        .spawn(move || gather(&changes, &mut folders, &components, &runtime))?;
    Ok(Watch { signals })
}

/// The watched folders.
struct Folders {
    watcher: RecommendedWatcher,
    data: PathBuf,
}

impl Folders {
    /// Watches `folder` and what lies below it. A folder that vanished meanwhile is no error.
    fn add(&mut self, folder: &Path) -> notify::Result<()> {
        match self.watcher.watch(folder, RecursiveMode::NonRecursive) {
            Err(error) if folder.exists() => return Err(error),
            Err(_) => return Ok(()),
            Ok(()) => {}
        }
        for entry in std::fs::read_dir(folder)?.flatten() {
            let path = entry.path();
            if path.is_dir() && !self.is_left_out(&path) {
                self.add(&path)?;
            }
        }
        Ok(())
    }

    fn is_left_out(&self, path: &Path) -> bool {
        path == self.data
            || path.join(CACHE_TAG).exists()
            || path.file_name().and_then(|name| name.to_str()).is_none_or(is_never_entered)
    }
}

fn gather(
    changes: &Receiver<Signal>,
    folders: &mut Folders,
    components: &Arc<Components>,
    runtime: &Handle,
) {
    while let Ok(Signal::Changed(first)) = changes.recv() {
        let mut paths: BTreeSet<PathBuf> = first.into_iter().collect();
        let began = Instant::now();
        while began.elapsed() < LONGEST_GATHERING {
            match changes.recv_timeout(PAUSE) {
                Ok(Signal::Changed(more)) => paths.extend(more),
                Ok(Signal::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => break,
            }
        }
        paths.retain(|path| {
            components.folders().any(|folder| {
                is_worth_reloading(folder, &folders.data, path) && !is_build_output(folder, path)
            })
        });
        if paths.is_empty() {
            continue;
        }
        for path in paths.iter().filter(|path| path.is_dir()) {
            if let Err(error) = folders.add(path) {
                tracing::warn!("{} is not watched for changes: {error}", path.display());
            }
        }
        let paths = paths.into_iter().collect();
        let paths = guest_builds::rebuild(components.folders(), paths);
        if !paths.is_empty() {
            reload(components, &paths, runtime);
        }
    }
}

fn reload(components: &Arc<Components>, paths: &[PathBuf], runtime: &Handle) {
    let began = Instant::now();
    let names: Vec<String> = paths.iter().filter_map(|path| shown(components, path)).collect();
    match runtime.block_on(components.reload(paths)) {
        Ok(Reload::Replaced) => println!(
            "Reloaded {} components, changed files: {} ({} ms)",
            crate::PRODUCT,
            names.join(", "),
            began.elapsed().as_millis()
        ),
        Ok(Reload::KeptOld(failures)) => {
            for failure in failures {
                eprintln!("Not reloaded, the version before goes on: {failure}");
            }
        }
        Ok(Reload::StaticsOnly) => {}
        Err(error) => eprintln!("Not reloaded, the version before goes on: {error}"),
    }
}

/// Whether a compiler keeps its output there: cargo's target folder of a guest.
fn is_build_output(directory: &Path, path: &Path) -> bool {
    let mut inside = path.ancestors().take_while(|folder| *folder != directory);
    inside.any(|folder| folder.join(CACHE_TAG).exists())
}

/// The path as the person who changed it sees it.
fn shown(components: &Components, path: &Path) -> Option<String> {
    components.folders().find_map(|folder| relative_path(folder, path))
}

/// Leaves out what editors write beside the file that they save, and everything hidden.
fn is_worth_reloading(directory: &Path, data: &Path, path: &Path) -> bool {
    let Some(relative) = relative_path(directory, path) else { return false };
    let is_temporary = |name: &str| {
        name.ends_with('~') || name.ends_with(".swp") || name.ends_with(".tmp") || name == "4913"
    };
    !path.starts_with(data)
        && !relative.is_empty()
        && !relative.split('/').any(|segment| is_never_entered(segment) || is_temporary(segment))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_compiler_keeps_is_left_out() {
        let app = tempfile::tempdir().unwrap();
        let target = app.path().join("guest/target");
        std::fs::create_dir_all(target.join("release")).unwrap();
        assert!(!is_build_output(app.path(), &target.join("release")));
        std::fs::write(target.join(CACHE_TAG), "").unwrap();
        assert!(is_build_output(app.path(), &target.join("release")));
        assert!(is_build_output(app.path(), &target));
        assert!(!is_build_output(app.path(), &app.path().join("guest/src")));
    }

    #[test]
    fn temporary_and_hidden_files_are_left_out() {
        let (directory, data) = (Path::new("/app"), Path::new("/app/store"));
        let worth = |path: &str| is_worth_reloading(directory, data, Path::new(path));
        assert!(worth("/app/resources/dog.ts") && worth("/app/schema.graphql"));
        for path in [
            "/app/.kora/data.mdb",
            "/app/store/data.mdb",
            "/app/node_modules/x/y.js",
            "/other/x",
            "/app/resources/.dog.ts.swp",
            "/app/schema.graphql~",
            "/app/4913",
            "/app",
        ] {
            assert!(!worth(path), "{path}");
        }
    }
}
