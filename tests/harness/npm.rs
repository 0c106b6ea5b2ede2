//! Packages of npm that tests use, installed once a target folder.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder with the `node_modules` of `tests/fixtures/<fixture>`; `None`, said on stderr, without
/// npm.
pub fn packages(fixture: &str) -> Option<PathBuf> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(fixture);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(fixture);
    std::fs::create_dir_all(&folder).unwrap();
    // Tests run at the same time; the lock goes with the file.
    let installing = std::fs::File::create(folder.join(".installing")).unwrap();
    installing.lock().unwrap();
    let lock = std::fs::read(fixtures.join("package-lock.json")).unwrap();
    let done = folder.join("node_modules/.package-lock.json");
    if done.exists() && std::fs::read(folder.join("package-lock.json")).ok().as_ref() == Some(&lock)
    {
        return Some(folder);
    }
    for file in ["package.json", "package-lock.json"] {
        std::fs::copy(fixtures.join(file), folder.join(file)).unwrap();
    }
    let installed = Command::new("npm")
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
        .current_dir(&folder)
        .output();
    match installed {
        Ok(output) if output.status.success() => Some(folder),
        Ok(output) => panic!("npm ci: {}", String::from_utf8_lossy(&output.stderr)),
        Err(error) => {
            eprintln!("SKIPPED: npm is not here ({error}), so its packages are not tested");
            None
        }
    }
}
