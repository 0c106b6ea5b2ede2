// The pipeline behind the static methods (harper-resources.md section 3): find the context, join or
// open a transaction, make the instance, check permissions, call the instance's method in the order
// that it expects. Synchronous where nothing in it waits.
import { type Arguments, Order, orderOf } from "ext:kora/harperdb/arguments.ts";
import { ambientContext, Context, runWith } from "ext:kora/harperdb/context.ts";
import { AccessViolation, missingMethod } from "ext:kora/harperdb/errors.ts";
import type { RequestTarget } from "ext:kora/harperdb/target.ts";
import { isThenable, transactional } from "ext:kora/harperdb/transaction.ts";

/** Which right a method needs. */
type Access = "read" | "update" | "create" | "delete";

/** What the pipeline knows of a method. */
interface Method {
  name: string;
  access: Access;
  /** Whether the instance's method takes data besides the target. */
  takesData: boolean;
  /** Whether what the method assigns to its instance is saved. */
  updates: boolean;
  /** Whether the method looks at the record, which a cache may have to ask its source for first. */
  loads: boolean;
}

function method(name: string, access: Access, takesData: boolean, updates = false): Method {
  const loads = name === "get" || name === "update" || updates;
  return { name, access, takesData, updates, loads };
}

export const METHODS = {
  get: method("get", "read", false),
  put: method("put", "update", true),
  patch: method("patch", "update", true),
  post: method("post", "create", true, true),
  delete: method("delete", "delete", false),
  create: method("create", "create", true),
  update: method("update", "update", true),
  search: method("search", "read", false),
  query: method("search", "read", true),
  publish: method("publish", "create", true, true),
  subscribe: method("subscribe", "read", false),
  connect: method("connect", "read", true),
  invalidate: method("invalidate", "update", false),
  copy: method("copy", "create", true),
  move: method("move", "delete", true),
};

/** Tells an instance of a table that it is being updated (section 9). */
export const BEGIN_UPDATE = Symbol("begin update");
/** Has an instance of a caching table read its record; a promise where that waits. */
export const LOAD = Symbol("load");
/** Whether the record of an instance exists, without counting as a read. */
export const EXISTS = Symbol("exists");

/** The static methods that are the host's own, to tell them from a component's overrides. */
const hostStatics = new WeakSet<Function>();

/** Whether a component has overridden the static method `name` of `Class`. */
export function overridesStatic(Class: any, name: string): boolean {
  return typeof Class[name] === "function" && !hostStatics.has(Class[name]);
}

/** Marks the static methods of a host class as the host's own. */
export function markHostStatics(Class: any): void {
  for (const name of Object.getOwnPropertyNames(Class)) {
    const value = Object.getOwnPropertyDescriptor(Class, name)?.value;
    if (typeof value === "function") hostStatics.add(value);
  }
}

/** Goes on with `value` now, or when it is there. */
function after<T>(value: T | PromiseLike<T>, then: (value: T) => any): any {
  return isThenable(value) ? Promise.resolve(value as PromiseLike<T>).then(then) : then(value as T);
}

/** Runs the pipeline for one call. */
export function invoke(Class: any, method: Method, { target, data, context }: Arguments): any {
  const outer = ambientContext();
  const cx = context ?? outer ?? new Context();
  const enter = () => after<any>(data, (data) => load(Class, method, target, data, cx));
  const run = () => transactional<any>(cx, enter);
  return cx === outer ? run() : runWith(cx, run);
}

/** Makes the instance, which may take its time, and has it read its record where the method looks at one. */
function load(Class: any, method: Method, target: RequestTarget, data: any, cx: Context): any {
  return after(Class.getResource(target, cx), (resource: any) => {
    const loads = method.loads && Class.loadAsInstance !== false;
    const loading = loads ? resource[LOAD]?.() : undefined;
    return after(loading, () => pass(Class, resource, method, target, data, cx));
  });
}

function pass(
  Class: any,
  resource: any,
  method: Method,
  target: RequestTarget,
  data: any,
  cx: Context,
): any {
  if (!cx.authorize) return act(Class, resource, method, target, data);
  // The first wrapped method of a request decides; what it calls is not asked again.
  cx.authorize = false;
  // In target mode the methods of tables look at `target.checkPermission` themselves.
  if (Class.loadAsInstance === false) return act(Class, resource, method, target, data);
  return after(allows(resource, method.access, cx, target, data), (permitted) => {
    if (!permitted) throw new AccessViolation(cx.user);
    // Whoever may do this need not be asked by the table again.
    if (target.checkPermission) target.checkPermission = false;
    return act(Class, resource, method, target, data);
  });
}

function allows(
  resource: any,
  access: Access,
  cx: Context,
  target: RequestTarget,
  data: any,
): unknown {
  switch (access) {
    case "read":
      return resource.allowRead(cx.user, target, cx);
    case "delete":
      return resource.allowDelete(cx.user, target, cx);
    case "create":
      return resource.allowCreate(cx.user, data, cx);
    case "update":
      return resource[EXISTS]() === false
        ? resource.allowCreate(cx.user, data, cx)
        : resource.allowUpdate(cx.user, data, cx);
  }
}

function act(
  Class: any,
  resource: any,
  method: Method,
  target: RequestTarget,
  data: any,
): any {
  const action = resource[method.name];
  if (typeof action !== "function") {
    if (method.name === "get") return undefined;
    throw missingMethod(Class.name, method.name);
  }
  if (method.updates && Class.loadAsInstance !== false) resource[BEGIN_UPDATE]?.();
  if (!method.takesData) return action.call(resource, target);
  return orderOf(Class, method.name) === Order.TargetFirst
    ? action.call(resource, target, data)
    : action.call(resource, data, target);
}
