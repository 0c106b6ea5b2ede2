// What the methods of tables make of their arguments: keys, data, queries (harper-resources.md
// sections 4 and 6).
import type { TableInfo } from "ext:kora/harperdb/attributes.ts";
import { ClientError } from "ext:kora/harperdb/errors.ts";
import { type Id, queryOptions, type RequestTarget } from "ext:kora/harperdb/target.ts";

/** An id that can be looked up without asking what else it may be. */
export function isKey(id: unknown): id is Id {
  return typeof id === "string" || typeof id === "number" || typeof id === "bigint";
}

/** An id where there must be one. */
export function required(id: Id | undefined): Id {
  if (id === null || id === undefined) throw new ClientError("A primary key is required");
  return id;
}

/** What is told of data that is no object. */
export function invalidData(data: unknown): ClientError {
  return new ClientError(`Invalid argument for data, must be an object, but got ${data}`);
}

/** The key of the record that a target names, if it names one. */
export function inRecord(target: RequestTarget): Id | undefined {
  return target.isCollection ? undefined : target.id ?? undefined;
}

/** The key that is written: that of the target, else that of the record. */
export function idOf(target: RequestTarget, data: any, primaryKey: string): Id | undefined {
  return (target.isCollection ? undefined : target.id) ?? data[primaryKey];
}

/** A query that came as a body: an object of its parts, or a list of conditions. */
export function queryOf(data: any): Record<string, unknown> | undefined {
  return Array.isArray(data) ? { conditions: data } : queryOptions(data);
}

/** The number that `{ __op__: "add", value }` adds. */
export function increment(value: any): number | bigint | undefined {
  return value !== null && typeof value === "object" && value.__op__ === "add"
    ? value.value
    : undefined;
}

/** The names of the properties of a search's rows. */
export function columns(info: TableInfo, select: any): string[] {
  const all = () => info.attributes.map(({ name }) => name);
  if (select === undefined || select === null) return all();
  const list = Array.isArray(select) ? select : [select];
  return list.flatMap((item: any) => item === "*" ? all() : [item?.name ?? item]);
}
