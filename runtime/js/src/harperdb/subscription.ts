// Subscriptions to tables (harper-realtime.md sections 2 and 3). A subscription that a class returns
// untouched from `connect` goes to the client from Rust; one that code reads is pumped in here.
import { op_kora_events, op_kora_send, op_kora_unsubscribe } from "ext:core/ops";
import { IterableEventQueue } from "ext:kora/harperdb/event_queue.ts";

/** Events that may wait for the code that reads them; the rest waits, bounded, in Rust. */
const AHEAD = 100;

export class Subscription extends IterableEventQueue {
  #number: number;
  #started = false;
  #socket = -1;

  constructor(number: number) {
    super();
    this.#number = number;
    this.on("close", () => op_kora_unsubscribe(this.#number));
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

  override send(message: any): void {
    if (this.#socket >= 0) op_kora_send(this.#socket, message);
    else super.send(message);
  }

  /** Unsubscribes. */
  end(): void {
    this.close();
  }

  toJSON(): unknown {
    return { name: "subscription" };
  }

  /** The number of a subscription that nobody has begun to read, given away; else -1. */
  takeSubscription(): number {
    if (this.#started || this.closed) return -1;
    this.#started = true;
    return this.#number;
  }

  /** From here on `send` reaches the client of `socket`, after what was sent before. */
  attach(socket: number): void {
    this.#socket = socket;
    for (const message of this.queue.splice(0)) op_kora_send(socket, message);
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
      for (const event of events) super.send(event);
      if (this.queue.length > AHEAD) await this.waitForDrain();
    }
    this.close();
  }
}

/**
 * A subscription that can be awaited as Harper's promise is, and used at once as guides do:
 * `for await (const event of tables.X.subscribe())`.
 */
export function awaitable(subscription: Subscription): Promise<Subscription> {
  const promise: any = Promise.resolve(subscription);
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
