//! Installing what an application's package.json asks for (`spec/harper-components.md` section 7).
//!
//! Only where no `node_modules` is there yet: whoever has installed is trusted. Install scripts of packages
//! are never run. Runs on the blocking pool; the server waits for it before the application is loaded.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use kora_resource::Value;
use kora_resource::value::json::{self, JsonError};

/// How long an installation may take.
const TIMEOUT: Duration = Duration::from_secs(300);

/// Packages that the host itself stands for.
const HOST_PACKAGES: [&str; 4] =
    ["harper", "harperdb", "@harperfast/harper", "@harperfast/harper-pro"];

/// Makes sure that the packages of the application in `directory` are there.
///
/// # Errors
/// A sentence that says what failed and what to do.
pub(super) fn ensure(directory: &Path, application: &str) -> Result<(), String> {
    let file = directory.join("package.json");
    let Ok(text) = std::fs::read_to_string(&file) else { return Ok(()) };
    let package = json::parse(text.trim_start_matches('\u{feff}').as_bytes()).map_err(|error| {
        let JsonError { line, column, problem } = error;
        format!("{}:{line}:{column}: not valid JSON: {problem}", file.display())
    })?;
    if directory.join("node_modules").exists() {
        return Ok(());
    }
    let missing = missing(&package, directory);
    if missing.is_empty() {
        return Ok(());
    }
    let manager = package
        .get("devEngines")
        .and_then(|engines| engines.get("packageManager"))
        .and_then(|manager| manager.get("name"))
        .and_then(Value::as_str)
        .unwrap_or("npm");
    let advice = format!("run `{manager} install` in {}", directory.display());
    tracing::info!(
        application,
        "installing {} with {manager} (install scripts are not run)",
        missing.join(", ")
    );
    let started = Instant::now();
    let mut command = Command::new(manager);
    command.arg("install").arg("--ignore-scripts");
    if manager == "npm" {
        command.args(["--force", "--no-audit", "--no-fund"]);
    }
    let child = command
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| {
            format!(
                "{application} needs the packages {}, and `{manager}` can't be started here ({error}): \
                 install it, or {advice} on another machine and copy node_modules",
                missing.join(", ")
            )
        })?;
    wait(child).map_err(|reason| {
        format!("the packages of {application} could not be installed: {reason}; {advice}")
    })?;
    tracing::info!(application, "installed its packages in {:.1?}", started.elapsed());
    Ok(())
}

/// The dependencies that lie in no `node_modules` of the folders above either.
fn missing(package: &Value, directory: &Path) -> Vec<String> {
    let Some(dependencies) = package.get("dependencies").and_then(Value::as_object) else {
        return Vec::new();
    };
    let there = |name: &&str| {
        HOST_PACKAGES.contains(name)
            || directory.ancestors().skip(1).any(|a| a.join("node_modules").join(name).exists())
    };
    dependencies.keys().map(String::as_str).filter(|n| !there(n)).map(str::to_owned).collect()
}

/// Waits for the end; the error is what the program said last.
fn wait(mut child: Child) -> Result<(), String> {
    const LOOK: Duration = Duration::from_millis(50);
    let deadline = Instant::now() + TIMEOUT;
    let mut stderr = child.stderr.take();
    // Read aside, so that a full pipe never holds the program up.
    let said = std::thread::spawn(move || {
        let mut text = Vec::new();
        if let Some(stderr) = &mut stderr {
            // What could be read is all that there is to say.
            let _ = stderr.read_to_end(&mut text);
        }
        String::from_utf8_lossy(&text).into_owned()
    });
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if Instant::now() < deadline => std::thread::sleep(LOOK),
            Ok(None) => {
                // It may have ended in this moment, which is as good.
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("it took longer than {} seconds", TIMEOUT.as_secs()));
            }
            Err(error) => return Err(error.to_string()),
        }
    };
    if status.success() {
        return Ok(());
    }
    let said = said.join().unwrap_or_default();
    let shown: Vec<&str> = said
        .lines()
        .filter(|line| !line.trim().is_empty() && !line.contains("npm warn"))
        .take(3)
        .collect();
    Err(format!("{status}: {}", shown.join(" | ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_missing_is_installed() {
        let root = tempfile::tempdir().unwrap();
        let app = root.path().join("app");
        std::fs::create_dir_all(&app).unwrap();
        std::fs::create_dir_all(root.path().join("node_modules/shared")).unwrap();
        let package =
            "{\"dependencies\": {\"shared\": \"1\", \"harperdb\": \"4\", \"zod\": \"3\"}}";
        let package = json::parse(package.as_bytes()).unwrap();
        assert_eq!(missing(&package, &app), ["zod"]);
        assert_eq!(ensure(&app, "app"), Ok(()));
    }

    #[test]
    fn a_missing_package_manager_is_named() {
        let app = tempfile::tempdir().unwrap();
        std::fs::write(
            app.path().join("package.json"),
            "{\"dependencies\": {\"zod\": \"3\"}, \"devEngines\": {\"packageManager\": {\"name\": \
             \"no-such-manager\"}}}",
        )
        .unwrap();
        let error = ensure(app.path(), "dogs").unwrap_err();
        assert!(
            error.contains("dogs needs the packages zod") && error.contains("no-such-manager"),
            "{error}"
        );
    }
}
