//! The extension `kora`: all ops, and the TypeScript of the host module.

use deno_core::{ModuleCodeString, ModuleName, ModuleSpecifier, SourceMapData};
use deno_error::JsErrorBox;

use crate::node;
use crate::ops::{
    accounts, administration, calls, exporting, host, searches, sockets, tables, targets,
    transactions,
};

deno_core::extension!(
    kora,
    deps = [deno_webidl, deno_web, deno_fetch, deno_crypto, kora_node],
    ops = [
        calls::op_kora_request,
        calls::op_kora_reply,
        calls::op_kora_reply_items,
        calls::op_kora_reply_search,
        calls::op_kora_reply_stream,
        calls::op_kora_fail,
        calls::op_kora_body,
        calls::op_kora_call_given_up,
        accounts::op_kora_user,
        accounts::op_kora_authenticate,
        accounts::op_kora_operation,
        accounts::op_kora_session,
        accounts::op_kora_session_update,
        accounts::op_kora_session_delete,
        accounts::op_kora_session_find,
        accounts::op_kora_session_cookie,
        host::op_kora_item,
        host::op_kora_item_room,
        host::op_kora_items_end,
        exporting::op_kora_exports,
        exporting::op_kora_register,
        host::op_kora_host,
        host::op_kora_console,
        host::op_kora_log,
        transactions::op_kora_begin,
        transactions::op_kora_abort,
        transactions::op_kora_has_writes,
        transactions::op_kora_commit,
        tables::op_kora_tables,
        tables::op_kora_get,
        tables::op_kora_exists,
        tables::op_kora_validate,
        tables::op_kora_write,
        tables::op_kora_delete,
        searches::op_kora_search,
        searches::op_kora_rows,
        searches::op_kora_search_close,
        searches::op_kora_turn,
        targets::op_kora_parse_target,
        targets::op_kora_parse_query,
        administration::op_kora_table_size,
        administration::op_kora_change_table,
        administration::op_kora_history,
        administration::op_kora_history_next,
        sockets::op_kora_subscribe,
        sockets::op_kora_events,
        sockets::op_kora_unsubscribe,
        sockets::op_kora_socket,
        sockets::op_kora_accept,
        sockets::op_kora_forward,
        sockets::op_kora_send,
        sockets::op_kora_writable,
        sockets::op_kora_closed,
        sockets::op_kora_finish,
        sockets::op_kora_client_done,
        sockets::op_kora_incoming,
        sockets::op_kora_incoming_close,
    ],
    esm_entry_point = "ext:kora/harperdb/main.ts",
    esm = [
        dir "src",
        "web/globals.js",
        "node/scripts.js",
        "harperdb/errors.ts",
        "harperdb/event_queue.ts",
        "harperdb/query_text.ts",
        "harperdb/target.ts",
        "harperdb/permission.ts",
        "harperdb/session.ts",
        "harperdb/context.ts",
        "harperdb/transaction.ts",
        "harperdb/record.ts",
        "harperdb/iterable.ts",
        "harperdb/search.ts",
        "harperdb/arguments.ts",
        "harperdb/pipeline.ts",
        "harperdb/resource.ts",
        "harperdb/subscription.ts",
        "harperdb/attributes.ts",
        "harperdb/tracked.ts",
        "harperdb/undeclared.ts",
        "harperdb/table_statics.ts",
        "harperdb/table_arguments.ts",
        "harperdb/table.ts",
        "harperdb/reply.ts",
        "harperdb/path_match.ts",
        "harperdb/exports.ts",
        "harperdb/client.ts",
        "harperdb/dispatch.ts",
        "harperdb/logger.ts",
        "harperdb/main.ts",
    ],
);

/// Compiles the host module's TypeScript, once a process: the results are cached by content.
pub(crate) fn transpile(
    name: ModuleName,
    code: ModuleCodeString,
) -> Result<(ModuleCodeString, Option<SourceMapData>), JsErrorBox> {
    if !name.starts_with("ext:kora/") {
        return Ok((node::prepare(&name, code)?, None));
    }
    if !name.ends_with(".ts") {
        return Ok((code, None));
    }
    let specifier = ModuleSpecifier::parse(&name).map_err(JsErrorBox::from_err)?;
    let transpiled = crate::transpile::transpile(&specifier, code.as_str())
        .map_err(|error| JsErrorBox::generic(error.to_string()))?;
    let source_map = transpiled.source_map.clone().map(SourceMapData::from);
    Ok((transpiled.code.clone().into(), source_map))
}
