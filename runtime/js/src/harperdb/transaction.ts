// Transactions: one a request, begun with the first table that it touches (harper-resources.md
// section 8). The write set is in Rust; this holds its number and says when it ends.
import {
  op_kora_abort,
  op_kora_begin,
  op_kora_commit,
  op_kora_has_writes,
} from "ext:core/ops";
import { ambientContext, Context, runWith } from "ext:kora/harperdb/context.ts";
import { SubscriptionPromise } from "ext:kora/harperdb/subscription.ts";

export class Transaction {
  open = true;
  timestamp = 0;
  #number = -1;

  /** The number of the write set in Rust, made on first use. */
  get number(): number {
    if (this.#number < 0) this.#number = op_kora_begin();
    return this.#number;
  }

  /** Writes what was collected; resolves after it is durable. A promise only where there is one. */
  commit(): Promise<void> | undefined {
    this.open = false;
    if (this.#number < 0) return undefined;
    const number = this.#number;
    this.#number = -1;
    if (!op_kora_has_writes(number)) return undefined;
    return op_kora_commit(number).then((version: number) => {
      this.timestamp = version;
    });
  }

  abort(): void {
    this.open = false;
    if (this.#number >= 0) op_kora_abort(this.#number);
    this.#number = -1;
  }

  /** Reads see what is committed; there is no snapshot to renew. */
  resetReadSnapshot(): void {}
}

/** The open transaction of a context; `undefined` outside of one. */
export function openTransaction(context: Context | undefined): Transaction | undefined {
  const transaction = context?.transaction;
  return transaction?.open ? transaction : undefined;
}

export function isThenable(value: any): value is PromiseLike<any> {
  return typeof value?.then === "function";
}

/**
 * Runs `work` in the open transaction of `context`, or in a new one that is committed when the work
 * is done and aborted when it throws.
 */
export function transactional<T>(context: Context, work: () => T | Promise<T>): T | Promise<T> {
  if (openTransaction(context)) return work();
  const transaction = new Transaction();
  context.transaction = transaction;
  let result: T | Promise<T>;
  try {
    result = work();
  } catch (error) {
    transaction.abort();
    throw error;
  }
  const finish = (value: T): T | Promise<T> => {
    const committed = transaction.commit();
    return committed ? committed.then(() => value) : value;
  };
  // What `subscribe` gives is usable before it is awaited, and must stay so.
  if (result instanceof SubscriptionPromise) return finish(result as T);
  if (!isThenable(result)) return finish(result);
  return (result as Promise<T>).then(finish, (error) => {
    transaction.abort();
    throw error;
  });
}

/** `transaction(ctx?, callback)` of the module. */
export function transaction(...args: any[]): any {
  const callback = args.find((argument) => typeof argument === "function");
  if (!callback) throw new TypeError("transaction needs a function");
  const given = args[0] !== callback ? args[0] : undefined;
  const context = given instanceof Context
    ? given
    : given?.getContext?.() ?? ambientContext() ?? new Context();
  const run = () => transactional(context, () => callback(context.transaction));
  const result = context === ambientContext() ? run() : runWith(context, run);
  return isThenable(result) ? result : Promise.resolve(result);
}

transaction.commit = (context: any) => Promise.resolve(openTransaction(context)?.commit());
transaction.abort = (context: any) => openTransaction(context)?.abort();
