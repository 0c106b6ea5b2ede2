//! What `#[resource]` makes of an `impl` block, and what `export!` calls.

use std::future::Future;
use std::pin::Pin;

use futures_core::Stream;
use serde_json::json;

use crate::call::Call;
use crate::{Error, Message, Reply, Result};

/// A resource as the manifest names it.
#[derive(Debug, Clone, Copy)]
pub struct Definition {
    pub path: &'static str,
    pub verbs: &'static [Method],
    pub connect: Option<Method>,
    pub table: Option<&'static str>,
    pub public: bool,
}

/// One method of a resource.
#[derive(Debug, Clone, Copy)]
pub struct Method {
    pub name: &'static str,
    /// Whether one of its parameters looks at the call's context: for the others the host leaves it out.
    pub reads_context: bool,
}

/// The stream of a `connect`.
pub type Outgoing = Pin<Box<dyn Stream<Item = Result<Message>>>>;

/// Implemented by `#[resource]`, on unit structs: `&'static self` lets streams outlive the call that opened them.
pub trait Described {
    const DEFINITION: Definition;

    /// Runs the method that `call.verb` names.
    fn handle(&'static self, call: Call) -> impl Future<Output = Result<Reply>>;

    fn connect(&'static self, call: Call) -> impl Future<Output = Result<Outgoing>>;
}

/// The manifest of a guest.
pub fn manifest(definitions: &[Definition]) -> String {
    let resources: Vec<_> = definitions
        .iter()
        .map(|definition| {
            let names = |methods: &mut dyn Iterator<Item = &Method>| -> Vec<_> {
                methods.map(|method| method.name).collect()
            };
            let all = definition.verbs.iter().chain(&definition.connect);
            json!({
                "path": definition.path,
                "verbs": names(&mut definition.verbs.iter()),
                "connect": definition.connect.is_some(),
                "context": names(&mut all.filter(|method| method.reads_context)),
                "table": definition.table,
                "public": definition.public,
            })
        })
        .collect();
    json!({"encoding": "msgpack", "resources": resources}).to_string()
}

pub async fn handle(resource: &'static impl Described, call: Call) -> Result<Reply> {
    resource.handle(call).await
}

pub async fn connect(resource: &'static impl Described, call: Call) -> Result<Outgoing> {
    resource.connect(call).await
}

/// Makes the library a guest with these resources, each a unit struct.
#[macro_export]
macro_rules! export {
    ($($resource:ident),+ $(,)?) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            struct Guest;
            impl $crate::internal::bindings::exports::kora::resource::guest::Guest for Guest {
                fn manifest() -> ::std::string::String {
                    $crate::internal::manifest(&[
                        $(<$resource as $crate::internal::Described>::DEFINITION),+
                    ])
                }

                async fn handle(
                    call: $crate::internal::bindings::WitCall,
                ) -> ::core::result::Result<
                    $crate::internal::bindings::WitReply,
                    $crate::internal::bindings::WitFailure,
                > {
                    let (number, call) = $crate::internal::bindings::call(call, None)?;
                    let mut resources = 0u32;
                    $(
                        if number == resources {
                            return $crate::internal::bindings::reply(
                                $crate::internal::handle(&$resource, call).await,
                            );
                        }
                        resources += 1;
                    )+
                    Err($crate::internal::bindings::no_resource(number, resources))
                }

                async fn connect(
                    call: $crate::internal::bindings::WitCall,
                    incoming: ::core::option::Option<$crate::internal::bindings::WitIncoming>,
                ) -> ::core::result::Result<
                    $crate::internal::bindings::WitOutgoing,
                    $crate::internal::bindings::WitFailure,
                > {
                    let (number, call) = $crate::internal::bindings::call(call, incoming)?;
                    let mut resources = 0u32;
                    $(
                        if number == resources {
                            return $crate::internal::bindings::outgoing(
                                $crate::internal::connect(&$resource, call).await,
                            );
                        }
                        resources += 1;
                    )+
                    Err($crate::internal::bindings::no_resource(number, resources))
                }
            }
            $crate::internal::bindings::export!(Guest with_types_in $crate::internal::bindings);
        };
    };
}

/// What a class without a method answers.
#[doc(hidden)]
pub fn missing(path: &str, verb: &str) -> Error {
    Error::new(405, format!("The {path} does not have a {verb} method implemented"))
}
