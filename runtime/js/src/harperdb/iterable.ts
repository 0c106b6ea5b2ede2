// `ExtendedIterable`: what searches give and what comes of mapping them; lazy, iterable both ways
// (harper-resources.md section 4). Steps are plain iterators and not generators, so that one failed
// step does not end the sequence: `mapError` makes a value of it and goes on.
import { isThenable } from "ext:kora/harperdb/transaction.ts";

type Step<T, U> = (item: T) => { value: U } | undefined;
type AnySource<T> = Iterable<T> | AsyncIterable<T>;

function hasSync(source: any): source is Iterable<any> {
  return typeof source?.[Symbol.iterator] === "function";
}

function hasAsync(source: any): source is AsyncIterable<any> {
  return typeof source?.[Symbol.asyncIterator] === "function";
}

export class ExtendedIterable<T> implements AsyncIterable<T>, Iterable<T> {
  #sync: (() => Iterator<T>) | undefined;
  #async: (() => AsyncIterator<T>) | undefined;

  constructor(
    sync: (() => Iterator<T>) | AnySource<T> | undefined,
    async?: () => AsyncIterator<T>,
  ) {
    if (typeof sync === "function") this.#sync = sync;
    else if (hasSync(sync)) this.#sync = () => sync[Symbol.iterator]();
    else if (hasAsync(sync)) async ??= () => sync[Symbol.asyncIterator]();
    this.#async = async;
  }

  /** Whether it can be iterated without awaiting. */
  get isSync(): boolean {
    return this.#sync !== undefined;
  }

  [Symbol.iterator](): Iterator<T> {
    if (!this.#sync) throw new TypeError("This sequence can only be iterated with `for await`");
    return this.#sync();
  }

  [Symbol.asyncIterator](): AsyncIterator<T> {
    if (this.#async) return this.#async();
    const items = this[Symbol.iterator]();
    return {
      next: async () => {
        const step = items.next();
        return step.done ? step : { done: false, value: await step.value };
      },
      return: async (value?: any) => items.return?.(value) ?? { done: true, value },
    };
  }

  /** A sequence in which each item becomes one, or none where `step` gives nothing. */
  #stepped<U>(makeStep: () => Step<T, any>): ExtendedIterable<U> {
    const sync = () => {
      const items = this[Symbol.iterator]();
      const step = makeStep();
      return {
        next(): IteratorResult<U> {
          for (;;) {
            const item = items.next();
            if (item.done) return item as IteratorResult<U>;
            const made = step(item.value);
            if (made) return { done: false, value: made.value };
          }
        },
        return: (value?: any) => items.return?.(value) ?? { done: true, value },
      };
    };
    const async = () => {
      const items = this[Symbol.asyncIterator]();
      const step = makeStep();
      return {
        async next(): Promise<IteratorResult<U>> {
          for (;;) {
            const item = await items.next();
            if (item.done) return item as IteratorResult<U>;
            const made: any = await step(item.value);
            if (made) return { done: false, value: await made.value };
          }
        },
        return: async (value?: any) => await items.return?.(value) ?? { done: true, value },
      };
    };
    return new ExtendedIterable<U>(this.isSync ? sync : undefined, async);
  }

  /** A sequence made by generators: for what a failure may end. */
  #generated<U>(
    sync: (items: Iterable<T>) => Iterator<U>,
    async: (items: AsyncIterable<T>) => AsyncIterator<U>,
    isSync = this.isSync,
  ): ExtendedIterable<U> {
    return new ExtendedIterable<U>(isSync ? () => sync(this) : undefined, () => async(this));
  }

  map<U>(transform: (item: T, index: number) => U): ExtendedIterable<U> {
    return this.#stepped(() => {
      let index = 0;
      return (item) => ({ value: transform(item, index++) });
    });
  }

  filter(wanted: (item: T, index: number) => unknown): ExtendedIterable<T> {
    return this.#stepped(() => {
      let index = 0;
      return (item): any => {
        const admitted = wanted(item, index++);
        if (isThenable(admitted)) return admitted.then((yes: any) => yes ? { value: item } : undefined);
        return admitted ? { value: item } : undefined;
      };
    });
  }

  flatMap<U>(transform: (item: T) => Iterable<U> | U): ExtendedIterable<U> {
    return this.#generated<U>(
      function* (items) {
        for (const item of items) {
          const made: any = transform(item);
          if (typeof made === "object" && hasSync(made)) yield* made;
          else yield made;
        }
      },
      async function* (items) {
        for await (const item of items) {
          const made: any = await transform(item);
          if (typeof made === "object" && (hasSync(made) || hasAsync(made))) yield* made as any;
          else yield made;
        }
      },
    );
  }

  concat<U>(other: AnySource<U>): ExtendedIterable<T | U> {
    return this.#generated<T | U>(
      function* (items) {
        yield* items;
        yield* other as Iterable<U>;
      },
      async function* (items) {
        yield* items;
        yield* other as any;
      },
      this.isSync && hasSync(other) && (other as any).isSync !== false,
    );
  }

  slice(start = 0, end = Infinity): ExtendedIterable<T> {
    return this.#generated<T>(
      function* (items) {
        let index = 0;
        if (end > 0) {
          for (const item of items) {
            if (index++ >= start) yield item;
            if (index >= end) return;
          }
        }
      },
      async function* (items) {
        let index = 0;
        if (end > 0) {
          for await (const item of items) {
            if (index++ >= start) yield item;
            if (index >= end) return;
          }
        }
      },
    );
  }

  /** Goes on after an item that fails, with what `transform` makes of the failure. */
  mapError<U>(transform: (error: any) => U): ExtendedIterable<T | U> {
    const sync = () => {
      const items = this[Symbol.iterator]();
      return {
        next(): IteratorResult<T | U> {
          try {
            return items.next();
          } catch (error) {
            return { done: false, value: transform(error) };
          }
        },
        return: (value?: any) => items.return?.(value) ?? { done: true, value },
      };
    };
    const async = () => {
      const items = this[Symbol.asyncIterator]();
      return {
        async next(): Promise<IteratorResult<T | U>> {
          try {
            return await items.next();
          } catch (error) {
            return { done: false, value: await transform(error) };
          }
        },
        return: async (value?: any) => await items.return?.(value) ?? { done: true, value },
      };
    };
    return new ExtendedIterable<T | U>(this.isSync ? sync : undefined, async);
  }

  /** Calls `action` for each; a promise where items or actions are asynchronous. */
  forEach(action: (item: T, index: number) => unknown): void | Promise<void> {
    let index = 0;
    if (!this.isSync) {
      return (async () => {
        for await (const item of this) await action(item, index++);
      })();
    }
    const waiting: unknown[] = [];
    for (const item of this as Iterable<T>) {
      const done = action(item, index++);
      if (isThenable(done)) waiting.push(done);
    }
    return waiting.length > 0 ? Promise.all(waiting).then(() => {}) : undefined;
  }

  /** All items: an array, or a promise of one where they are asynchronous. */
  get asArray(): T[] | Promise<T[]> {
    return this.isSync ? [...this as Iterable<T>] : Array.fromAsync(this as AsyncIterable<T>);
  }

  toJSON(): unknown {
    return this.asArray;
  }
}
