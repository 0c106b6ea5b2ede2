// Results of queries: lazy, iterable both ways (harper-resources.md section 4, ExtendedIterable).
import { op_kora_rows, op_kora_search_close } from "ext:core/ops";

/** Rows that one crossing brings. */
const BATCH = 100;

export class ExtendedIterable<T> implements AsyncIterable<T>, Iterable<T> {
  #source: () => Iterator<T>;

  constructor(source: () => Iterator<T>) {
    this.#source = source;
  }

  [Symbol.iterator](): Iterator<T> {
    return this.#source();
  }

  async *[Symbol.asyncIterator](): AsyncIterator<T> {
    for (const item of { [Symbol.iterator]: () => this[Symbol.iterator]() }) yield item;
  }

  #derive<U>(generate: (items: Iterable<T>) => Iterable<U>): ExtendedIterable<U> {
    return new ExtendedIterable(() => generate(this)[Symbol.iterator]());
  }

  map<U>(transform: (item: T, index: number) => U): ExtendedIterable<U> {
    return this.#derive(function* (items) {
      let index = 0;
      for (const item of items) yield transform(item, index++);
    });
  }

  filter(wanted: (item: T) => unknown): ExtendedIterable<T> {
    return this.#derive(function* (items) {
      for (const item of items) if (wanted(item)) yield item;
    });
  }

  flatMap<U>(transform: (item: T) => Iterable<U> | U): ExtendedIterable<U> {
    return this.#derive(function* (items) {
      for (const item of items) {
        const made: any = transform(item);
        if (made !== null && typeof made === "object" && made[Symbol.iterator]) yield* made;
        else yield made;
      }
    });
  }

  concat<U>(other: Iterable<U>): ExtendedIterable<T | U> {
    return this.#derive<T | U>(function* (items) {
      yield* items;
      yield* other;
    });
  }

  slice(start: number, end = Infinity): ExtendedIterable<T> {
    return this.#derive(function* (items) {
      let index = 0;
      for (const item of items) {
        if (index >= end) return;
        if (index++ >= start) yield item;
      }
    });
  }

  forEach(action: (item: T) => void): void {
    for (const item of this) action(item);
  }

  get asArray(): T[] {
    return [...this];
  }

  toJSON(): T[] {
    return this.asArray;
  }
}

/** Ends searches that nobody iterates to their end: each keeps its place and what it has read ahead. */
const abandoned = new FinalizationRegistry((search: number) => op_kora_search_close(search));

/** The rows of one search in Rust. Until it is iterated, it can be answered without entering here. */
export class SearchResult extends ExtendedIterable<any> {
  #search: number;
  #started = false;

  constructor(search: number) {
    super(() => this.#rows());
    this.#search = search;
    abandoned.register(this, search, this);
  }

  *#rows(): Iterator<any> {
    if (this.#started) return;
    this.#started = true;
    let open = true;
    try {
      for (;;) {
        const rows = op_kora_rows(this.#search, BATCH);
        if (rows.length === 0) {
          // Its number may belong to another search from here on.
          open = false;
          return;
        }
        yield* rows;
      }
    } finally {
      abandoned.unregister(this);
      if (open) op_kora_search_close(this.#search);
    }
  }

  /** The search's number, given away: its rows go to the client from Rust. */
  takeSearch(): number | undefined {
    if (this.#started) return undefined;
    this.#started = true;
    abandoned.unregister(this);
    return this.#search;
  }
}
