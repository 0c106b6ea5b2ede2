//! What a guest can ask of the host: one module an interface of the world.

mod clock;
mod config;
mod http;
mod log;
mod random;
pub(crate) mod tables;
mod writes;

// The interface of the shared words has no function.
impl crate::bindings::kora::resource::types::Host for crate::instance::State {}
