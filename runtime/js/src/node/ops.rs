//! The ops between `node/*.js` and the host, and what stands in the place of Deno's ops that would act on
//! the whole process.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

use deno_core::{OpDecl, OpState, op2};
use deno_error::JsErrorBox;
use serde::Serialize;

use super::scripts;
use crate::permissions::Listen;

/// What a worker's Node side knows of its component.
pub(crate) struct NodeState {
    pub(crate) application: String,
    pub(crate) directory: PathBuf,
    /// The server's environment with the component's own variables over it.
    pub(crate) environment: HashMap<String, String>,
    pub(crate) listen: Listen,
}

/// [`NodeState`], as JavaScript sees it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NodeView<'a> {
    application: Cow<'a, str>,
    directory: String,
    executable: String,
    pid: u32,
    listen: bool,
    version: &'static str,
    /// As Rust names targets: the operating system and the machine are read from it.
    target: String,
    /// The names by which the host's module is imported.
    host_names: [&'static str; 6],
}

#[op2]
#[serde]
pub(crate) fn op_kora_node(state: &mut OpState) -> NodeView<'static> {
    let node = state.borrow::<NodeState>();
    NodeView {
        application: Cow::Owned(node.application.clone()),
        directory: node.directory.to_string_lossy().into_owned(),
        executable: std::env::current_exe()
            .map_or_else(|_| "kora".to_owned(), |path| path.to_string_lossy().into_owned()),
        pid: std::process::id(),
        listen: node.listen == Listen::Allowed,
        version: env!("CARGO_PKG_VERSION"),
        target: match std::env::consts::OS {
            "macos" => format!("{}-apple-darwin", std::env::consts::ARCH),
            system => format!("{}-unknown-{system}-gnu", std::env::consts::ARCH),
        },
        host_names: crate::modules::HARPER_SPECIFIERS,
    }
}

/// The component's environment, once a worker: later changes are the worker's own.
#[op2]
#[serde]
pub(crate) fn op_kora_environment(state: &mut OpState) -> HashMap<String, String> {
    state.borrow::<NodeState>().environment.clone()
}

/// The body of a script of Deno's (see [`scripts`]).
#[op2]
#[string]
pub(crate) fn op_kora_script(#[string] specifier: &str) -> Result<String, JsErrorBox> {
    scripts::script(specifier).map(|source| source.to_string())
}

/// Loading an addon of machine code: `require` of a `.node` file arrives here.
#[op2(fast)]
pub(crate) fn op_napi_open(#[string] path: &str) -> Result<(), JsErrorBox> {
    Err(JsErrorBox::generic(native_addon(Path::new(path))))
}

/// Why a package with a native addon can't be loaded.
pub(crate) fn native_addon(path: &Path) -> String {
    let package = package_of(path).unwrap_or_else(|| path.display().to_string());
    format!(
        "package \"{package}\" needs a native addon ({}), which Kora can't load: components run in a sandbox \
         without machine code of their own; use a package in plain JavaScript or WebAssembly instead",
        path.display()
    )
}

/// The name of the package in whose folder a file lies.
pub(crate) fn package_of(path: &Path) -> Option<String> {
    let parts: Vec<_> = path.iter().map(|part| part.to_string_lossy()).collect();
    let folder = parts.iter().rposition(|part| part == "node_modules")?;
    let name = parts.get(folder + 1)?;
    Some(match parts.get(folder + 2) {
        Some(second) if name.starts_with('@') => format!("{name}/{second}"),
        _ => name.to_string(),
    })
}

#[op2]
#[string]
pub(crate) fn op_kora_package_of(#[string] path: &str) -> Option<String> {
    package_of(Path::new(path))
}

// What follows replaces ops of Deno's by name.

/// A component's working directory is its folder.
#[op2]
#[string]
fn op_fs_cwd(state: &mut OpState) -> String {
    state.borrow::<NodeState>().directory.to_string_lossy().into_owned()
}

#[op2]
fn op_fs_umask(mask: Option<u32>) -> Result<u32, JsErrorBox> {
    match mask {
        Some(_) => Err(forbidden("process.umask(mask)")),
        None => Ok(0o022),
    }
}

#[op2(fast)]
fn op_node_process_set_title(#[string] _title: &str) {}

/// Ops that throw whatever they are called with.
macro_rules! refused {
    ($($op:ident => $error:expr;)*) => {
        $(
            #[op2(fast)]
            fn $op() -> Result<(), JsErrorBox> {
                Err($error)
            }
        )*

        fn refused(name: &str) -> Option<OpDecl> {
            match name {
                $(stringify!($op) => Some($op()),)*
                _ => None,
            }
        }
    };
}

refused! {
    op_fs_chdir => forbidden("process.chdir()");
    op_exit => forbidden("process.exit()");
    op_process_abort => forbidden("process.abort()");
    op_node_process_kill => forbidden("process.kill()");
    op_set_env => forbidden("changing the server's environment");
    op_delete_env => forbidden("changing the server's environment");
    op_v8_set_flags_from_string => forbidden("v8.setFlagsFromString()");
    op_v8_take_heap_snapshot => forbidden("v8.getHeapSnapshot()");
    op_inspector_open => forbidden("inspector.open()");
    op_inspector_connect => forbidden("inspector.Session.connect()");
    op_inspector_wait => forbidden("inspector.waitForDebugger()");
    op_require_break_on_next_statement => forbidden("--inspect-brk");
    op_node_load_env_file => unavailable("process.loadEnvFile()", "name the file under loadEnv in config.yaml");
    op_vm_create_context => unavailable("vm.createContext()", "use vm.runInThisContext()");
    op_vm_create_context_without_contextify => unavailable("vm.createContext()", "use vm.runInThisContext()");
}

fn forbidden(what: &str) -> JsErrorBox {
    JsErrorBox::new(
        "NotSupported",
        format!("{what} would act on the whole server, so components can't call it"),
    )
}

fn unavailable(what: &str, instead: &str) -> JsErrorBox {
    JsErrorBox::new("NotSupported", format!("{what} is not available in Kora: {instead}"))
}

/// Replaces what would act on the process.
pub(crate) fn guard(op: OpDecl) -> OpDecl {
    match op.name {
        "op_fs_cwd" => op_fs_cwd(),
        "op_fs_umask" => op_fs_umask(),
        "op_node_process_set_title" => op_node_process_set_title(),
        name => refused(name).unwrap_or(op),
    }
}

// What Deno's runtime brings and its Node scripts import; here it has nothing to do.

/// How many colours a terminal has: components write to the log.
#[op2(fast)]
#[smi]
pub(crate) fn op_bootstrap_color_depth() -> i32 {
    1
}

#[op2(fast)]
pub(crate) fn op_current_thread_cpu_usage(#[buffer] _out: &mut [f64]) -> Result<(), JsErrorBox> {
    Err(forbidden("process.threadCpuUsage()"))
}

#[op2(fast)]
pub(crate) fn op_http_notify_serving() {}

#[op2]
#[serde]
pub(crate) fn op_http_serve_address_override() -> (u8, String, u32, bool) {
    (0, String::new(), 0, false)
}

#[op2(fast)]
pub(crate) fn op_create_worker() -> Result<(), JsErrorBox> {
    Err(unavailable("worker_threads.Worker", "each component runs in several workers already"))
}

/// Asked for by `child_process.fork()`, which would start another server.
#[op2(fast)]
pub(crate) fn op_bootstrap_unstable_args() -> Result<(), JsErrorBox> {
    Err(unavailable(
        "child_process.fork()",
        "start a program that permissions.run names with spawn()",
    ))
}
