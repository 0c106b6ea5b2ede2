//! Which compiler makes WebAssembly on this machine: rustup's target where it is installed, else any compiler with
//! the sources of its standard library, as Debian packages them.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A compiler and what it needs to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Toolchain {
    /// The standard library for `wasm32-wasip2` is there: cargo makes a component.
    Target,
    /// The standard library is compiled along, for `wasm32-unknown-unknown`: the server makes the component.
    Sources {
        rustc: PathBuf,
        /// `None` where the compiler brings its own.
        linker: Option<PathBuf>,
    },
}

/// Debian's compiler, which another in the PATH may hide.
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";

/// Linkers of LLVM, as Debian names them, newest first.
const LINKERS: [&str; 9] = [
    "wasm-ld",
    "wasm-ld-22",
    "wasm-ld-21",
    "wasm-ld-20",
    "wasm-ld-19",
    "wasm-ld-18",
    "wasm-ld-17",
    "wasm-ld-16",
    "wasm-ld-15",
];

impl Toolchain {
    /// The best that this machine has.
    pub(super) fn find() -> Option<Toolchain> {
        let rustc = env::var_os("RUSTC").map_or_else(|| PathBuf::from("rustc"), PathBuf::from);
        let libraries = ask(&rustc, &["--print", "target-libdir", "--target", "wasm32-wasip2"]);
        if libraries.is_some_and(|folder| folder.is_dir()) {
            return Some(Toolchain::Target);
        }
        [rustc, PathBuf::from(DEBIAN_RUSTC)].into_iter().find_map(|rustc| {
            let sysroot = ask(&rustc, &["--print", "sysroot"])?;
            if !sysroot.join("lib/rustlib/src/rust/library/std").is_dir() {
                return None;
            }
            let own = ask(&rustc, &["--print", "target-libdir"])
                .and_then(|folder| Some(folder.parent()?.join("bin/rust-lld")));
            if own.is_some_and(|linker| linker.is_file()) {
                return Some(Toolchain::Sources { rustc, linker: None });
            }
            let linker = LINKERS.into_iter().find_map(in_path)?;
            Some(Toolchain::Sources { rustc, linker: Some(linker) })
        })
    }

    /// Cargo, told to build a release for WebAssembly and to say what it made as JSON.
    pub(super) fn cargo(&self) -> Command {
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["build", "--release", "--message-format", "json-render-diagnostics"]);
        match self {
            Toolchain::Target => {
                cargo.args(["--target", "wasm32-wasip2"]);
            }
            Toolchain::Sources { rustc, linker } => {
                cargo.args(["--target", "wasm32-unknown-unknown"]);
                cargo.args(["-Z", "build-std=std,panic_abort"]);
                // The sources are for this very compiler, so what is unstable in them is what it expects.
                cargo.env("RUSTC", rustc).env("RUSTC_BOOTSTRAP", "1");
                if let Some(linker) = linker {
                    cargo.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
                }
            }
        }
        cargo
    }
}

/// The path that a compiler answers with.
fn ask(rustc: &Path, question: &[&str]) -> Option<PathBuf> {
    let answer = Command::new(rustc).args(question).output().ok()?;
    let text = String::from_utf8(answer.stdout).ok()?;
    (answer.status.success() && !text.trim().is_empty()).then(|| PathBuf::from(text.trim()))
}

fn in_path(program: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}
