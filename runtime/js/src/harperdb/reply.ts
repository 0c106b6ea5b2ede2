// What a handler returned, as an answer (harper-resources.md section 10).
import {
  op_kora_fail,
  op_kora_item,
  op_kora_item_room,
  op_kora_items_end,
  op_kora_reply,
  op_kora_reply_items,
  op_kora_reply_search,
} from "ext:core/ops";
import { blobNumber, unsaved } from "ext:kora/harperdb/blob.ts";
import type { Context } from "ext:kora/harperdb/context.ts";
import { failure } from "ext:kora/harperdb/errors.ts";
import { SearchResult } from "ext:kora/harperdb/search.ts";
import { TableRecord } from "ext:kora/harperdb/table.ts";

/** The kinds of body of `op_kora_reply`. */
enum Body {
  Absent = 0,
  Value = 1,
  Raw = 2,
  /** A blob of the store, streamed from there. */
  Blob = 3,
}

const BINARY = "application/octet-stream";

/** Answers with a failure; `exported` names the class whose methods a 405 lists. */
export function fail(call: number, exported: number, thrown: unknown, context?: Context): void {
  const { status, code, message, stack } = failure(thrown, context);
  op_kora_fail(call, status, code, message, stack, exported);
  context?.answered();
}

/** Answers with what the handler returned; what can't be answered fails the call. */
export function reply(call: number, exported: number, result: any, context: Context): void {
  try {
    const waiting = unsaved(result);
    const answered = waiting
      ? waiting.then(() => answer(call, result, context))
      : answer(call, result, context);
    if (answered) answered.catch((error) => fail(call, exported, error, context));
  } catch (error) {
    fail(call, exported, error, context);
  }
}

function answer(call: number, result: any, context: Context): Promise<void> | undefined {
  const status = context.setStatus ?? 0;
  const headers = flatHeaders(context.setHeaders);
  if (result === undefined || result === null) {
    send(call, context, status, headers, Body.Absent, undefined);
    return undefined;
  }
  if (typeof result !== "object") {
    send(call, context, status, headers, Body.Value, result);
    return undefined;
  }
  const version = TableRecord.versionOf(result);
  if (!Number.isNaN(version)) {
    send(call, context, status, headers, Body.Value, result, version);
    return undefined;
  }
  if (result.headers) return responseLike(call, result, context);
  return body(call, context, status, headers, result);
}

function send(
  call: number,
  context: Context,
  status: number,
  headers: string[] | null,
  kind: Body,
  value: unknown,
  version = NaN,
  contentType = "",
): void {
  const created = context.createdResource ? context.newLocation ?? null : null;
  op_kora_reply(call, status, headers, created, version, kind, value, contentType);
  context.answered();
}

/** An object: a value, bytes with a type, or a sequence. */
function body(
  call: number,
  context: Context,
  status: number,
  headers: string[] | null,
  value: any,
): Promise<void> | undefined {
  if (value instanceof SearchResult) {
    const search = value.takeSearch();
    if (search !== undefined) {
      op_kora_reply_search(call, status, headers, search);
      context.answered();
      return undefined;
    }
  }
  if (value instanceof Uint8Array || value instanceof ArrayBuffer) {
    send(call, context, status, headers, Body.Raw, value, NaN, BINARY);
    return undefined;
  }
  if (blobNumber(value) !== undefined) {
    send(call, context, status, headers, Body.Blob, value);
    return undefined;
  }
  if (value instanceof Blob) {
    return value.arrayBuffer().then((bytes) =>
      send(call, context, status, headers, Body.Raw, bytes, NaN, value.type || BINARY)
    );
  }
  if (value.contentType != null && value.data != null) {
    const kind = blobNumber(value.data) === undefined ? Body.Raw : Body.Blob;
    send(call, context, status, headers, kind, value.data, NaN, String(value.contentType));
    return undefined;
  }
  if (!Array.isArray(value) && isSequence(value)) {
    const number = op_kora_reply_items(call, status, headers);
    context.answered();
    return items(number, value);
  }
  send(call, context, status, headers, Body.Value, value);
  return undefined;
}

function isSequence(value: any): boolean {
  return typeof value[Symbol.asyncIterator] === "function" ||
    typeof value[Symbol.iterator] === "function";
}

/** A `Response`, or an object with `headers`: its status and headers, `data` encoded, `body` as is. */
async function responseLike(call: number, response: any, context: Context): Promise<void> {
  const status = Number(response.status) || context.setStatus || 0;
  if (status !== 0 && !(status >= 100 && status < 1000)) {
    throw new RangeError(`A response can't have the status ${status}`);
  }
  const headers = new Headers(headerEntries(response.headers));
  // First wins: what the handler put on its response goes before what it set on the context.
  for (const [name, value] of context.setHeaders ?? []) {
    if (name === "set-cookie") headers.append(name, value);
    else if (!headers.has(name)) headers.set(name, value);
  }
  if (response instanceof Response || response.body !== undefined) {
    const type = headers.get("content-type") ?? "";
    headers.delete("content-type");
    const flat = flatHeaders(headers);
    if (blobNumber(response.body) !== undefined) {
      send(call, context, status, flat, Body.Blob, response.body, NaN, type);
      return;
    }
    const bytes = await rawBody(response);
    if (bytes === undefined) send(call, context, status, flat, Body.Absent, undefined);
    else send(call, context, status, flat, Body.Raw, bytes, NaN, type);
    return;
  }
  const flat = flatHeaders(headers);
  const data = response.data;
  if (data === undefined || data === null) {
    // An answer of its own, empty as it is: 200 unless it says otherwise.
    send(call, context, status || 200, flat, Body.Absent, undefined);
  } else if (typeof data !== "object") {
    send(call, context, status, flat, Body.Value, data);
  } else {
    await body(call, context, status, flat, data);
  }
}

async function rawBody(response: any): Promise<unknown> {
  if (response instanceof Response) {
    return response.body === null ? undefined : new Uint8Array(await response.arrayBuffer());
  }
  const value = response.body;
  if (value === null || typeof value === "string" || value instanceof Uint8Array) {
    return value ?? undefined;
  }
  return new Uint8Array(await new Response(value).arrayBuffer());
}

function headerEntries(headers: any): [string, string][] {
  if (typeof headers[Symbol.iterator] === "function") return [...headers];
  const entries: [string, string][] = [];
  for (const [name, value] of Object.entries(headers)) {
    for (const one of Array.isArray(value) ? value : [value]) entries.push([name, String(one)]);
  }
  return entries;
}

function flatHeaders(headers: Headers | undefined): string[] | null {
  if (!headers) return null;
  const flat: string[] = [];
  for (const [name, value] of headers) flat.push(name, value);
  return flat;
}

/** Feeds a sequence to the client as fast as it reads. */
async function items(number: number, sequence: any): Promise<void> {
  let code = "";
  let message = "";
  try {
    for await (const item of sequence) {
      let sent = op_kora_item(number, item);
      while (sent === 2) sent = await op_kora_item_room(number) ? op_kora_item(number, item) : 0;
      if (sent === 0) break;
    }
  } catch (error) {
    ({ code, message } = failure(error));
  }
  await op_kora_items_end(number, code, message);
}
