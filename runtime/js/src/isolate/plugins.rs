//! Starting a component's plugins, and telling them of changed files and options.

use deno_core::error::{CoreError, CoreErrorKind, JsError};
use deno_core::{ModuleSpecifier, PollEventLoopOptions, v8};
use kora_resource::Value;
use tokio::sync::oneshot;

use super::{Isolate, missing};
use crate::error::describe;
use crate::ops::plugins::Plugins;
use crate::plugin::{Plugin, PluginFailure};
use crate::values;

/// What has changed of a component's folder.
#[derive(Debug, Clone, Default)]
pub(crate) struct Change {
    /// Files that are of no interest to the host itself.
    pub(crate) paths: Vec<String>,
    /// The new content of the configuration file, if that is what changed.
    pub(crate) config: Option<Value>,
}

impl Isolate {
    /// Starts the plugins that stand before module number `position`. One that fails is remembered;
    /// the others go on.
    pub(super) async fn start_plugins(&mut self, position: usize) {
        for number in 0..self.plugins.len() {
            if self.plugins[number].position != position {
                continue;
            }
            let plugin = self.plugins[number].clone();
            if let Err(error) = self.start_plugin(number, &plugin).await {
                let failure = PluginFailure {
                    name: plugin.name.clone(),
                    url_path: plugin.url_path.clone(),
                    message: describe(&error),
                };
                self.js.op_state().borrow_mut().borrow_mut::<Plugins>().failures.push(failure);
            }
        }
    }

    async fn start_plugin(&mut self, number: usize, plugin: &Plugin) -> Result<(), CoreError> {
        let specifier = ModuleSpecifier::from_file_path(&plugin.module).map_err(|()| {
            let message = format!("{} is not an absolute path", plugin.module.display());
            CoreErrorKind::JsBox(deno_error::JsErrorBox::type_error(message)).into_box()
        })?;
        let id = self.js.load_side_es_module(&specifier).await?;
        let evaluated = self.js.mod_evaluate(id);
        self.js
            .with_event_loop_promise(Box::pin(evaluated), PollEventLoopOptions::default())
            .await?;
        let namespace = self.js.get_module_namespace(id)?;
        let function = self
            .entry
            .as_ref()
            .map(|entry| entry.start_plugin.clone())
            .ok_or_else(|| missing("startPlugin"))?;
        let started = {
            deno_core::scope!(scope, self.js);
            v8::tc_scope!(let scope, scope);
            let function = v8::Local::new(scope, function);
            let namespace = v8::Local::new(scope, namespace);
            let undefined = v8::undefined(scope).into();
            let number = v8::Integer::new(scope, number as i32).into();
            match function.call(scope, undefined, &[number, namespace.into()]) {
                Some(promise) => v8::Global::new(scope, promise),
                None => {
                    let Some(exception) = scope.exception() else { return Ok(()) };
                    let error = JsError::from_v8_exception(scope, exception);
                    return Err(CoreErrorKind::Js(error).into_box());
                }
            }
        };
        let started = self.js.resolve(started);
        self.js.with_event_loop_promise(Box::pin(started), PollEventLoopOptions::default()).await?;
        Ok(())
    }

    /// Tells the plugins of a change; `answer` hears whether they have handled all of it.
    pub(super) fn begin_change(&mut self, change: &Change, answer: oneshot::Sender<bool>) {
        self.js.op_state().borrow_mut().borrow_mut::<Plugins>().changing = Some(answer);
        let Some(entry) = &self.entry else { return };
        let function = entry.changed.clone();
        deno_core::scope!(scope, self.js);
        v8::tc_scope!(let scope, scope);
        let function = v8::Local::new(scope, function);
        let paths = change.paths.iter().map(|path| Value::from(path.as_str())).collect();
        let paths = values::to_v8(scope, &Value::Array(paths));
        let config = match &change.config {
            Some(config) => values::to_v8(scope, config),
            None => v8::undefined(scope).into(),
        };
        let undefined = v8::undefined(scope).into();
        function.call(scope, undefined, &[paths, config]);
        if let Some(exception) = scope.exception() {
            let error = JsError::from_v8_exception(scope, exception);
            tracing::error!("the host's plugins failed: {error}");
        }
    }

    /// Tells the plugins that this worker ends.
    pub(crate) fn close_plugins(&mut self) {
        if self.plugins.is_empty() {
            return;
        }
        let close = self.entry.as_ref().map(|entry| entry.close_plugins.clone());
        if let Err(error) = self.run_host(close, &[]) {
            tracing::error!("the host's plugins failed: {}", describe(&error));
        }
    }

    /// The plugins that failed to start.
    pub(crate) fn plugin_failures(&mut self) -> Vec<PluginFailure> {
        self.js.op_state().borrow().borrow::<Plugins>().failures.clone()
    }
}
