// A small event emitter with the methods of Node's, for what plugins listen to.

type Handler = (...args: any[]) => any;

export class Emitter {
  #handlers = new Map<string, { handler: Handler; once: boolean }[]>();

  on(event: string, handler: Handler): this {
    if (typeof handler !== "function") throw new TypeError("an event handler must be a function");
    const handlers = this.#handlers.get(event);
    if (handlers) handlers.push({ handler, once: false });
    else this.#handlers.set(event, [{ handler, once: false }]);
    return this;
  }

  once(event: string, handler: Handler): this {
    this.on(event, handler);
    this.#handlers.get(event)!.at(-1)!.once = true;
    return this;
  }

  off(event: string, handler: Handler): this {
    const handlers = this.#handlers.get(event) ?? [];
    const at = handlers.findIndex((entry) => entry.handler === handler);
    if (at >= 0) handlers.splice(at, 1);
    return this;
  }

  removeAllListeners(event?: string): this {
    if (event === undefined) this.#handlers.clear();
    else this.#handlers.delete(event);
    return this;
  }

  listenerCount(event: string): number {
    return this.#handlers.get(event)?.length ?? 0;
  }

  /** Calls the handlers in order; whether there was one. What they return is not waited for. */
  emit(event: string, ...args: any[]): boolean {
    return this.call(event, args).length > 0;
  }

  /** Calls the handlers in order and gives what they returned. */
  protected call(event: string, args: any[]): any[] {
    const handlers = [...this.#handlers.get(event) ?? []];
    if (event === "error" && handlers.length === 0) throw args[0];
    return handlers.map(({ handler, once }) => {
      if (once) this.off(event, handler);
      return handler.apply(this, args);
    });
  }
}

export interface Emitter {
  addListener(event: string, handler: Handler): this;
  removeListener(event: string, handler: Handler): this;
}
Emitter.prototype.addListener = Emitter.prototype.on;
Emitter.prototype.removeListener = Emitter.prototype.off;
