// What the role of a caller allows with a table (harper-resources.md section 11): the rules of
// `kora_resource::Permission`, for permissions that code may have changed. What a read withholds is
// remembered with its target and applied to queries in Rust.
import { AccessViolation } from "ext:kora/harperdb/errors.ts";

export type Access = "read" | "insert" | "update" | "delete";

/** The verbs that write. */
export type WriteVerb = "put" | "patch" | "post" | "create" | "publish";

interface TableRights {
  /** Whether the table may be accessed at all. */
  may: boolean;
  /** The attributes that the access covers; `undefined` for all. */
  attributes: string[] | undefined;
}

const EVERYTHING: TableRights = { may: true, attributes: undefined };
const NOTHING: TableRights = { may: false, attributes: [] };

/** What `permission` (`role.permission`) allows with a table. */
export function rights(
  permission: any,
  database: string,
  table: string,
  access: Access,
): TableRights {
  if (permission?.super_user) return EVERYTHING;
  const granted = permission?.[database]?.tables?.[table];
  if (!granted) return NOTHING;
  const may = Boolean(granted[access]);
  const listed = granted.attribute_permissions;
  if (!Array.isArray(listed) || listed.length === 0) return { may, attributes: undefined };
  const covered = listed.filter((attribute) => attribute[access]);
  return { may, attributes: covered.map((attribute) => attribute.attribute_name) };
}

/** Whether a write of `data` touches only what may be written; the key says which record is meant. */
export function covers(attributes: string[] | undefined, data: any, primaryKey: string): boolean {
  if (!attributes || data === null || typeof data !== "object") return true;
  const records = Array.isArray(data) ? data : [data];
  return records.every((record) =>
    Object.keys(record).every((name) => name === primaryKey || attributes.includes(name))
  );
}

/** Gives data that replaces `current` back what its writer may not change. */
export function preserve(attributes: string[] | undefined, data: any, current: any): void {
  if (!attributes || !current || Array.isArray(data)) return;
  for (const name of Object.keys(current)) {
    if (!attributes.includes(name) && !(name in data)) data[name] = current[name];
  }
}

/** What of the records that a target names may be read. */
const readable = new WeakMap<object, string[]>();

/** The permission that says so: it also says what may be read by way of relationships. */
const permissions = new WeakMap<object, object>();

export function restrict(target: any, attributes: string[] | undefined, permission: any): void {
  if (target === null || typeof target !== "object") return;
  if (attributes) readable.set(target, attributes);
  if (permission && !permission.super_user) permissions.set(target, permission);
}

export function unrestrict(target: object): void {
  readable.delete(target);
  permissions.delete(target);
}

/** The permission that restricts what a target names; `undefined` for who may read everything. */
export function permissionOf(target: any): object | undefined {
  return target !== null && typeof target === "object" ? permissions.get(target) : undefined;
}

/** The attributes that may be read of what a target names; `undefined` for all. */
export function readableOf(target: any): string[] | undefined {
  return target !== null && typeof target === "object" ? readable.get(target) : undefined;
}

/** A record with only what may be read. */
export function shown(record: any, attributes: string[] | undefined): any {
  if (!attributes) return record;
  for (const name of Object.keys(record)) if (!attributes.includes(name)) delete record[name];
  return record;
}

/** Refuses what `permitted` is not. */
export function assertPermitted(permitted: unknown, user: unknown): void {
  if (!permitted) throw new AccessViolation(user);
}
