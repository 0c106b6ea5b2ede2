// Caching: tables whose records come from a source (harper-resources.md section 13). Here a table
// declares its source, reads go through the cache, and the host's questions to a source are answered.
import {
  op_kora_begin_from_source,
  op_kora_cached,
  op_kora_commit,
  op_kora_delete,
  op_kora_host,
  op_kora_invalidate,
  op_kora_load,
  op_kora_loaded,
  op_kora_pending,
  op_kora_refresh,
  op_kora_source,
  op_kora_source_loaded,
  op_kora_source_written,
  op_kora_write,
} from "ext:core/ops";
import { createBlob, unsaved } from "ext:kora/harperdb/blob.ts";
import { Context, runWith, userOf } from "ext:kora/harperdb/context.ts";
import { logger } from "ext:kora/harperdb/logger.ts";
import { fail } from "ext:kora/harperdb/reply.ts";
import { overridesStatic } from "ext:kora/harperdb/pipeline.ts";
import { readRecord, TableRecord } from "ext:kora/harperdb/record.ts";
import { Resource } from "ext:kora/harperdb/resource.ts";
import type { Id } from "ext:kora/harperdb/target.ts";
import { readNumber } from "ext:kora/harperdb/transaction.ts";

const METHODS = ["get", "put", "patch", "delete"] as const;

/** The statuses whose responses may be stored without further word (RFC 9110, section 15.1). */
const CACHEABLE = new Set([200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501]);

/** What a source is told besides the id, and what it may say besides the record. */
export class SourceContext extends Context {
  /** The context of the request that misses the record. */
  requestContext: Context;
  replacingRecord: any;
  replacingEntry: { value: any; version: number; expiresAt: number | undefined } | undefined;
  replacingVersion: number | undefined;
  /** Set by the source: do not keep what I give. */
  noCacheStore = false;
  source: any;

  constructor(call: number, source: any) {
    super(call);
    this.requestContext = new Context(call);
    this.source = source;
  }
}

interface Declared {
  table: any;
  source: any;
}

/** By their numbers, which are the same in every worker. */
const declared: Declared[] = [];

function nameOf(source: any): string | undefined {
  return source?.name;
}

function has(source: any, method: string): boolean {
  if (source?.prototype instanceof Resource) {
    return overridesStatic(source, method) || typeof source.prototype[method] === "function";
  }
  return typeof source?.[method] === "function";
}

/** `Table.sourcedFrom(source, options)`; `number` is the table's. */
export function declareSource(table: any, number: number, source: any, options: any = {}): void {
  if (source === null || (typeof source !== "object" && typeof source !== "function")) {
    throw new TypeError(`The source of ${table.name} must be a class or an object`);
  }
  const known = declared.find((entry) => entry.table.tableNumber === number);
  if (known) {
    if (known.source === source || nameOf(known.source) === nameOf(source)) return;
    throw new Error(`Table ${table.name} has a source already`);
  }
  declared.push({ table, source });
  op_kora_source(
    number,
    METHODS.filter((method) => has(source, method)),
    Number(options.expiration ?? NaN),
    Number(options.eviction ?? NaN),
    Number(options.scanInterval ?? NaN),
  );
}

/** Where Rust asks a source: `kind` 0 load, 1 put, 2 patch, 3 delete. Answers by an op, never throws. */
export function source(
  call: number,
  number: number,
  kind: number,
  id: Id,
  value: any,
  replacing: any,
  version: number,
  expires: number,
  user: any,
): void {
  const { source } = declared[number];
  const context = new SourceContext(call, source);
  context.user = context.requestContext.user = userOf(user);
  if (replacing !== undefined) {
    const expiresAt = Number.isNaN(expires) ? undefined : expires;
    context.replacingRecord = replacing;
    context.replacingVersion = version;
    context.replacingEntry = { value: replacing, version, expiresAt };
  }
  const answer = kind === 0 ? load(call, source, id, context) : write(call, source, kind, id, value, context);
  answer.catch((error) => fail(call, -1, reachable(error), context)).finally(() => {
    context.requestContext.answered();
    context.answered();
  });
}

