// `Resource`: the base class of everything with a path (harper-resources.md section 3). Its statics
// are the entry points; its instances have the hooks that components override.
import {
  bodilessArguments,
  bodyArguments,
  type Arguments,
  updateArguments,
} from "ext:kora/harperdb/arguments.ts";
import { Context, type User } from "ext:kora/harperdb/context.ts";
import { ClientError, missingMethod } from "ext:kora/harperdb/errors.ts";
import { IterableEventQueue } from "ext:kora/harperdb/event_queue.ts";
import { EXISTS, invoke, markHostStatics, METHODS } from "ext:kora/harperdb/pipeline.ts";
import { type Id, RequestTarget, toTarget } from "ext:kora/harperdb/target.ts";
import { isThenable } from "ext:kora/harperdb/transaction.ts";

function promised(result: any): Promise<any> {
  return result instanceof Promise ? result : Promise.resolve(result);
}

/** A search is about a collection, whatever the target says. */
function collection(args: Arguments): Arguments {
  args.target.isCollection = true;
  return args;
}

export class Resource {
  static loadAsInstance?: boolean;
  /** Whether the id is the whole of the URL below the path, its query included. */
  static directURLMapping?: boolean;
  static primaryKey?: string;
  static path?: string;

  #id: Id | undefined;
  #context: Context | undefined;
  #target: RequestTarget | undefined;

  constructor(id?: Id, source?: any) {
    this.#id = id;
    this.#context = source instanceof Context ? source : source?.getContext?.();
  }

  /** The instance for a target. */
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
    return promised(invoke(this, METHODS.create, bodyArguments(args, this.primaryKey)));
  }

  static update(...args: any[]): any {
    return promised(invoke(this, METHODS.update, updateArguments(args)));
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

  static copy(...args: any[]): any {
    return promised(invoke(this, METHODS.copy, bodyArguments(args, this.primaryKey)));
  }

  static move(...args: any[]): any {
    return promised(invoke(this, METHODS.move, bodyArguments(args, this.primaryKey)));
  }

  static getNewId(): Id {
    return crypto.randomUUID();
  }

  /** The id that a text of a URL stands for. */
  static coerceId(text: string): Id {
    return text;
  }

  /** What the path below the resource's names: its id, and whether that is a collection's. */
  static parsePath(path: string, _context?: unknown, _query?: unknown): any {
    const target = new RequestTarget(`/${path}`);
    return { id: target.id ?? null, isCollection: Boolean(target.isCollection), query: target };
  }

  /** A query's text as a target with its conditions. */
  static parseQuery(search: string, target?: RequestTarget): RequestTarget {
    const parsed = new RequestTarget(`?${search.replace(/^\?/, "")}`);
    if (parsed.parseError) throw parsed.parseError;
    if (!target) return parsed;
    for (const [name, value] of parsed) target.append(name, value);
    return target;
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

  [EXISTS](): boolean {
    return this.doesExist();
  }

  wasLoadedFromSource(): boolean | undefined {
    return undefined;
  }

  addTo(_name: string, _by: number): void {
    throw new ClientError("addTo is only available on the records of tables", 501);
  }

  subtractFrom(_name: string, _by: number): void {
    throw new ClientError("subtractFrom is only available on the records of tables", 501);
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

  /** On a collection, what `create` makes of the data; its answer is the key that it gave. */
  post(first?: any, second?: any): any {
    const Class = this.constructor as any;
    const own: any = this;
    const targetFirst = Class.loadAsInstance === false || first instanceof RequestTarget;
    const [target, data] = targetFirst ? [first, second] : [second ?? this.ownTarget, first];
    const makes = target?.isCollection && typeof own.create === "function";
    if (!makes) throw missingMethod(Class.name, "post");
    const key = (created: any) => created?.[Class.primaryKey ?? "id"] ?? created;
    const created = targetFirst ? own.create(target, data) : own.create(data, target);
    return isThenable(created) ? created.then(key) : key(created);
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
