//! Guests in Python, made by componentize-py, which is installed once a target folder.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The guest of `examples/python-guest` as its README makes it; `None`, said on stderr, where Python or its tool can't
/// be had.
pub fn guest() -> Option<Vec<u8>> {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/python-guest");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python-guest");
    std::fs::create_dir_all(&folder).unwrap();
    // Tests run at the same time; the lock goes with the file.
    let building = std::fs::File::create(folder.join(".building")).unwrap();
    building.lock().unwrap();
    let tool = tool(&folder, &example.join("requirements.txt"))?;
    let sources = sources(&example);
    let (built, of) = (folder.join("kennel.wasm"), folder.join("kennel.sources"));
    if std::fs::read(&of).ok().as_ref() != Some(&sources) {
        let output = Command::new(tool)
            .current_dir(&example)
            .args(["-d", "../../sdk-guest/wit", "-w", "resources", "componentize"])
            .args(["-p", "guest", "app", "-o"])
            .arg(&built)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        std::fs::write(&of, sources).unwrap();
    }
    Some(std::fs::read(built).unwrap())
}

/// All that the guest is made of.
fn sources(example: &Path) -> Vec<u8> {
    let files = ["guest/app.py", "guest/host.py", "requirements.txt"];
    let wit = "../../sdk-guest/wit/kora-resource.wit";
    let read = |file| std::fs::read(example.join(file)).unwrap();
    files.into_iter().chain([wit]).flat_map(read).collect()
}

fn tool(folder: &Path, requirements: &Path) -> Option<PathBuf> {
    let environment = folder.join("environment");
    let (tool, pip) = (environment.join("bin/componentize-py"), environment.join("bin/pip"));
    let wanted = std::fs::read(requirements).unwrap();
    let installed = environment.join("requirements.txt");
    if tool.exists() && std::fs::read(&installed).ok().as_ref() == Some(&wanted) {
        return Some(tool);
    }
    let mut steps = [Command::new("python3"), Command::new(pip)];
    steps[0].args(["-m", "venv"]).arg(&environment);
    steps[1].args(["install", "--quiet", "--disable-pip-version-check", "-r"]).arg(requirements);
    for step in &mut steps {
        let failed = match step.output() {
            Ok(output) if output.status.success() => continue,
            Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
            Err(error) => error.to_string(),
        };
        eprintln!(
            "SKIPPED: componentize-py can't be had, so no guest in Python is tested: {failed}"
        );
        return None;
    }
    std::fs::write(installed, wanted).unwrap();
    Some(tool)
}