async function load(call: number, source: any, id: Id, context: SourceContext): Promise<void> {
  if (typeof source.available === "function" && await source.available(id, context) === false) {
    throw Object.assign(new Error("The source is not available"), {
      statusCode: 503,
      code: "ECONNREFUSED",
    });
  }
  let result = await runWith(context, () => source.get(id, context));
  if (result?.headers && (result instanceof Response || Number(result.status) > 0)) {
    if (result.status === 304) {
      return loaded(call, 2, undefined, context);
    }
    result = await storable(result);
  }
  if (result === undefined || result === null) return loaded(call, 0, undefined, context);
  if (typeof result !== "object") {
    throw new TypeError(`A source must return an object, but it returned a ${typeof result}`);
  }
  await unsaved(result);
  // What was read from a table has the version of that table.
  const version = result.getUpdatedTime?.();
  if (context.lastModified === undefined && typeof version === "number") {
    context.lastModified = version;
  }
  return loaded(call, 1, result, context);
}

function loaded(call: number, kind: number, record: any, context: SourceContext): void {
  op_kora_source_loaded(
    call,
    kind,
    record,
    Number(context.expiresAt ?? NaN),
    Number(context.lastModified ?? NaN),
    !(context.noCacheStore || context.requestContext.noCacheStore),
  );
}

/** The record that stands for a response; responses that may not be stored are errors. */
async function storable(response: any): Promise<any> {
  const status = Number(response.status) || 200;
  if (!CACHEABLE.has(status)) {
    const text = response instanceof Response ? await response.text() : response.data ?? response.body;
    throw Object.assign(new Error(String(text || `The source answered with ${status}`)), {
      statusCode: status,
    });
  }
  const headers = Object.fromEntries(
    typeof response.headers[Symbol.iterator] === "function"
      ? response.headers
      : Object.entries(response.headers),
  );
  const record: any = { headers };
  if (status !== 200) record.status = status;
  if (!(response instanceof Response) && response.data !== undefined) record.data = response.data;
  else if (response.body != null) record.body = createBlob(response.body, { type: typeOf(headers) });
  return record;
}

function typeOf(headers: Record<string, string>): string {
  const name = Object.keys(headers).find((name) => name.toLowerCase() === "content-type");
  return name === undefined ? "" : headers[name];
}

async function write(
  call: number,
  source: any,
  kind: number,
  id: Id,
  value: any,
  context: SourceContext,
): Promise<void> {
  const method = METHODS[kind];
  await runWith(
    context,
    () => method === "delete" ? source.delete(id, context) : source[method](id, value, context),
  );
  op_kora_source_written(call);
}

/** Gives what fetch throws for an unreachable host the code that says so. */
function reachable(error: any): any {
  if (error === null || typeof error !== "object" || error.code !== undefined) return error;
  const code = error.cause?.code;
  const text = `${error.message} ${error.cause?.message ?? ""}`;
  const found = code ??
    (/connection refused/i.test(text) ? "ECONNREFUSED" : /connection (was )?reset|closed before/i.test(text)
      ? "ECONNRESET"
      : /dns error|failed to lookup/i.test(text)
      ? "EAI_AGAIN"
      : undefined);
  if (found !== undefined) {
    try {
      error.code = found;
    } catch {
      // A frozen error goes as it is.
    }
  }
  return error;
}

/** What a read through the cache found. */
interface CachedRead {
  record: any;
  version: number;
  expires: number;
  /** Whether it was loaded for this read. */
  loaded: boolean;
}

function flagsOf(context: any): number {
  if (!context) return 0;
  return (context.noCache ? 1 : 0) | (context.noCacheStore ? 2 : 0) |
    (context.onlyIfCached ? 4 : 0) | (context.staleIfError ? 8 : 0) |
    (context.mustRevalidate ? 16 : 0);
}

/**
 * Reads a record of a caching table. `allowStale` decides whether a stale one may be shown while it
 * is loaded anew, which `anew` demands in any case. Tells the context how it went: `Age`, or a miss in `Server-Timing`.
 */
