//! Where code is at the moment when it is stopped, for the log; and how full its heap is then.
//!
//! The engine calls back on the isolate's own thread, between two steps of the code; which isolate that is the thread
//! itself knows ([`Watched`]). The places are those of the code as the engine has it: [`crate::isolate`] finds the
//! user's own lines for them.
//!
//! `unsafe`: the engine's callback hands over the isolate as a raw pointer.
#![allow(unsafe_code)]

use std::cell::RefCell;
use std::ffi::c_void;
use std::sync::Arc;

use deno_core::v8;

use super::pulse::Pulse;

/// How many places are noted: some may be the host's own.
const PLACES: usize = 20;

/// A line of code as the engine has it; both numbers begin at 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) file: String,
    pub(crate) line: u32,
    pub(crate) column: u32,
}

struct Current {
    pulse: Arc<Pulse>,
    context: v8::Global<v8::Context>,
    isolate: v8::UnsafeRawIsolatePtr,
}

thread_local! {
    static CURRENT: RefCell<Option<Current>> = const { RefCell::new(None) };
}

/// This thread's isolate can tell where its code is for as long as this lives, which must end before the isolate does.
pub(crate) struct Watched(());

impl Watched {
    /// `isolate`, with its one context, is this thread's.
    pub(crate) fn new(
        pulse: &Arc<Pulse>,
        isolate: &v8::Isolate,
        context: v8::Global<v8::Context>,
    ) -> Watched {
        // SAFETY: the pointer is used on this thread only, and only until this value is dropped.
        let isolate = unsafe { isolate.as_raw_isolate_ptr() };
        CURRENT.set(Some(Current { pulse: pulse.clone(), context, isolate }));
        Watched(())
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        CURRENT.set(None);
    }
}

/// Has the engine ask the pulse, at the next step of the isolate's code, whether it is to be stopped.
pub(super) fn ask(isolate: &v8::IsolateHandle) {
    // An isolate that is gone has no code to stop.
    isolate.request_interrupt(interrupted, std::ptr::null_mut());
}

/// Where this thread's code is. For callers that the engine calls out of code.
#[cfg(feature = "v8")]
pub(crate) fn here() -> Vec<Place> {
    with_current(Current::places).unwrap_or_default()
}

/// How many bytes the objects of this thread's isolate take, without its buffers. For callers as of [`here`].
#[cfg(feature = "v8")]
pub(crate) fn heap_in_use() -> Option<usize> {
    with_current(|current| current.isolate().get_heap_statistics().used_heap_size())
}

extern "C" fn interrupted(_isolate: v8::UnsafeRawIsolatePtr, _data: *mut c_void) {
    with_current(|current| current.pulse.interrupt(|| current.places()));
}

/// Hands over what this thread knows of its isolate; `None` if it has none.
fn with_current<R>(tell: impl FnOnce(&Current) -> R) -> Option<R> {
    // It changes only where no code runs.
    CURRENT.with(|current| current.try_borrow().ok()?.as_ref().map(tell))
}

impl Current {
    fn isolate(&self) -> v8::Isolate {
        // SAFETY: the isolate lives: `Watched` is dropped before it. It is entered, since its code has called.
        unsafe { v8::Isolate::from_raw_isolate_ptr(self.isolate) }
    }

    fn places(&self) -> Vec<Place> {
        places(&mut self.isolate(), &self.context)
    }
}

fn places(isolate: &mut v8::Isolate, context: &v8::Global<v8::Context>) -> Vec<Place> {
    v8::scope_with_context!(let scope, isolate, context);
    let Some(stack) = v8::StackTrace::current_stack_trace(scope, PLACES) else {
        return Vec::new();
    };
    let place = |index| {
        let frame = stack.get_frame(scope, index)?;
        Some(Place {
            file: frame.get_script_name(scope)?.to_rust_string_lossy(scope),
            line: u32::try_from(frame.get_line_number()).ok().filter(|line| *line > 0)?,
            column: u32::try_from(frame.get_column()).ok()?.max(1),
        })
    };
    (0..stack.get_frame_count()).filter_map(place).collect()
}
