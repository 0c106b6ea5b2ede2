// Transactions: one a request, begun with the first table that it touches (harper-resources.md
// section 8). The write set is in Rust; this holds its number, the records that are being updated
// until they are saved into it, and says when it ends.
import { op_kora_abort, op_kora_begin, op_kora_commit, op_kora_has_writes } from "ext:core/ops";
import { ambientContext, Context, runWith } from "ext:kora/harperdb/context.ts";
import { SubscriptionPromise } from "ext:kora/harperdb/subscription.ts";

/** Something whose changes wait until the transaction ends, or until somebody reads. */
export interface Pending {
  /** Puts what has changed since the last time into the write set. */
  saveInto(transaction: Transaction): void;
}

/** Commits that failed because what the transaction had read was changed by another one. */
const conflicts = new WeakSet<object>();

/** Whether an error says that a transaction must be run again to succeed. */
export function isConflict(error: unknown): boolean {
  return typeof error === "object" && error !== null && conflicts.has(error);
}

export class Transaction {
  open = true;
  #number = -1;
  #timestamp = 0;
  #pending: Set<Pending> | undefined;
  #saving = false;
  /** Whose request it is: what the sources of caching tables are told. */
  #context: Context | undefined;

  constructor(context?: Context) {
    this.#context = context;
  }

  /** The number of the write set in Rust, made on first use. */
  get number(): number {
    if (this.#number < 0) this.#number = op_kora_begin(this.#context?.call ?? -1);
    return this.#number;
  }

  /** The number to read by: what was changed so far is in the write set. */
  get readNumber(): number {
    if (this.#pending) this.#save();
    return this.number;
  }

  /** The version of what it wrote, once it is committed; the time until then. */
  get timestamp(): number {
    return this.#timestamp ||= Date.now();
  }

  /** Has `pending` saved before the transaction is committed. */
  add(pending: Pending): void {
    (this.#pending ??= new Set()).add(pending);
  }

  #save(): void {
    // What is saved may have to be read first.
    if (this.#saving) return;
    this.#saving = true;
    try {
      for (const pending of this.#pending ?? []) pending.saveInto(this);
    } finally {
      this.#saving = false;
    }
  }

  /** Writes what was collected; resolves after it is durable. A promise only where there is one. */
  commit(): Promise<void> | undefined {
    if (!this.open) return undefined;
    if (this.#pending) {
      try {
        this.#save();
      } catch (error) {
        this.abort();
        throw error;
      }
      this.#pending = undefined;
    }
    this.open = false;
    if (this.#number < 0) return undefined;
    const number = this.#number;
    this.#number = -1;
    if (!op_kora_has_writes(number)) return undefined;
    return op_kora_commit(number).then((version: number) => {
      this.#timestamp = version;
    }, (error: any) => {
      if (error?.statusCode === 409) conflicts.add(error);
      throw error;
    });
  }

  abort(): void {
    this.open = false;
    this.#pending = undefined;
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

/** The number of the write set that a read must see; -1 outside of a transaction. */
export function readNumber(context: Context | undefined): number {
  return openTransaction(context)?.readNumber ?? -1;
}

export function isThenable(value: any): value is PromiseLike<any> {
  return typeof value?.then === "function";
}

/** Applies `then` to a value now, or when its promise resolves. */
export function settle<T, U>(value: T | Promise<T>, then: (value: T) => U): U | Promise<U> {
  return value instanceof Promise ? value.then(then) : then(value);
}

/**
 * Runs `work` in the open transaction of `context`, or in a new one that is committed when the work
 * is done and aborted when it throws.
 */
export function transactional<T>(context: Context, work: () => T | Promise<T>): T | Promise<T> {
  if (openTransaction(context)) return work();
  const transaction = new Transaction(context);
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

/** The context that code handed over: one itself, an instance, or any object that holds one. */
function givenContext(given: any): Context | undefined {
  if (given instanceof Context) return given;
  if (typeof given?.getContext === "function") return given.getContext();
  if (given instanceof Transaction) {
    const context = new Context();
    context.transaction = given;
    return context;
  }
  return given !== null && typeof given === "object" ? Context.derived(given) : undefined;
}

/** `transaction(ctx?, callback)` of the module. */
export function transaction(...args: any[]): any {
  const callback = args.find((argument) => typeof argument === "function");
  if (!callback) throw new TypeError("transaction needs a function");
  const given = args[0] !== callback ? givenContext(args[0]) : undefined;
  const context = given ?? ambientContext() ?? new Context();
  const run = () => transactional(context, () => callback(context.transaction));
  const result: any = context === ambientContext() ? run() : runWith(context, run);
  return isThenable(result) ? result : Promise.resolve(result);
}

transaction.commit = (context?: any) =>
  Promise.resolve(openTransaction(givenContext(context) ?? ambientContext())?.commit());
transaction.abort = (context?: any) =>
  openTransaction(givenContext(context) ?? ambientContext())?.abort();
