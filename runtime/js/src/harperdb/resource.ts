// `Resource`: the base class, and the pipeline behind its static methods (harper-resources.md
// section 3): normalise arguments, find the context, join or open a transaction, make the instance,
// check permissions, call the instance's method in the order that it expects.
import {
  type Arguments,
  bodilessArguments,
  bodyArguments,
  createArguments,
  Order,
  orderOf,
} from "ext:kora/harperdb/arguments.ts";
import { ambientContext, Context, runWith, type User } from "ext:kora/harperdb/context.ts";
import { AccessViolation, missingMethod } from "ext:kora/harperdb/errors.ts";
import { IterableEventQueue } from "ext:kora/harperdb/event_queue.ts";
import { type Id, RequestTarget, toTarget } from "ext:kora/harperdb/target.ts";
import { isThenable, transactional } from "ext:kora/harperdb/transaction.ts";

/** Which right a method needs. */
type Access = "read" | "update" | "create" | "delete";

/** What the pipeline knows of a method. */
interface Method {
  name: string;
  access: Access;
  /** Whether the instance's method takes data besides the target. */
  takesData: boolean;
}

const METHODS = {
  get: { name: "get", access: "read", takesData: false },
  put: { name: "put", access: "update", takesData: true },
  patch: { name: "patch", access: "update", takesData: true },
  post: { name: "post", access: "create", takesData: true },
  delete: { name: "delete", access: "delete", takesData: false },
  create: { name: "create", access: "create", takesData: true },
  search: { name: "search", access: "read", takesData: false },
  query: { name: "search", access: "read", takesData: true },
  publish: { name: "publish", access: "create", takesData: true },
  subscribe: { name: "subscribe", access: "read", takesData: false },
  connect: { name: "connect", access: "read", takesData: true },
  invalidate: { name: "invalidate", access: "update", takesData: false },
} satisfies Record<string, Method>;

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

/** Runs the pipeline for one call. Synchronous where nothing in it waits. */
function invoke(Class: any, method: Method, { target, data, context }: Arguments): any {
  const outer = ambientContext();
  const cx = context ?? outer ?? new Context();
  const run = () =>
    transactional<any>(
      cx,
      () =>
        isThenable(data)
          ? Promise.resolve(data).then((resolved) => enter(Class, method, target, resolved, cx))
          : enter(Class, method, target, data, cx),
    );
  return cx === outer ? run() : runWith(cx, run);
}

function promised(result: any): Promise<any> {
  return result instanceof Promise ? result : Promise.resolve(result);
}

function enter(Class: any, method: Method, target: RequestTarget, data: any, cx: Context): any {
  const resource = Class.getResource(target, cx);
  // A caching table may have to load its record first.
  return isThenable(resource)
    ? Promise.resolve(resource).then((made) => enterWith(made, Class, method, target, data, cx))
    : enterWith(resource, Class, method, target, data, cx);
}

function enterWith(
  resource: any,
  Class: any,
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
  const allowed = allows(resource, method.access, cx, target, data);
  const proceed = (permitted: unknown) => {
    if (!permitted) throw new AccessViolation(cx.user);
    return act(Class, resource, method, target, data);
  };
  return isThenable(allowed) ? Promise.resolve(allowed).then(proceed) : proceed(allowed);
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
      return resource.doesExist() === false
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
    if (method.name === "post" && target.isCollection && typeof resource.create === "function") {
      return act(Class, resource, METHODS.create, target, data);
    }
    throw missingMethod(Class.name, method.name);
  }
  if (!method.takesData) return action.call(resource, target);
  return orderOf(Class, method.name) === Order.TargetFirst
    ? action.call(resource, target, data)
    : action.call(resource, data, target);
}

export class Resource {
  static loadAsInstance?: boolean;
  static primaryKey?: string;
  static path?: string;

  #id: Id | undefined;
  #context: Context | undefined;
  #target: RequestTarget | undefined;

