// One record with what code changes in it (harper-resources.md section 9). The record is read when
// it is first looked at, so that an increment, which looks at nothing, conflicts with nobody. Nested
// values are copied when they are first looked at and compared when the record is saved: code changes
// them by the language's own means.
import { type AttributeInfo, assignable, type TableInfo } from "ext:kora/harperdb/attributes.ts";
import type { Context } from "ext:kora/harperdb/context.ts";
import { ClientError } from "ext:kora/harperdb/errors.ts";
import { readRecord, TableRecord } from "ext:kora/harperdb/record.ts";
import type { Id } from "ext:kora/harperdb/target.ts";
import { readNumber } from "ext:kora/harperdb/transaction.ts";

/** What saving a record asks of the store. */
export interface Change {
  /** Whether `value` is the whole record; else it is merged into it. */
  whole: boolean;
  value: Record<string, unknown>;
}

/** The declared attributes by their names, one map a table. */
const declared = new WeakMap<TableInfo, Map<string, AttributeInfo>>();

function attributeOf(info: TableInfo, name: string): AttributeInfo | undefined {
  let attributes = declared.get(info);
  if (!attributes) {
    attributes = new Map(info.attributes.map((attribute) => [attribute.name, attribute]));
    declared.set(info, attributes);
  }
  return attributes.get(name);
}

export class TrackedRecord {
  protected readonly table: number;
  protected readonly id: Id;
  protected readonly context: () => Context | undefined;
  #info: TableInfo;
  #record: TableRecord | undefined;
  #loaded = false;
  /** What was assigned; `undefined` for what was deleted. */
  #assigned: Map<string, unknown> | undefined;
  #increments: Map<string, number | bigint> | undefined;
  /** Nested values that code has in its hands and may change, with what is stored of them. */
  #handed: Map<string, { value: unknown; stored: unknown }> | undefined;

  constructor(table: number, info: TableInfo, id: Id, context: () => Context | undefined) {
    this.table = table;
    this.#info = info;
    this.id = id;
    this.context = context;
  }

  /** The record as it is stored; `undefined` where there is none. Looking at it counts as a read. */
  get record(): any {
    if (!this.#loaded) {
      // Before the record is read, what is pending is saved, this one's changes too.
      const transaction = readNumber(this.context());
      this.#record = readRecord(this.table, this.id, transaction);
      this.#loaded = true;
    }
    return this.#record;
  }

  /** Takes a record that was read by another way: through a cache. */
  take(record: TableRecord | undefined): void {
    this.#record = record;
    this.#loaded = true;
  }

  get isLoaded(): boolean {
    return this.#loaded;
  }

  /** Whether code has looked at the record or changed something in it. */
  get isInUse(): boolean {
    return this.#loaded || this.#assigned !== undefined || this.#increments !== undefined ||
      this.#handed !== undefined;
  }

