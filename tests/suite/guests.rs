//! Guests in WebAssembly: the same application in Rust and in TypeScript answers alike; limits; loading.

mod building;
mod conformance;
mod limits;
mod loading;
mod mqtt;
mod network;
mod python;
mod sockets;

use crate::harness::{App, Server, guest};

const SCHEMA: (&str, &str) =
    ("schema.graphql", include_str!("../../examples/rust-guest/schema.graphql"));

/// The example in Rust.
const RUST: (&str, &str) = ("config.yaml", include_str!("../../examples/rust-guest/config.yaml"));

/// Its twin.
const TYPESCRIPT: [(&str, &str); 2] = [
    ("config.yaml", include_str!("../../examples/rust-guest/typescript/config.yaml")),
    (
        "resources/kennel.ts",
        include_str!("../../examples/rust-guest/typescript/resources/kennel.ts"),
    ),
];

/// Where the example takes its guest from.
const GUEST: &str = "resources/kennel.wasm";

fn rust() -> App {
    let app = App::new(&[RUST, SCHEMA]);
    app.write_bytes(GUEST, &guest::guest("examples/rust-guest"));
    app
}

/// One application in both languages, each served.
struct Twins {
    rust: Server,
    typescript: Server,
    _apps: [App; 2],
}

impl Twins {
    fn serve() -> Twins {
        let rust = rust();
        let typescript = App::new(&[&TYPESCRIPT[..], &[SCHEMA]].concat());
        Twins { rust: rust.run_on(2), typescript: typescript.run_on(2), _apps: [rust, typescript] }
    }

    fn each(&self) -> [(&'static str, &Server); 2] {
        [("TypeScript", &self.typescript), ("Rust", &self.rust)]
    }
}

/// An application with the guest that misbehaves, in the file `resources/misbehaving.wasm`.
fn misbehaving(config: &str) -> App {
    let config = format!("rest: true\nwasmResource: {{ files: resources/*.wasm }}\n{config}");
    let app = App::new(&[("config.yaml", config.as_str())]);
    app.write_bytes(
        "resources/misbehaving.wasm",
        &guest::guest("tests/fixtures/guests/misbehaving"),
    );
    app
}
