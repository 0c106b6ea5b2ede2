//! `kora:resource/clock`.

use std::time::{Duration, SystemTime};

use wasmtime::component::{Accessor, HasSelf};

use crate::bindings::kora::resource::clock::{Host, HostWithStore};
use crate::instance::State;

impl Host for State {
    fn now(&mut self) -> wasmtime::Result<f64> {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Ok(since.map_or(0.0, |since| since.as_secs_f64() * 1000.0))
    }
}

impl<T: Send> HostWithStore<T> for HasSelf<State> {
    async fn sleep(_: &Accessor<T, Self>, milliseconds: f64) -> wasmtime::Result<()> {
        let seconds = (milliseconds / 1000.0).max(0.0);
        // Longer than the clock can count is for ever: the call's limits end it.
        tokio::time::sleep(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)).await;
        Ok(())
    }
}
