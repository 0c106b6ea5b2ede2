//! Entering JavaScript with a request for the component's middleware, and finding the request's object
//! again when it leads to a class of the same component.

use std::sync::Arc;

use deno_core::error::JsError;
use deno_core::v8;
use kora_resource::Context;
use kora_resource::middleware::{Listener, Request, Step};
use tokio::sync::mpsc;

use super::{Isolate, user_to_v8};
use crate::bodies::Bodies;
use crate::middleware::CallOrigin;
use crate::ops::requests::Listeners;
use crate::state::{Answer, PendingCall, WorkerState};

impl Isolate {
    /// Runs `listeners` for a request; `handleRequest` of `harperdb/middleware.ts` answers by ops.
    pub(super) fn begin_request(
        &mut self,
        listeners: &[usize],
        request: Request,
        steps: mpsc::Sender<Step>,
    ) {
        let Request { info, body, user, is_web_socket, origins } = request;
        let context = Arc::new(Context {
            user: user.clone(),
            request: Some(info),
            authorize: true,
            origins,
            ..Context::default()
        });
        self.resume_context(&context);
        let body = self.js.op_state().borrow_mut().borrow_mut::<Bodies>().insert(body);
        let number = self.insert(PendingCall::new(None, context, None, Answer::Steps(steps)));
        self.entered = Some(number);
        let Some(entry) = &self.entry else { return };
        let function = entry.request.clone();
        deno_core::scope!(scope, self.js);
        v8::tc_scope!(let scope, scope);
        let listeners: Vec<v8::Local<v8::Value>> = listeners
            .iter()
            .map(|listener| v8::Integer::new(scope, *listener as i32).into())
            .collect();
        let arguments: [v8::Local<v8::Value>; 5] = [
            v8::Integer::new(scope, number as i32).into(),
            v8::Array::new_with_elements(scope, &listeners).into(),
            match &user {
                Some(user) => user_to_v8(scope, &mut self.users, user),
                None => v8::undefined(scope).into(),
            },
            v8::Integer::new(scope, body).into(),
            v8::Boolean::new(scope, is_web_socket).into(),
        ];
        let function = v8::Local::new(scope, function);
        let undefined = v8::undefined(scope).into();
        function.call(scope, undefined, &arguments);
        // The entry functions catch everything themselves; an exception here is the host's own fault.
        if let Some(exception) = scope.exception() {
            let error = JsError::from_v8_exception(scope, exception);
            tracing::error!("the host's middleware failed: {error}");
        }
    }

    /// Has the next entry run with the object that this worker's listeners have made of the request.
    pub(super) fn resume_context(&mut self, context: &Context) {
        if context.origins.is_empty() {
            return;
        }
        let (number, keeps_user) = {
            let state = self.js.op_state();
            let state = state.borrow();
            let worker = state.borrow::<WorkerState>();
            match CallOrigin::find(&context.origins, worker.generation) {
                Some(origin) if origin.worker == worker.worker_index => {
                    (origin.number, origin.has_left_with(context.user.as_ref()))
                }
                Some(_) | None => return,
            }
        };
        let Some(entry) = &self.entry else { return };
        let function = entry.resume.clone();
        deno_core::scope!(scope, self.js);
        let function = v8::Local::new(scope, function);
        let undefined = v8::undefined(scope).into();
        let number = v8::Integer::new(scope, number as i32).into();
        let keeps_user = v8::Boolean::new(scope, keeps_user).into();
        function.call(scope, undefined, &[number, keeps_user]);
    }

    /// The listeners that the component has registered.
    pub(crate) fn listeners(&mut self) -> Vec<Listener> {
        self.js.op_state().borrow().borrow::<Listeners>().0.clone()
    }
}
