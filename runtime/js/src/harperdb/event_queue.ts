// The queue that carries messages to and from a client (harper-realtime.md section 1). One buffer, one
// consumer; both an async iterable and an event emitter.
//
// Beyond Harper: `close` ends the iteration, so that `for await` loops finish and `finally` blocks run.

/** Where an attached queue sends to: the socket of a client. */
export interface Sink {
  send(message: unknown): void;
  /** Resolves when it has room, with `false` if it closes first. */
  room(): Promise<boolean>;
}

type Listener = (...args: any[]) => void;

/** The part of Node's EventEmitter that queues have. */
class Emitter {
  #listeners = new Map<string, Listener[]>();

  on(name: string, listener: Listener): this {
    const listeners = this.#listeners.get(name);
    if (listeners) listeners.push(listener);
    else this.#listeners.set(name, [listener]);
    return this;
  }

  addListener(name: string, listener: Listener): this {
    return this.on(name, listener);
  }

  once(name: string, listener: Listener): this {
    const once = (...args: any[]) => {
      this.off(name, once);
      listener.apply(this, args);
    };
    return this.on(name, once);
  }

  off(name: string, listener: Listener): this {
    const listeners = this.#listeners.get(name);
    const index = listeners?.lastIndexOf(listener) ?? -1;
    if (index >= 0) this.#listeners.set(name, listeners!.filter((_, at) => at !== index));
    return this;
  }

  removeListener(name: string, listener: Listener): this {
    return this.off(name, listener);
  }

  removeAllListeners(name?: string): this {
    if (name === undefined) this.#listeners.clear();
    else this.#listeners.delete(name);
    return this;
  }

  listenerCount(name: string): number {
    return this.#listeners.get(name)?.length ?? 0;
  }

  emit(name: string, ...args: any[]): boolean {
    const listeners = this.#listeners.get(name);
    if (!listeners || listeners.length === 0) return false;
    for (const listener of listeners) listener.apply(this, args);
    return true;
  }
}

export class IterableEventQueue<T = any> extends Emitter {
  /** What waits to be read. Components may look at it. */
  queue: T[] = [];
  #pending: PromiseWithResolvers<IteratorResult<T>>[] = [];
  #closed = false;
  #failure: { error: unknown } | undefined;
  #sink: Sink | undefined;

  get closed(): boolean {
    return this.#closed;
  }

  /**
   * From here on what is sent goes to `sink`, after what waits, and the iteration has only an end.
   * False for a queue that somebody reads already.
   */
  attach(sink: Sink): boolean {
    if (this.#pending.length > 0 || this.listenerCount("data") > 0) return false;
    this.#sink = sink;
    for (const message of this.queue.splice(0)) sink.send(message);
    // For whoever has begun to wait before there was a sink.
    sink.room().then((room) => room && super.emit("drained")).catch(() => {});
    return true;
  }

  send(message: T): void {
    if (this.#sink) return this.#sink.send(message);
    const pending = this.#pending.shift();
    if (pending) pending.resolve({ value: message, done: false });
    else if (this.listenerCount("data") > 0) this.emit("data", message);
    else if (!this.#closed) this.queue.push(message);
  }

  push(message: T): void {
    this.send(message);
  }

  override on(name: string, listener: Listener): this {
    const first = name === "data" && this.listenerCount("data") === 0;
    super.on(name, listener);
    // What came before there was a listener is for the first one.
    if (first) {
      const waiting = this.queue.splice(0);
      for (const message of waiting) listener.call(this, message);
      if (waiting.length > 0) super.emit("drained");
    }
    return this;
  }

  override emit(name: string, ...args: any[]): boolean {
    const heard = super.emit(name, ...args);
    if (name === "close") this.#end();
    return heard;
  }

  /** Ends the queue as the client's going away does. */
  close(): void {
    if (!this.#closed) this.emit("close");
  }

  /** Ends the queue with an error, which the reader gets after what waits. */
  fail(error: unknown): void {
    if (this.#closed) return;
    this.#failure = { error };
    this.emit("close", error);
  }

  #end(): void {
    this.#closed = true;
    for (const pending of this.#pending.splice(0)) this.#settleEnd(pending);
  }

  #settleEnd(pending: PromiseWithResolvers<IteratorResult<T>>): void {
    if (this.#failure) pending.reject(this.#failure.error);
    else pending.resolve({ value: undefined, done: true });
    this.#failure = undefined;
  }

  /** Resolves with `true` once nothing waits, with `false` if the queue closes first. */
  waitForDrain(): Promise<boolean> {
    if (this.#sink) return this.#sink.room();
    if (this.queue.length === 0) return Promise.resolve(!this.#closed);
    return new Promise((resolve) => {
      const drained = () => settle(true);
      const closed = () => settle(false);
      const settle = (result: boolean) => {
        this.off("drained", drained);
        this.off("close", closed);
        resolve(result);
      };
      this.on("drained", drained);
      this.on("close", closed);
    });
  }

  [Symbol.asyncIterator](): AsyncIterator<T> {
    return {
      next: (): Promise<IteratorResult<T>> => {
        if (this.queue.length > 0) {
          const value = this.queue.shift() as T;
          if (this.queue.length === 0) this.emit("drained");
          return Promise.resolve({ value, done: false });
        }
        const pending = Promise.withResolvers<IteratorResult<T>>();
        if (this.#closed) this.#settleEnd(pending);
        else this.#pending.push(pending);
        return pending.promise;
      },
      return: (value?: any): Promise<IteratorResult<T>> => {
        this.close();
        return Promise.resolve({ value, done: true });
      },
      throw: (error?: any): Promise<IteratorResult<T>> => {
        if (!this.#closed) this.emit("close", error);
        return Promise.resolve({ value: undefined, done: true });
      },
    };
  }
}
