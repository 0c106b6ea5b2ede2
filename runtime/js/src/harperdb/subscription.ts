// Subscriptions to tables (harper-realtime.md sections 2 and 3). A subscription that a class returns
// untouched from `connect` goes to the client from Rust; one that code reads is pumped in here.
import { op_kora_events, op_kora_forward, op_kora_unsubscribe } from "ext:core/ops";
import { IterableEventQueue } from "ext:kora/harperdb/event_queue.ts";

/** Events that may wait for the code that reads them; the rest waits, bounded, in Rust. */
const AHEAD = 100;

export class Subscription extends IterableEventQueue {
  /** -1 once Rust has it no more: the number may name another subscription then. */
  #number: number;
  #started = false;

  constructor(number: number) {
    super();
    this.#number = number;
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
      const events = await op_kora_events(this.#number);
      if (events.length === 0) break;
      for (const event of events) this.send(event);
      if (this.queue.length > AHEAD) await this.waitForDrain();
    }
    this.close();
  }
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
