// Records as code gets them: plain copies of its own, with their times out of the way of JSON
// (harper-resources.md section 15, the HOST choice).
import { op_kora_get } from "ext:core/ops";
import type { Id } from "ext:kora/harperdb/target.ts";

/** Where `op_kora_get` leaves a record's version and expiry. */
const stamps = new Float64Array(2);

export class TableRecord {
  #version = NaN;
  #expires = NaN;
  #loaded = false;

  getUpdatedTime(): number {
    return this.#version;
  }

  getExpiresAt(): number | undefined {
    return Number.isNaN(this.#expires) ? undefined : this.#expires;
  }

  /** Whether the read that gave this had to ask the source of a caching table. */
  wasLoadedFromSource(): boolean {
    return this.#loaded;
  }

  static stamp(record: TableRecord, version: number, expires: number, loaded = false): void {
    record.#version = version;
    record.#expires = expires;
    record.#loaded = loaded;
  }

  /** The version of a record that was read from a table; NaN for anything else. */
  static versionOf(value: any): number {
    return value !== null && typeof value === "object" && #version in value ? value.#version : NaN;
  }

  /** A record with the times of `record` and the properties of `properties`. */
  static like(record: TableRecord, properties: object): TableRecord {
    const copy = Object.assign(new TableRecord(), properties);
    TableRecord.stamp(copy, record.#version, record.#expires, record.#loaded);
    return copy;
  }
}
// A record's class is nobody's business: code that looks at `constructor` sees a plain object.
Object.defineProperty(TableRecord.prototype, "constructor", { value: Object, enumerable: false });

/** What the records of a table have besides their own properties, by the tables' numbers. */
const derived: { prototype: object; enumerable: [string, PropertyDescriptor][] }[] = [];

/** Gives the records of a table the accessors of its derived attributes. */
export function setRecordPrototype(
  table: number,
  prototype: object,
  enumerable: [string, PropertyDescriptor][],
): void {
  derived[table] = { prototype, enumerable };
}

/** Makes a record one of table number `table`. */
export function adopt(record: TableRecord, table: number): TableRecord {
  const accessors = derived[table];
  if (accessors === undefined) return record;
  Object.setPrototypeOf(record, accessors.prototype);
  for (const [name, descriptor] of accessors.enumerable) {
    Object.defineProperty(record, name, descriptor);
  }
  return record;
}

/** A record that is filled by an op. */
export function blankRecord(): TableRecord {
  return new TableRecord();
}

/** Reads a record of table number `table` in a write set, or outside of any where it is -1. */
export function readRecord(table: number, id: Id, transaction: number): TableRecord | undefined {
  const record = new TableRecord();
  if (!op_kora_get(transaction, table, id, record, stamps)) return undefined;
  TableRecord.stamp(record, stamps[0], stamps[1]);
  return adopt(record, table);
}
