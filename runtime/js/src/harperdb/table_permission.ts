// What a caller may do with one table (harper-resources.md section 11): `allowRead` and its siblings as
// tables have them, and the checks of target mode. The rules are in `permission.ts`.
import type { TableInfo } from "ext:kora/harperdb/attributes.ts";
import {
  type Access,
  assertPermitted,
  covers,
  preserve,
  restrict,
  rights,
  type WriteVerb,
} from "ext:kora/harperdb/permission.ts";
import { readRecord } from "ext:kora/harperdb/record.ts";
import { idOf, inRecord } from "ext:kora/harperdb/table_arguments.ts";
import type { RequestTarget } from "ext:kora/harperdb/target.ts";
import { readNumber } from "ext:kora/harperdb/transaction.ts";

/** The permission of a role as code sees it; `undefined` for nobody. */
function permissionOf(user: any): any {
  return user?.role?.permission;
}

export class TablePermission {
  #number: number;
  #info: TableInfo;

  constructor(number: number, info: TableInfo) {
    this.#number = number;
    this.#info = info;
  }

  #rights(permission: unknown, access: Access) {
    return rights(permission, this.#info.database, this.#info.table, access);
  }

  /** The permission that a target in target mode is to be checked against. */
  #checked(resource: any, target: any): any {
    // In instance mode `allowRead` and its siblings have decided already.
    if (resource.constructor.loadAsInstance !== false) return undefined;
    const permission = target?.checkPermission;
    if (!permission) return undefined;
    return permission === true ? permissionOf(resource.getContext()?.user) ?? {} : permission;
  }

  /** Refuses what target mode must refuse; what may not be read is remembered with the target. */
  check(resource: any, target: any, access: Exclude<Access, "insert">): void {
    const permission = this.#checked(resource, target);
    if (!permission) return;
    assertPermitted(this.#rights(permission, access).may, resource.getContext()?.user);
    if (access !== "update") {
      restrict(target, this.#rights(permission, "read").attributes, permission);
    }
  }

  /** As `check`, for what writes `data`. */
  checkWrite(resource: any, target: RequestTarget, data: any, verb: WriteVerb): void {
    const permission = this.#checked(resource, target);
    if (!permission || permission.super_user) return;
    const { primaryKey } = this.#info;
    const context = resource.getContext();
    for (const record of Array.isArray(data) ? data : [data]) {
      // What is made or said within a record changes it, whether it is there or not.
      const isWithin = verb === "post" || verb === "publish";
      const id = isWithin ? inRecord(target) : idOf(target, record, primaryKey);
      const looks = (verb === "put" || verb === "patch") && id !== null && id !== undefined;
      const current = looks ? readRecord(this.#number, id, readNumber(context)) : undefined;
      const changes = isWithin ? id !== undefined : current !== undefined;
      const { may, attributes } = this.#rights(permission, changes ? "update" : "insert");
      assertPermitted(may && covers(attributes, record, primaryKey), context?.user);
      if (verb === "put") preserve(attributes, record, current);
    }
  }

  allowRead(user: any, target: any): boolean {
    const permission = permissionOf(user);
    const { may, attributes } = this.#rights(permission, "read");
    if (may) restrict(target, attributes, permission);
    return may;
  }

  allowCreate(user: any, data: any): boolean {
    const { may, attributes } = this.#rights(permissionOf(user), "insert");
    return may && covers(attributes, data, this.#info.primaryKey);
  }

  /** `current` gives the record that `data` replaces; nothing where it does not replace one. */
  allowUpdate(user: any, data: any, current: () => any): boolean {
    const { may, attributes } = this.#rights(permissionOf(user), "update");
    if (!may || !covers(attributes, data, this.#info.primaryKey)) return false;
    if (attributes && data) preserve(attributes, data, current());
    return true;
  }

  allowDelete(user: any, target: any): boolean {
    const permission = permissionOf(user);
    const { may } = this.#rights(permission, "delete");
    if (may) restrict(target, this.#rights(permission, "read").attributes, permission);
    return may;
  }
}
