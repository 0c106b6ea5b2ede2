// The attributes of a table as its class knows them, and which values may be assigned to them
// (harper-resources.md section 9).
import { ClientError } from "ext:kora/harperdb/errors.ts";

export interface AttributeInfo {
  name: string;
  type: string;
  isPrimaryKey: boolean;
  indexed: boolean;
  nullable: boolean;
}

export interface TableInfo {
  database: string;
  table: string;
  primaryKey: string;
  attributes: AttributeInfo[];
  sealed: boolean;
  /** Whether changes are kept as history. */
  audit: boolean;
  /** Seconds from a write to the record's end. */
  expiration: number | null;
  createdTimeProperty: string | null;
  updatedTimeProperty: string | null;
}

function wrong(attribute: AttributeInfo, value: unknown, expected: string): ClientError {
  const shown = typeof value === "object" ? "an object" : typeof value === "string" ? `"${value}"` : value;
  return new ClientError(
    `${attribute.name} must be ${expected}, attempt to assign ${String(shown)}`,
  );
}

function integer(attribute: AttributeInfo, value: unknown, bound: number, expected: string): number {
  if (typeof value !== "number" || !Number.isFinite(value)) throw wrong(attribute, value, expected);
  const rounded = Math.round(value);
  if (rounded < -bound || rounded > bound - 1) throw wrong(attribute, value, expected);
  return rounded;
}

function date(attribute: AttributeInfo, value: unknown): Date {
  const usable = value instanceof Date || typeof value === "string" || typeof value === "number";
  const made = value instanceof Date ? value : usable ? new Date(value as string) : undefined;
  if (!made || Number.isNaN(made.getTime())) throw wrong(attribute, value, "a Date");
  return made;
}

function bigInt(attribute: AttributeInfo, value: unknown): bigint {
  try {
    if (typeof value === "bigint") return value;
    if (typeof value === "number" || typeof value === "string") return BigInt(value);
  } catch {
    // Told below, as any other value that is none.
  }
  throw wrong(attribute, value, "a BigInt");
}

/**
 * The value that an assignment to `attribute` stores: rounded or coerced where its type asks for it,
 * refused with 400 where the type does not fit. Null stands for no value in every type; what is
 * nested is checked when it is written.
 */
export function assignable(attribute: AttributeInfo, value: any): any {
  if (value === null || value === undefined) return value;
  switch (attribute.type) {
    case "Int":
      return integer(attribute, value, 2 ** 31, "an integer");
    case "Long":
      return integer(attribute, value, Number.MAX_SAFE_INTEGER + 1, "an integer");
    case "Float":
      if (typeof value !== "number") throw wrong(attribute, value, "a number");
      return value;
    case "String":
      if (typeof value !== "string") throw wrong(attribute, value, "a string");
      return value;
    case "ID":
      if (typeof value !== "string" && typeof value !== "number" && !Array.isArray(value)) {
        throw wrong(attribute, value, "a string");
      }
      return value;
    case "Boolean":
      if (typeof value !== "boolean") throw wrong(attribute, value, "a boolean");
      return value;
    case "Date":
      return date(attribute, value);
    case "BigInt":
      return bigInt(attribute, value);
    case "Bytes":
      if (typeof value !== "string" && !(value instanceof Uint8Array)) {
        throw wrong(attribute, value, "a Buffer or Uint8Array");
      }
      return value;
    default:
      if (attribute.type.startsWith("[") && !Array.isArray(value)) {
        throw wrong(attribute, value, "an array");
      }
      return value;
  }
}
