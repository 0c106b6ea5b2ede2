//! What plugins ask of the host: their options, the component's files, and telling of failures.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use deno_core::{OpState, op2, v8};
use kora_resource::{Error, Map, Value};
use tokio::sync::oneshot;

use crate::error::OpError;
use crate::plugin::{ComponentFiles, FoundEntry, HostSettings, Plugin, PluginFailure};
use crate::values::{JsValue, from_v8};

/// The plugins of one worker and what became of them.
pub(crate) struct Plugins {
    pub(crate) configured: Arc<[Plugin]>,
    pub(crate) settings: Arc<HostSettings>,
    pub(crate) files: Option<Arc<dyn ComponentFiles>>,
    pub(crate) directory: Arc<Path>,
    pub(crate) failures: Vec<PluginFailure>,
    /// Where the answer to the change under way goes: whether all of it was handled.
    pub(crate) changing: Option<oneshot::Sender<bool>>,
}

/// The settings of the host and of the component.
#[op2]
pub(crate) fn op_kora_settings(state: &mut OpState) -> JsValue {
    let plugins = state.borrow::<Plugins>();
    let settings = &plugins.settings;
    let text = |text: &Option<String>| text.as_deref().map_or(Value::Null, Value::from);
    let tables = settings.exported_tables.iter().map(|(path, database, table)| {
        Value::Array(vec![path.as_str().into(), database.as_str().into(), table.as_str().into()])
    });
    JsValue(object([
        ("config", settings.config.clone()),
        ("componentConfig", settings.component_config.clone()),
        ("hostname", text(&settings.hostname)),
        ("logLevel", text(&settings.log_level)),
        ("directory", plugins.directory.to_string_lossy().as_ref().into()),
        ("exportedTables", Value::Array(tables.collect())),
    ]))
}

/// What the configuration says of plugin number `plugin`.
#[op2]
pub(crate) fn op_kora_plugin(state: &mut OpState, #[smi] plugin: u32) -> JsValue {
    let plugins = state.borrow::<Plugins>();
    let Some(plugin) = plugins.configured.get(plugin as usize) else {
        return JsValue(Value::Null);
    };
    let timeout =
        plugin.timeout.map_or(Value::Null, |limit| Value::number(limit.as_millis() as f64));
    JsValue(object([
        ("name", plugin.name.as_str().into()),
        ("options", plugin.options.clone()),
        ("timeout", timeout),
        ("module", plugin.module.to_string_lossy().as_ref().into()),
    ]))
}

/// Says that plugin number `plugin` could not be started.
#[op2(fast)]
pub(crate) fn op_kora_plugin_failed(
    state: &mut OpState,
    #[smi] plugin: u32,
    #[string] message: &str,
) {
    let plugins = state.borrow_mut::<Plugins>();
    if let Some(plugin) = plugins.configured.get(plugin as usize) {
        plugins.failures.push(PluginFailure {
            name: plugin.name.clone(),
            url_path: plugin.url_path.clone(),
            message: message.to_owned(),
        });
    }
}

/// The component's files that `options` (`files`, `urlPath`) name.
#[op2(reentrant)]
pub(crate) fn op_kora_scan<'s, 'i>(
    state: Rc<RefCell<OpState>>,
    scope: &mut v8::PinScope<'s, 'i>,
    options: v8::Local<'s, v8::Value>,
) -> Result<JsValue, OpError> {
    let options = from_v8(scope, options)?.unwrap_or_default();
    let files = state.borrow().borrow::<Plugins>().files.clone();
    let Some(files) = files else { return Ok(JsValue(Value::Array(Vec::new()))) };
    let found = files.scan(&options).map_err(Error::invalid)?;
    Ok(JsValue(Value::Array(found.iter().map(entry).collect())))
}

fn entry(found: &FoundEntry) -> Value {
    let kind = if found.is_directory { "directory" } else { "file" };
    object([
        ("entryType", kind.into()),
        ("absolutePath", found.path.to_string_lossy().as_ref().into()),
        ("urlPath", found.url_path.as_str().into()),
        ("size", Value::number(found.size as f64)),
        ("modified", Value::number(found.modified)),
    ])
}

/// The content of a file that a scan has found.
#[op2]
pub(crate) fn op_kora_entry_contents(
    state: &mut OpState,
    #[string] path: &str,
) -> Result<JsValue, OpError> {
    let path = Path::new(path);
    let directory = &state.borrow::<Plugins>().directory;
    let is_inside = path.starts_with(directory) && !path.iter().any(|segment| segment == "..");
    if !is_inside {
        let text = format!("{} is not a file of the component", path.display());
        return Err(Error::invalid(text).into());
    }
    let bytes = std::fs::read(path)
        .map_err(|error| Error::invalid(format!("{} can't be read: {error}", path.display())))?;
    Ok(JsValue(Value::Bytes(bytes.into())))
}

/// Says whether the plugins have handled the change that they were told of.
#[op2(fast)]
pub(crate) fn op_kora_changed(state: &mut OpState, handled: bool) {
    if let Some(answer) = state.borrow_mut::<Plugins>().changing.take() {
        // Nobody who waits means that the host reloads anyway.
        let _ = answer.send(handled);
    }
}

fn object<const N: usize>(entries: [(&str, Value); N]) -> Value {
    Value::Object(Map::from_iter(entries.map(|(name, value)| (name.to_owned(), value))))
}
