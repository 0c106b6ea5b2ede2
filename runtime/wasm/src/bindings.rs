//! The Rust side of the world, generated from `sdk-guest/wit/`.

wasmtime::component::bindgen!({
    path: "../../sdk-guest/wit",
    world: "resources",
    imports: {
        "kora:resource/tables.[method]table.search": store | trappable,
        "kora:resource/tables.[method]table.subscribe": store | trappable,
        default: trappable,
    },
    exports: { default: async },
    with: {
        "kora:resource/tables.table": crate::imports::tables::TableHandle,
        "kora:resource/tables.transaction": crate::imports::tables::TransactionHandle,
    },
});
