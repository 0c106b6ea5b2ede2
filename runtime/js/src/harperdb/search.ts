// The rows of one search in Rust (harper-resources.md section 4). Until it is iterated, it can be
// answered without entering JavaScript.
import { op_kora_rows, op_kora_search_close, op_kora_turn } from "ext:core/ops";
import { ExtendedIterable } from "ext:kora/harperdb/iterable.ts";
import { adopt, blankRecord, TableRecord } from "ext:kora/harperdb/record.ts";

/** Rows that one crossing brings. */
const BATCH = 100;

/** Where `op_kora_rows` leaves the versions and expiries of its rows. */
const stamps = new Float64Array(2 * BATCH);

/** Ends searches that nobody iterates to their end: each keeps its place and what it has read ahead. */
const abandoned = new FinalizationRegistry((search: number) => op_kora_search_close(search));

export class SearchResult extends ExtendedIterable<any> {
  /** Called when the last row was read, or when whoever reads stops. */
  onDone: (() => void) | undefined;
  #search: number;
  #columns: () => string[];
  #table: number | undefined;
  #started = false;

  /** `table` is the number of the table whose records are found. */
  constructor(search: number, columns: () => string[] = () => [], table?: number) {
    super(() => this.#rows(), () => this.#awaitedRows());
    this.#search = search;
    this.#columns = columns;
    this.#table = table;
    abandoned.register(this, search, this);
  }

  /** The rows are what `select` asked for already. */
  get selectApplied(): boolean {
    return true;
  }

  /** The names of the rows' properties. */
  getColumns(): string[] {
    return this.#columns();
  }

  /** The next rows; an empty array at the end, which frees the search in Rust. */
  #next(): any[] {
    const rows = op_kora_rows(this.#search, BATCH, stamps, blankRecord);
    for (let at = 0; at < rows.length; at++) {
      const version = stamps[2 * at];
      if (Number.isNaN(version)) continue;
      TableRecord.stamp(rows[at], version, stamps[2 * at + 1]);
      if (this.#table !== undefined) adopt(rows[at], this.#table);
    }
    return rows;
  }

  #end(open: boolean): void {
    abandoned.unregister(this);
    // The number of a search that has come to its end may belong to another one.
    if (open) op_kora_search_close(this.#search);
    this.onDone?.();
  }

  /** The rows, a batch at a time; wherever the reader stops, the search in Rust is over. */
  *#batches(): Generator<any[]> {
    if (this.#started) return;
    this.#started = true;
    let open = true;
    try {
      for (;;) {
        const rows = this.#next();
        if (rows.length === 0) {
          open = false;
          return;
        }
        yield rows;
      }
    } finally {
      this.#end(open);
    }
  }

  *#rows(): Iterator<any> {
    for (const rows of this.#batches()) yield* rows;
  }

  /** As `#rows`, letting other requests have their turn between batches. */
  async *#awaitedRows(): AsyncIterator<any> {
    for (const rows of this.#batches()) {
      for (const row of rows) yield row;
      if (rows.length === BATCH) await op_kora_turn();
    }
  }

  /** The search's number, given away: its rows go to the client from Rust. */
  takeSearch(): number | undefined {
    if (this.#started || this.onDone) return undefined;
    this.#started = true;
    abandoned.unregister(this);
    return this.#search;
  }
}
