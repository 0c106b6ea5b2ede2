// `server.operation` and `server.registerOperation` (harper-resources.md section 14): the operations of
// the host, and those that the component has added for its own code.
import { op_kora_operation } from "ext:core/ops";
import { AccessViolation } from "ext:kora/harperdb/errors.ts";

interface OperationDefinition {
  name: string;
  execute: (request: any) => unknown;
  /** Whether, where a call is authorized, only super users may make it. */
  requiresSuperUser?: boolean;
}

/** By their names, in this worker. */
const registered = new Map<string, OperationDefinition>();

/** Adds an operation; one of the host's own name goes before the host's. */
export function registerOperation(definition: OperationDefinition): void {
  const { name, execute } = definition ?? {};
  if (typeof name !== "string" || name === "" || typeof execute !== "function") {
    throw new TypeError("registerOperation needs a `name` and a function `execute`");
  }
  registered.set(name, definition);
}

/** Runs an operation; with `authorize`, as the user of the context. */
export async function operation(request: any, context?: any, authorize = false): Promise<any> {
  const user = context?.user ?? context?.getContext?.()?.user ?? null;
  const own = registered.get(request?.operation);
  if (!own) {
    const asking = authorize ? JSON.stringify(user) : "";
    return await op_kora_operation(JSON.stringify(request ?? {}), asking);
  }
  if (authorize && own.requiresSuperUser && !user?.role?.permission?.super_user) {
    throw new AccessViolation(user ?? undefined);
  }
  return await own.execute({ ...request, hdb_user: user ?? undefined });
}
