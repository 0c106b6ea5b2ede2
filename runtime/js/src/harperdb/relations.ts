// Relationships and computed attributes, as code sees them on records and on instances of tables
// (harper-schema.md sections 6 and 7, harper-resources.md sections 9 and 12). They are looked up when
// they are read: through the open transaction, so that its own writes are seen.
import { op_kora_compute, op_kora_derived, op_kora_search } from "ext:core/ops";
import { ambientContext } from "ext:kora/harperdb/context.ts";
import { ClientError } from "ext:kora/harperdb/errors.ts";
import { permissionOf, readableOf } from "ext:kora/harperdb/permission.ts";
import { readRecord, setRecordPrototype, TableRecord } from "ext:kora/harperdb/record.ts";
import { SearchResult } from "ext:kora/harperdb/search.ts";
import type { Id } from "ext:kora/harperdb/target.ts";
import { readNumber } from "ext:kora/harperdb/transaction.ts";

/** What `op_kora_derived` tells of one attribute. */
interface DerivedInfo {
  name: string;
  enumerable: boolean;
  relationship?: {
    /** The attribute here. */
    own: string;
    /** Whether `own` may be assigned by way of the relationship. */
    isForeignKey: boolean;
    /** The worker's number of the other table; null where no schema declares it. */
    target: number | null;
    targetName: string;
    /** The attribute there; null for the primary key. */
    there: string | null;
    targetKey: string;
    isMany: boolean;
    filterMissing: boolean;
  };
  /** The stored attributes that an expression looks at; null for a function's attribute. */
  inputs: string[] | null;
}

type Read = (name: string) => any;
type Compute = (record: any) => unknown;

/** The records that `key` leads to. */
function found(relationship: NonNullable<DerivedInfo["relationship"]>, key: any): any[] {
  const { target, targetName, there } = relationship;
  if (target === null) {
    throw new ClientError(`The table ${targetName} of a relationship is not declared`, 500);
  }
  const transaction = readNumber(ambientContext());
  if (there === null) return [readRecord(target, key as Id, transaction)];
  const conditions = [{ attribute: there, value: key }];
  return [...new SearchResult(op_kora_search(transaction, target, "", { conditions }), undefined, target)];
}

function related(relationship: NonNullable<DerivedInfo["relationship"]>, read: Read): any {
  const { own, isMany, filterMissing, there } = relationship;
  const key = read(own);
  if (!isMany) {
    return key === null || key === undefined ? undefined : found(relationship, key)[0];
  }
  if (key === null || key === undefined) return there === null ? undefined : [];
  const keys = Array.isArray(key) ? key : [key];
  const records = keys.flatMap((key) => found(relationship, key));
  return filterMissing ? records.filter((record) => record !== undefined) : records;
}

/** Assigns a relationship: what changes is the attribute that it goes by. */
function assign(attribute: DerivedInfo, value: any, set: (name: string, value: any) => void): void {
  const { relationship } = attribute;
  if (!relationship?.isForeignKey) {
    throw new ClientError(
      `Computed property ${attribute.name} may not be directly assigned a value`,
    );
  }
  const property = relationship.there ?? relationship.targetKey;
  const keyOf = (record: any) =>
    record !== null && typeof record === "object" ? record[property] : record;
  set(relationship.own, Array.isArray(value) ? value.map(keyOf) : keyOf(value));
}

/** What a permission is asked about by way of a table's relationships. */
export class Relationships {
  #names = new Set<string>();
  #isShownUnasked = false;

  constructor(attributes: DerivedInfo[]) {
    for (const { name, enumerable, relationship } of attributes) {
      if (!relationship) continue;
      this.#names.add(name);
      this.#isShownUnasked ||= enumerable;
    }
  }

  /** What a search must know of who reads what a target names. */
  restriction(target: any): { attributes?: string[]; permission?: object } {
    const permission = this.#names.size > 0 ? permissionOf(target) : undefined;
    return { attributes: readableOf(target), permission };
  }

  /** Whether Rust must decide what of a related record is shown: of `property`, or unasked. */
  restricts(target: any, property?: string): boolean {
    const isRelated = property === undefined ? this.#isShownUnasked : this.#names.has(property);
    return isRelated && permissionOf(target) !== undefined;
  }
}

/** Gives the class of a table, and its records, their derived attributes. */
export function addDerived(Table: any, number: number): Relationships {
  const functions = new Map<string, Compute>();
  const attributes: DerivedInfo[] = op_kora_derived(number);
  const byName = new Map(attributes.map((attribute) => [attribute.name, attribute]));

  function valueOf(attribute: DerivedInfo, read: Read, record: any): any {
    if (attribute.relationship) return related(attribute.relationship, read);
    if (attribute.inputs === null) return functions.get(attribute.name)?.(record);
    const inputs: Record<string, unknown> = {};
    for (const name of attribute.inputs) inputs[name] = read(name);
    return op_kora_compute(number, attribute.name, inputs);
  }

  Object.defineProperty(Table, "setComputedAttribute", {
    value(name: string, compute: Compute): void {
      const attribute = byName.get(name);
      if (!attribute || attribute.relationship) {
        throw new ClientError(`${name} is not a computed attribute of ${Table.tableName}`);
      }
      if (typeof compute !== "function") {
        throw new ClientError(`The value of ${name} must be computed by a function`);
      }
      attribute.inputs = null;
      functions.set(name, compute);
    },
    configurable: true,
    writable: true,
  });
  const relationships = new Relationships(attributes);
  if (attributes.length === 0) return relationships;

  const prototype = Object.create(TableRecord.prototype);
  const enumerable: [string, PropertyDescriptor][] = [];
  for (const attribute of attributes) {
    const { name } = attribute;
    const descriptor: PropertyDescriptor = {
      get(this: any) {
        return valueOf(attribute, (name) => this[name], this);
      },
      set(this: any, value: any) {
        assign(attribute, value, (name, value) => this[name] = value);
      },
      configurable: true,
    };
    Object.defineProperty(prototype, name, descriptor);
    if (attribute.enumerable) enumerable.push([name, { ...descriptor, enumerable: true }]);
    Object.defineProperty(Table.prototype, name, {
      get(this: any) {
        return valueOf(attribute, (name) => this.getProperty(name), this);
      },
      set(this: any, value: any) {
        assign(attribute, value, (name, value) => this.set(name, value));
      },
      configurable: true,
    });
  }
  setRecordPrototype(number, prototype, enumerable);
  return relationships;
}
