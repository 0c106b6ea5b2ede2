//! Node.js for components: built-in modules, packages, CommonJS, `process`
//! (`spec/harper-usage.md`, "Node built-in modules").
//!
//! The work is deno_node's. This module gives it what Deno's own runtime would: a place among the
//! extensions ([`extensions`]), its scripts ([`scripts`]), the namespace that they call (`scripts.js`), modules
//! and packages ([`resolution`]), and takes from it what would reach past the component ([`ops`]). Everything
//! is loaded when a component first uses it: one that imports nothing of Node's pays for nothing.

mod linked;
mod ops;
mod resolution;
mod scripts;

use std::rc::Rc;

use deno_core::{Extension, ModuleCodeString, ModuleName};
use deno_error::JsErrorBox;
use deno_fs::RealFs;
use deno_io::{Stdio, StdioPipe};
use deno_resolver::npm::{ByonmInNpmPackageChecker, ByonmNpmResolver};
use sys_traits::impls::RealSys;

pub(crate) use linked::required;
pub(crate) use ops::NodeState;
pub(crate) use resolution::{Format, Packages};

deno_core::extension!(
    deno_telemetry,
    lazy_loaded_js = [
        dir "src/node",
        "ext:deno_telemetry/telemetry.ts" = "telemetry.js",
        "ext:deno_telemetry/util.ts" = "telemetry.js",
    ],
    docs = "The scripts of deno_telemetry that fetch and node:http ask for.",
);

deno_core::extension!(
    kora_node,
    deps = [deno_node],
    ops = [
        ops::op_kora_node,
        ops::op_kora_environment,
        ops::op_kora_script,
        ops::op_kora_package_of,
        ops::op_napi_open,
        ops::op_bootstrap_color_depth,
        ops::op_current_thread_cpu_usage,
        ops::op_http_notify_serving,
        ops::op_http_serve_address_override,
        ops::op_create_worker,
        ops::op_bootstrap_unstable_args,
    ],
    lazy_loaded_esm = [
        dir "src/node",
        "ext:runtime/98_global_scope_shared.js" = "global_scope.js",
    ],
    options = { node: NodeState },
    middleware = ops::guard,
    state = |state, options| {
        state.put(options.node);
    },
    docs = "What deno_node needs from its host.",
);

/// The extensions in the order of their dependencies; those of [`crate::web`] come before them.
pub(crate) fn extensions(packages: &Rc<Packages>, node: NodeState) -> Vec<Extension> {
    let files: deno_fs::FileSystemRc = deno_fs::sync::MaybeArc::new(RealFs);
    let deno_node = deno_node::deno_node::init::<
        ByonmInNpmPackageChecker,
        ByonmNpmResolver<RealSys>,
        RealSys,
    >(Some(packages.services()), files.clone());
    vec![
        deno_telemetry::init(),
        deno_io::deno_io::init(Some(standard_streams())),
        scripts::deferred(deno_fs::deno_fs::init(files)),
        deno_os::deno_os::init(None),
        deno_process::deno_process::init(None),
        deno_node_crypto::deno_node_crypto::init(),
        scripts::deferred(deno_node),
        linked::known(kora_node::init(node)),
    ]
}

/// The standard streams by their numbers: nothing comes in, what goes out is the server's. They must
/// exist: some ops of Deno's take a resource numbered 0 for none.
fn standard_streams() -> Stdio {
    // Where there is no null device, a component that reads it gets the server's own.
    let stdin = std::fs::File::open("/dev/null").map_or(StdioPipe::inherit(), StdioPipe::file);
    Stdio { stdin, stdout: StdioPipe::inherit(), stderr: StdioPipe::inherit() }
}

/// Prepares an ES module of Deno's extensions.
pub(crate) fn prepare(
    name: &ModuleName,
    code: ModuleCodeString,
) -> Result<ModuleCodeString, JsErrorBox> {
    if name.starts_with("node:") || name.starts_with("ext:deno_node/") {
        return scripts::module(name, code);
    }
    Ok(code)
}
