// Subscriptions to tables (harper-realtime.md sections 2 and 3). A subscription that a class returns
// untouched from `connect` goes to the client from Rust; one that code reads is pumped in here.
import {
  op_kora_events,
  op_kora_forward,
  op_kora_subscribe,
  op_kora_unsubscribe,
} from "ext:core/ops";
import { ambientContext, type Context } from "ext:kora/harperdb/context.ts";
import { IterableEventQueue } from "ext:kora/harperdb/event_queue.ts";
import { eventFilter } from "ext:kora/harperdb/target.ts";

/** Milliseconds after which no more events of a transaction are expected. */
const TRANSACTION_GAP = 20;

/** What code may ask of a subscription besides what Rust does. */
export interface SubscriptionOptions {
  id?: unknown;
  /** Tell where transactions begin and end. */
  supportsTransactions?: boolean;
  /** Only what is one level below the collection. */
  onlyChildren?: boolean;
  rowFilter?: (record: any, context: Context | undefined) => unknown;
  eventFilter?: (event: any, context: Context | undefined) => unknown;
}

export class Subscription extends IterableEventQueue {
  /** -1 once Rust has it no more: the number may name another subscription then. */
  #number: number;
  #started = false;
  #options: SubscriptionOptions;
  #context: Context | undefined;
  /** The version of the transaction whose events are being told; 0 between transactions. */
  #transaction = 0;

  constructor(number: number, options: SubscriptionOptions = {}, context?: Context) {
    super();
    this.#number = number;
    this.#options = options;
    this.#context = context;
    this.on("close", () => {
      if (this.#number >= 0) op_kora_unsubscribe(this.#number);
      this.#number = -1;
    });
  }

  override on(name: string, listener: (...args: any[]) => void): this {
    super.on(name, listener);
    if (name === "data") this.#start();
    return this;
  }

  override [Symbol.asyncIterator](): AsyncIterator<any> {
    this.#start();
    return super[Symbol.asyncIterator]();
  }

  /** Unsubscribes. */
  end(): void {
    this.close();
  }

  toJSON(): unknown {
    return { name: "subscription" };
  }

  /** Gives a subscription that nobody has begun to read to the client of `socket`; else false. */
  forward(socket: number): boolean {
    const { supportsTransactions, onlyChildren, rowFilter, eventFilter } = this.#options;
    if (supportsTransactions || onlyChildren || rowFilter || eventFilter) return false;
    if (this.#started || this.#number < 0) return false;
    this.#started = true;
    op_kora_forward(socket, this.#number);
    this.#number = -1;
    return true;
  }

  #start(): void {
    if (this.#started) return;
    this.#started = true;
    this.#pump().catch((error) => this.fail(error));
  }

  async #pump(): Promise<void> {
    while (!this.closed) {
      const [events, more] = await op_kora_events(this.#number);
      if (events.length === 0) break;
      for (const event of events) this.#tell(event);
      if (!more) this.#expectEnd();
      // One batch, bounded in bytes, may wait for the code that reads; the rest waits in Rust.
      if (this.queue.length > 0) await this.waitForDrain();
    }
    this.close();
  }

  #tell(event: any): void {
    if (!this.#admits(event)) return;
    if (this.#options.supportsTransactions && event.version !== this.#transaction) {
      this.#endTransaction();
      event.beginTxn = true;
      this.#transaction = event.version;
    }
    this.send(event);
  }

  /** A transaction's events come one right after the other: where none follows, it has ended. */
  #expectEnd(): void {
    const version = this.#transaction;
    if (version === 0) return;
    setTimeout(() => {
      if (this.#transaction === version) this.#endTransaction();
    }, TRANSACTION_GAP);
  }

  #endTransaction(): void {
    if (this.#transaction === 0) return;
    this.#transaction = 0;
    this.send({ id: null, type: "end_txn", beginTxn: true });
  }

  #admits(event: any): boolean {
    const { id, onlyChildren, rowFilter, eventFilter } = this.#options;
    if (onlyChildren && !isChild(event.id, id)) return false;
    if (rowFilter && event.type === "put" && !rowFilter(event.value, this.#context)) return false;
    return !eventFilter || Boolean(eventFilter(event, this.#context));
  }
}

/** Whether a key is one level below a collection's. */
function isChild(key: any, collection: any): boolean {
  if (typeof key !== "string") return collection === undefined || collection === null;
  const above = collection === undefined || collection === null ? "" : String(collection);
  const prefix = above === "" || above.endsWith("/") ? above : `${above}/`;
  return key.startsWith(prefix) && key.length > prefix.length && !key.slice(prefix.length).includes("/");
}

/**
 * A subscription that can be awaited as Harper's promise is, and used at once as guides do:
 * `for await (const event of tables.X.subscribe())`.
 */
export class SubscriptionPromise extends Promise<Subscription> {
  static override get [Symbol.species](): PromiseConstructor {
    return Promise;
  }
}

export function awaitable(subscription: Subscription): SubscriptionPromise {
  const promise: any = new SubscriptionPromise((resolve) => resolve(subscription));
  promise[Symbol.asyncIterator] = () => subscription[Symbol.asyncIterator]();
  for (
    const name of [
      "on", "once", "off", "addListener", "removeListener", "emit", "send", "push", "end", "close",
      "waitForDrain",
    ] as const
  ) {
    promise[name] = (...args: any[]) => {
      const result = (subscription as any)[name](...args);
      return result === subscription ? promise : result;
    };
  }
  Object.defineProperty(promise, "queue", { get: () => subscription.queue });
  return promise;
}

/**
 * Subscribes to table number `table` as `target` asks: an id, a target, or a plain object of options.
 * `attributes` are those that may be told; it ends with the client of `context`.
 */
export function subscribeTo(
  table: number,
  target: any,
  attributes: string[] | undefined,
  context: Context | undefined,
): SubscriptionPromise {
  const isId = target === null || typeof target !== "object";
  const id = isId ? target : target.id;
  const options = isId ? {} : {
    isCollection: Boolean(target.isCollection ?? target.includeDescendants),
    omitCurrent: target.omitCurrent,
    previousCount: target.previousCount,
    startTime: target.startTime,
    onlyChildren: target.onlyChildren,
    resume: target.resume,
    pattern: target.pattern,
    ...eventFilter(target),
    attributes,
  };
  const number = op_kora_subscribe(table, id ?? null, options);
  const subscription = new Subscription(number, isId ? undefined : target, context);
  (context ?? ambientContext())?.onClose?.push(() => subscription.close());
  const listener = isId ? undefined : target.listener;
  if (typeof listener === "function") subscription.on("data", listener);
  return awaitable(subscription);
}