async function readThrough(
  table: number,
  id: Id,
  context: any,
  anew: boolean,
  allowStale?: (entry: any, id: Id) => any,
): Promise<CachedRead> {
  const flags = flagsOf(context) | (anew ? 1 : 0);
  const call = context?.call ?? -1;
  const [first, fresh] = op_kora_cached(table, id, call, flags);
  let read = first;
  if (!fresh) {
    const [value, version, expiresAt] = first;
    const stale = value !== null && allowStale && await allowStale({ key: id, value, version, expiresAt }, id);
    if (stale) op_kora_refresh(table, id, call, flags);
    else read = await op_kora_loaded(op_kora_load(table, id, call, flags));
  }
  const [record, version, expires, age] = read;
  const loaded = age < 0;
  if (context && call >= 0) {
    context.loadedFromSource = loaded;
    if (loaded) context.responseHeaders.set("server-timing", "miss");
    else if (record !== null) {
      context.lastRefreshed = Date.now() - age * 1000;
      context.responseHeaders.set("age", String(Math.floor(age)));
    }
  }
  return { record, version, expires, loaded };
}

/** Reads a record of a caching table as code gets it, what its transaction changes included. */
export async function readCached(
  table: number,
  id: Id,
  context: Context | undefined,
  allowStale?: (entry: any, id: Id) => any,
): Promise<TableRecord | undefined> {
  const transaction = readNumber(context);
  const pending = op_kora_pending(transaction, table, id);
  if (pending === Pending.Changed) return readRecord(table, id, transaction);
  const anew = pending === Pending.Invalidated;
  const { record, version, expires, loaded } = await readThrough(table, id, context, anew, allowStale);
  if (record === null) return undefined;
  const made = Object.assign(new TableRecord(), record);
  TableRecord.stamp(made, version, expires, loaded);
  return made;
}

/** What a transaction does to a record: the answers of `op_kora_pending`. */
enum Pending {
  Untouched = 0,
  /** It is to be loaded anew. */
  Invalidated = 1,
  /** It must be read from the transaction. */
  Changed = 2,
}

/** The kinds of `op_kora_write`. */
const WRITES: Record<string, number> = { put: 0, patch: 1, message: 3, publish: 3 };

/** Runs the subscriptions of the sources that have one, in the first worker. */
export function subscribeToSources(): void {
  const { workerIndex } = op_kora_host();
  for (const { table, source } of declared) {
    if (!has(source, "subscribe") || (source.prototype instanceof Resource && !ownSubscribe(source))) continue;
    const here = typeof source.subscribeOnThisThread === "function"
      ? source.subscribeOnThisThread(workerIndex)
      : workerIndex === 0;
    if (!here) continue;
    follow(table, source).catch((error) => {
      logger.error(`The subscription of the source of ${table.name} has failed: ${error?.stack ?? error}`);
    });
  }
}

/** Every resource has a `subscribe`; only one of its own has something to tell. */
function ownSubscribe(source: any): boolean {
  return overridesStatic(source, "subscribe") ||
    source.prototype.subscribe !== Resource.prototype.subscribe;
}

async function follow(table: any, source: any): Promise<void> {
  const options = {
    crossThreads: false,
    inTransactionUpdates: true,
    supportsTransactions: true,
    omitCurrent: true,
    isCollection: true,
    id: null,
  };
  const events = await source.subscribe(options);
  if (!events?.[Symbol.asyncIterator]) return;
  for await (const event of events) {
    try {
      await apply(table, event);
    } catch (error: any) {
      logger.error(`An event of the source of ${table.name} could not be written: ${error?.message ?? error}`);
    }
  }
}

/** Writes one event, or all of a transaction's, and tells the source when it is durable. */
async function apply(table: any, event: any): Promise<void> {
  const transaction = op_kora_begin_from_source();
  const writes = event.type === "transaction" ? event.writes ?? [] : [event];
  for (const one of writes) {
    const target = table.tableNumber;
    const id = one.id ?? one.value?.[table.primaryKey];
    if (one.type === "delete") op_kora_delete(transaction, target, id);
    else if (one.type === "invalidate") op_kora_invalidate(transaction, target, id);
    else if (one.type in WRITES) op_kora_write(transaction, target, WRITES[one.type], id, one.value, NaN);
  }
  await op_kora_commit(transaction);
  event.onCommit?.();
}
