// What a handler returned, as an answer (harper-resources.md section 10).
import {
  op_kora_fail,
  op_kora_item,
  op_kora_item_room,
  op_kora_items_end,
  op_kora_reply,
  op_kora_reply_items,
  op_kora_reply_search,
  op_kora_reply_stream,
} from "ext:core/ops";
import { blobNumber, unsaved } from "ext:kora/harperdb/blob.ts";
import type { Context } from "ext:kora/harperdb/context.ts";
import { failure } from "ext:kora/harperdb/errors.ts";
import { TableRecord } from "ext:kora/harperdb/record.ts";
import { bodyOf } from "ext:kora/harperdb/response.ts";
import { SearchResult } from "ext:kora/harperdb/search.ts";

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

/** What an answer has besides its body. */
interface Head {
  /** 0 leaves it to the host. */
  status: number;
  /** Names and values in turn. */
  headers: string[] | null;
}

/** What code has set on the context for its answer. */
function headOf(context: Context): Head {
  const status = context.setStatus ?? 0;
  const headers = flatHeaders(context.setHeaders);
  if (!context.createdResource && context.newLocation === undefined) return { status, headers };
  const location = context.newLocation ?? undefined;
  return {
    status: status || (context.createdResource ? 201 : 0),
    headers: location === undefined
      ? headers
      : [...headers ?? [], "location", encodeURI(locationText(location))],
  };
}

/** An id of parts is a path. */
function locationText(location: unknown): string {
  return Array.isArray(location) ? location.join("/") : String(location);
}

function answer(call: number, result: any, context: Context): Promise<void> | undefined {
  if (result === undefined || result === null) {
    // A null is an answer of its own: its text is the body, even where the status says "not found".
    const kind = result === null ? Body.Value : Body.Absent;
    send(call, context, headOf(context), kind, result);
    return undefined;
  }
  if (typeof result !== "object") {
    send(call, context, headOf(context), Body.Value, result);
    return undefined;
  }
  if (result.headers) return responseLike(call, result, context);
  return body(call, context, headOf(context), result);
}

function send(
  call: number,
  context: Context,
  { status, headers }: Head,
  kind: Body,
  value: unknown,
  version = NaN,
  contentType = "",
): void {
  op_kora_reply(call, status, headers, version, kind, value, contentType);
  context.answered();
}

/** An object: a value, bytes with a type, or a sequence. */
function body(
  call: number,
  context: Context,
  head: Head,
  value: any,
): Promise<void> | undefined {
  if (value instanceof SearchResult) {
    const search = value.takeSearch();
    if (search !== undefined) {
      op_kora_reply_search(call, head.status, head.headers, search);
      context.answered();
      return undefined;
    }
  }
  if (value instanceof Uint8Array || value instanceof ArrayBuffer || value instanceof Blob) {
    return raw(call, context, head, value, value instanceof Blob ? "" : BINARY);
  }
  if (value.contentType != null && value.data != null) {
    return raw(call, context, head, value.data, String(value.contentType));
  }
  if (!Array.isArray(value) && isSequence(value)) {
    const number = op_kora_reply_items(call, head.status, head.headers);
    context.answered();
    return feed(number, value);
  }
  const version = TableRecord.versionOf(value);
  // What a class makes of a record changes when the record does.
  const made = Array.isArray(value) ? NaN : context.lastModified ?? NaN;
  send(call, context, head, Body.Value, value, Number.isNaN(version) ? made : version);
  return undefined;
}

function isSequence(value: any): boolean {
  return typeof value[Symbol.asyncIterator] === "function" ||
    typeof value[Symbol.iterator] === "function";
}

/** Bytes as they are: at once, or streamed from whatever gives them piece by piece. */
function raw(
  call: number,
  context: Context,
  head: Head,
  value: any,
  type: string,
): Promise<void> | undefined {
  if (blobNumber(value) !== undefined) {
    send(call, context, head, Body.Blob, value, NaN, type);
    return undefined;
  }
  if (value instanceof Blob) {
    return value.arrayBuffer().then((bytes) =>
      send(call, context, head, Body.Raw, bytes, NaN, type || value.type || BINARY)
    );
  }
  const pieces = value !== null && typeof value === "object" && !ArrayBuffer.isView(value) &&
    !Array.isArray(value) && isSequence(value);
  if (!pieces) {
    send(call, context, head, Body.Raw, value, NaN, type);
    return undefined;
  }
  const number = op_kora_reply_stream(call, head.status, head.headers, type);
  context.answered();
  return feed(number, value);
}

/** A `Response`, or an object with `headers`: its status and headers, `data` encoded, `body` as is. */
function responseLike(call: number, response: any, context: Context): Promise<void> | undefined {
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
  const given = bodyOf(response);
  if (response instanceof Response || given !== undefined) {
    const type = headers.get("content-type") ?? "";
    headers.delete("content-type");
    const head = { status, headers: flatHeaders(headers) };
    if (given === null) {
      send(call, context, { ...head, status: status || 200 }, Body.Absent, undefined);
      return undefined;
    }
    return raw(call, context, head, given, type);
  }
  const head = { status, headers: flatHeaders(headers) };
  const data = "data" in response || isHead(response) ? response.data : response;
  if (data === undefined || data === null) {
    // An answer of its own, empty as it is: 200 unless it says otherwise.
    send(call, context, { ...head, status: status || 200 }, Body.Absent, undefined);
  } else if (typeof data !== "object") {
    send(call, context, head, Body.Value, data);
  } else {
    return body(call, context, head, data);
  }
  return undefined;
}

/** Whether an object says nothing but how to answer. */
function isHead(response: any): boolean {
  return Object.keys(response).every((name) => ["status", "statusText", "headers"].includes(name));
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
async function feed(number: number, sequence: any): Promise<void> {
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