  constructor(id?: Id, source?: any) {
    this.#id = id;
    this.#context = source instanceof Context ? source : source?.getContext?.();
  }

  /** The instance for a target; tables load the record here. */
  static getResource(target: RequestTarget, context: Context): any {
    const resource = new this(target.id ?? null, context);
    Resource.aim(resource, target, context);
    return resource;
  }

  /** Says what an instance is about, whatever its constructor did with its arguments. */
  protected static aim(resource: any, target: RequestTarget, context: Context): void {
    if (!(#target in resource)) return;
    resource.#id = target.id;
    resource.#context = context;
    resource.#target = target;
  }

  static get(...args: any[]): any {
    return promised(invoke(this, METHODS.get, bodilessArguments(args)));
  }

  static put(...args: any[]): any {
    return promised(invoke(this, METHODS.put, bodyArguments(args, this.primaryKey)));
  }

  static patch(...args: any[]): any {
    return promised(invoke(this, METHODS.patch, bodyArguments(args, this.primaryKey)));
  }

  static post(...args: any[]): any {
    return promised(invoke(this, METHODS.post, bodyArguments(args, this.primaryKey)));
  }

  static delete(...args: any[]): any {
    return promised(invoke(this, METHODS.delete, bodilessArguments(args)));
  }

  static create(...args: any[]): any {
    return promised(invoke(this, METHODS.create, createArguments(args, this.primaryKey)));
  }

  static search(...args: any[]): any {
    return invoke(this, METHODS.search, collection(bodilessArguments(args)));
  }

  static query(...args: any[]): any {
    return invoke(this, METHODS.query, collection(bodyArguments(args, undefined)));
  }

  static publish(...args: any[]): any {
    return promised(invoke(this, METHODS.publish, bodyArguments(args, this.primaryKey)));
  }

  static subscribe(...args: any[]): any {
    return invoke(this, METHODS.subscribe, bodilessArguments(args));
  }

  static connect(...args: any[]): any {
    const [target, incoming, context] = args;
    return invoke(this, METHODS.connect, {
      target: toTarget(target),
      data: incoming,
      context: context instanceof Context ? context : undefined,
    });
  }

  static invalidate(...args: any[]): any {
    return promised(invoke(this, METHODS.invalidate, bodilessArguments(args)));
  }

  static getNewId(): string {
    return crypto.randomUUID();
  }

  static isCollection(resource: any): boolean {
    return Boolean(resource?.isCollection);
  }

  getId(): Id | undefined {
    return this.#id;
  }

  getContext(): Context | undefined {
    return this.#context;
  }

  getCurrentUser(): User | undefined {
    return this.#context?.user;
  }

  get isCollection(): boolean {
    return Boolean(this.#target?.isCollection);
  }

  /** What the current call is about; what `super.x()` without a target means. */
  protected get ownTarget(): RequestTarget {
    return this.#target ?? toTarget(this.#id);
  }

  doesExist(): boolean {
    return true;
  }

  allowRead(user: any, _target?: unknown, _context?: unknown): any {
    return user?.role?.permission?.super_user;
  }

  allowUpdate(user: any, _data?: unknown, _context?: unknown): any {
    return user?.role?.permission?.super_user;
  }

  allowCreate(user: any, _data?: unknown, _context?: unknown): any {
    return user?.role?.permission?.super_user;
  }

  allowDelete(user: any, _target?: unknown, _context?: unknown): any {
    return user?.role?.permission?.super_user;
  }

  subscribe(_target?: unknown): any {
    return new IterableEventQueue();
  }

  /** In either argument order, or with none: an idle queue, or what `subscribe` gives. */
  connect(first?: any, second?: any): any {
    const target = [first, second].find((argument) => argument instanceof RequestTarget) ??
      this.ownTarget;
    return target.subscribe === false ? new IterableEventQueue() : this.subscribe(target);
  }
}
markHostStatics(Resource);

/** A search is about a collection, whatever the target says. */
function collection(args: Arguments): Arguments {
  args.target.isCollection = true;
  return args;
}