  /** A property with what was changed in it. */
  get(name: string): any {
    if (this.#assigned?.has(name)) return this.#assigned.get(name);
    const handed = this.#handed?.get(name);
    if (handed) return handed.value;
    const stored = this.record?.[name];
    const by = this.#increments?.get(name);
    if (by !== undefined) return sum(stored, by);
    if (!isNested(stored)) return stored;
    const value = deepCopy(stored);
    (this.#handed ??= new Map()).set(name, { value, stored });
    return value;
  }

  has(name: string): boolean {
    return this.#assigned?.has(name) || (this.record !== undefined && name in this.record);
  }

  /** Assigns a property: 400 where its type does not fit. */
  set(name: string, value: unknown): void {
    const attribute = attributeOf(this.#info, name);
    if (!attribute && this.#info.sealed) {
      throw new ClientError(`Property ${name} is not allowed`);
    }
    const stored = attribute ? assignable(attribute, value) : value;
    if (name === this.#info.primaryKey && !sameValue(stored, this.id)) {
      throw new ClientError("The primary key of a record can not be changed");
    }
    this.#increments?.delete(name);
    this.#handed?.delete(name);
    (this.#assigned ??= new Map()).set(name, stored);
  }

  /** Adds to a number without looking at it: increments of many requests all take effect. */
  add(name: string, by: unknown): void {
    if (typeof by !== "number" && typeof by !== "bigint" || Number.isNaN(by)) {
      throw new ClientError("Can not add or subtract a non-numeric value");
    }
    if (this.#assigned?.has(name)) {
      this.#assigned.set(name, sum(this.#assigned.get(name), by));
      return;
    }
    this.#increments ??= new Map();
    const before = this.#increments.get(name);
    this.#increments.set(name, before === undefined ? by : sum(before, by));
  }

  remove(name: string): void {
    this.#increments?.delete(name);
    this.#handed?.delete(name);
    (this.#assigned ??= new Map()).set(name, undefined);
  }

  /** The properties that differ from the stored record; `undefined` where none does. */
  get changes(): Record<string, unknown> | undefined {
    let changes: Record<string, unknown> | undefined;
    for (const [name, value] of this.#assigned ?? []) (changes ??= {})[name] = value;
    for (const [name, { value, stored }] of this.#handed ?? []) {
      if (!deepEqual(value, stored)) (changes ??= {})[name] = value;
    }
    for (const [name, value] of this.#increments ?? []) {
      (changes ??= {})[name] = { __op__: "add", value };
    }
    return changes;
  }

  /** What saving has to do. Properties that were deleted make it write the record as a whole. */
  get change(): Change | undefined {
    const value = this.changes;
    if (!value) return undefined;
    if (!Object.values(value).includes(undefined)) return { whole: false, value };
    return { whole: true, value: this.current() ?? {} };
  }

  /** The record as it will be; `undefined` where there is none and nothing was assigned. */
  current(): any {
    const changes = this.changes;
    if (!changes) return this.record;
    const stored = this.record;
    const merged: any = stored
      ? TableRecord.like(stored, stored)
      : { [this.#info.primaryKey]: this.id };
    for (const name of Object.keys(changes)) {
      const value = this.get(name);
      if (value === undefined) delete merged[name];
      else merged[name] = value;
    }
    return merged;
  }

  /** What was changed is in the write set: from here on the next changes count. */
  saved(): void {
    this.#loaded = false;
    this.#record = undefined;
    this.#increments = undefined;
    for (const [name, value] of this.#assigned ?? []) {
      if (isNested(value)) (this.#handed ??= new Map()).set(name, { value, stored: undefined });
    }
    this.#assigned = undefined;
    for (const handed of this.#handed?.values() ?? []) handed.stored = deepCopy(handed.value);
  }
}

function sum(value: any, by: number | bigint): number | bigint {
  if (value === null || value === undefined) return by;
  if (typeof value === typeof by) return (value as any) + by;
  return Number(value) + Number(by);
}

/** A value that code can change in place. */
function isNested(value: any): boolean {
  return value !== null && typeof value === "object" && !(value instanceof Date) &&
    !ArrayBuffer.isView(value) && (Array.isArray(value) || isPlain(value));
}

function isPlain(value: object): boolean {
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function deepCopy(value: any): any {
  if (!isNested(value)) return value;
  if (Array.isArray(value)) return value.map(deepCopy);
  const copy: any = {};
  for (const name of Object.keys(value)) copy[name] = deepCopy(value[name]);
  return copy;
}

function sameValue(a: any, b: any): boolean {
  return a === b || deepEqual(a, b);
}

function deepEqual(a: any, b: any): boolean {
  if (Object.is(a, b)) return true;
  if (a instanceof Date && b instanceof Date) return a.getTime() === b.getTime();
  if (!isNested(a) || !isNested(b) || Array.isArray(a) !== Array.isArray(b)) return false;
  const names = Object.keys(a);
  return names.length === Object.keys(b).length &&
    names.every((name) => Object.hasOwn(b, name) && deepEqual(a[name], b[name]));
}
