//! One instance of a guest and the state that the host keeps beside it.
//!
//! An instance answers one call at a time: what the host does for the guest meanwhile belongs to that call, its
//! transaction above all. It lives on whatever thread of the guests' runtime polls it.

use std::sync::Arc;

use kora_store::{Store, Transaction};
use wasmtime::UpdateDeadline;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::bindings::Resources as Bindings;
use crate::encoding::Encoding;
use crate::guest::GuestInfo;
use crate::limits::{MemoryLimiter, Meter, Verdict};

/// What the running call's writes belong to.
#[derive(Debug)]
pub(crate) enum Writes {
    /// No call runs: nothing may be written.
    Refused,
    /// One transaction, committed when the call has answered.
    Together(Transaction),
    /// Each for itself: in streams.
    Apart,
}

/// The host's side of one instance.
pub(crate) struct State {
    pub(crate) info: Arc<GuestInfo>,
    pub(crate) store: Arc<Store>,
    pub(crate) encoding: Encoding,
    pub(crate) writes: Writes,
    pub(crate) resources: ResourceTable,
    pub(crate) meter: Arc<Meter>,
    limiter: MemoryLimiter,
    wasi: WasiCtx,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.resources }
    }
}

/// A guest's instance, ready for a call.
pub(crate) struct Instance {
    pub(crate) store: wasmtime::Store<State>,
    pub(crate) bindings: Bindings,
    pub(crate) meter: Arc<Meter>,
    /// Calls that it has answered.
    pub(crate) calls: u32,
}

impl State {
    pub(crate) fn new(info: &Arc<GuestInfo>, store: &Arc<Store>, encoding: Encoding) -> State {
        let meter = Arc::new(Meter::default());
        State {
            info: info.clone(),
            store: store.clone(),
            encoding,
            writes: Writes::Refused,
            resources: ResourceTable::new(),
            limiter: MemoryLimiter { limit: info.limits.memory, used: 0, meter: meter.clone() },
            meter,
            // Nothing is granted: no file, no environment, no socket, and standard output goes nowhere: guests log.
            wasi: WasiCtx::builder().allow_tcp(false).allow_udp(false).build(),
        }
    }

    /// A wasmtime store whose guest is interrupted and bounded.
    pub(crate) fn into_store(self, engine: &wasmtime::Engine) -> wasmtime::Store<State> {
        let meter = self.meter.clone();
        let limit = self.info.limits.cpu;
        let mut store = wasmtime::Store::new(engine, self);
        store.limiter(|state| &mut state.limiter);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(move |_| {
            Ok(match meter.tick(limit) {
                Verdict::GoOn => UpdateDeadline::Continue(1),
                Verdict::GiveWay => UpdateDeadline::Yield(1),
                Verdict::Stop => UpdateDeadline::Interrupt,
            })
        });
        store
    }
}
