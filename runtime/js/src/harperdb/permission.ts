// Whether the user may do what is asked of a table (harper-resources.md section 11). In one place:
// tables call it before each of their methods, with what they know.
import type { Context } from "ext:kora/harperdb/context.ts";
import { AccessViolation } from "ext:kora/harperdb/errors.ts";
import type { RequestTarget } from "ext:kora/harperdb/target.ts";

/** What a method of a table needs. */
export type TableAccess = "read" | "insert" | "update" | "delete";

/** Which table, as permissions name it. */
export interface TableName {
  database: string;
  table: string;
}

/**
 * Refuses what `target.checkPermission` does not allow: a permission object, or a flag that stands for
 * the user's own. A target without one is not checked; a super user passes.
 */
export function checkPermission(
  target: RequestTarget,
  context: Context | undefined,
  _table: TableName,
  _access: TableAccess,
): void {
  const asked: any = target.checkPermission;
  if (!asked) return;
  const permission = typeof asked === "object" ? asked : context?.user?.role.permission;
  if (!permission?.super_user) throw new AccessViolation(context?.user);
}
