// How an instance of a table writes: in the open transaction of its context or in one of its own, after
// the blobs of its data are saved (harper-resources.md sections 8 and 13).
import { op_kora_write } from "ext:core/ops";
import { unsaved } from "ext:kora/harperdb/blob.ts";
import { ambientContext, Context } from "ext:kora/harperdb/context.ts";
import type { Id } from "ext:kora/harperdb/target.ts";
import { type Transaction, transactional } from "ext:kora/harperdb/transaction.ts";

/** The kinds of `op_kora_write`. */
export enum Write {
  Put = 0,
  Patch = 1,
  Create = 2,
  Publish = 3,
}

/** The context that an instance works in. */
export function contextOf(resource: any): Context | undefined {
  return resource.getContext() ?? ambientContext();
}

/** Runs `write` in the open transaction of `context`, or in one of its own. */
export function transact<T>(
  context: Context | undefined,
  write: (transaction: Transaction) => T,
): T | Promise<T> {
  const within = context ?? new Context();
  return transactional(within, () => write(within.transaction!));
}

/** Puts one write to table number `table` into a transaction; gives the key of the record. */
export function writeIn(
  transaction: Transaction,
  context: Context | undefined,
  table: number,
  kind: Write,
  id: Id | undefined,
  data: any,
): Id {
  const expires = context?.expiresAt ?? NaN;
  return op_kora_write(transaction.number, table, kind, id ?? null, data, expires);
}

/** Writes when the blobs in `data` are saved: a record is written with its blobs or not at all. */
export function withBlobs(context: Context | undefined, data: any, write: () => any): any {
  const waiting = unsaved(data);
  if (!waiting) return write();
  return transactional<any>(context ?? new Context(), () => waiting.then(write));
}
