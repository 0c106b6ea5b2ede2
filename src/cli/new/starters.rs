//! The files that `kora new` writes, by their paths in the new folder.

/// A path and a text.
pub(super) type File = (&'static str, &'static str);

/// The text of a file of this repository.
macro_rules! text {
    ($path:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/", $path))
    };
}

/// `kora new`.
pub(super) const TYPESCRIPT: &[File] = &[
    (".gitignore", ".kora/\nnode_modules/\n"),
    ("README.md", text!("components/starter/README.md")),
    ("config.yaml", text!("components/starter/config.yaml")),
    ("schema.graphql", text!("components/starter/schema.graphql")),
    ("resources/greeting.ts", text!("components/starter/resources/greeting.ts")),
    ("web/index.html", text!("components/starter/web/index.html")),
    ("web/page.js", text!("components/starter/web/page.js")),
    ("web/style.css", text!("components/starter/web/style.css")),
];

/// `kora new --rust`.
pub(super) const RUST: &[File] = &[
    (".gitignore", ".kora/\ntarget/\nresources/*.wasm\n"),
    ("README.md", text!("sdk-guest/starter/README.md")),
    ("config.yaml", text!("sdk-guest/starter/config.yaml")),
    ("schema.graphql", text!("sdk-guest/starter/schema.graphql")),
    ("guest/Cargo.lock", text!("sdk-guest/starter/guest/Cargo.lock")),
    ("guest/Cargo.toml", text!("sdk-guest/starter/guest/Cargo.toml")),
    ("guest/src/lib.rs", text!("sdk-guest/starter/guest/src/lib.rs")),
    ("guest/sdk/macros/Cargo.toml", text!("sdk-guest/macros/Cargo.toml")),
    ("guest/sdk/macros/src/lib.rs", text!("sdk-guest/macros/src/lib.rs")),
    ("guest/sdk/macros/src/resource.rs", text!("sdk-guest/macros/src/resource.rs")),
    ("guest/sdk/rust/Cargo.toml", text!("sdk-guest/rust/Cargo.toml")),
    ("guest/sdk/rust/README.md", text!("sdk-guest/rust/README.md")),
    ("guest/sdk/rust/src/call.rs", text!("sdk-guest/rust/src/call.rs")),
    ("guest/sdk/rust/src/context.rs", text!("sdk-guest/rust/src/context.rs")),
    ("guest/sdk/rust/src/date.rs", text!("sdk-guest/rust/src/date.rs")),
    ("guest/sdk/rust/src/encoding.rs", text!("sdk-guest/rust/src/encoding.rs")),
    ("guest/sdk/rust/src/error.rs", text!("sdk-guest/rust/src/error.rs")),
    ("guest/sdk/rust/src/host/double.rs", text!("sdk-guest/rust/src/host/double.rs")),
    ("guest/sdk/rust/src/host/wasm.rs", text!("sdk-guest/rust/src/host/wasm.rs")),
    ("guest/sdk/rust/src/http.rs", text!("sdk-guest/rust/src/http.rs")),
    ("guest/sdk/rust/src/id.rs", text!("sdk-guest/rust/src/id.rs")),
    ("guest/sdk/rust/src/lib.rs", text!("sdk-guest/rust/src/lib.rs")),
    ("guest/sdk/rust/src/log.rs", text!("sdk-guest/rust/src/log.rs")),
    ("guest/sdk/rust/src/message.rs", text!("sdk-guest/rust/src/message.rs")),
    ("guest/sdk/rust/src/query.rs", text!("sdk-guest/rust/src/query.rs")),
    ("guest/sdk/rust/src/reply.rs", text!("sdk-guest/rust/src/reply.rs")),
    ("guest/sdk/rust/src/resource.rs", text!("sdk-guest/rust/src/resource.rs")),
    ("guest/sdk/rust/src/table.rs", text!("sdk-guest/rust/src/table.rs")),
    ("guest/sdk/rust/src/testing.rs", text!("sdk-guest/rust/src/testing.rs")),
    ("guest/sdk/rust/src/transaction.rs", text!("sdk-guest/rust/src/transaction.rs")),
    ("guest/sdk/wit/kora-resource.wit", text!("sdk-guest/wit/kora-resource.wit")),
];
