// `tables.X`: a class for each table, whose instances are records and whose static methods are its API
// (harper-resources.md sections 3 to 5).
import {
  op_kora_delete,
  op_kora_get,
  op_kora_parse_target,
  op_kora_search,
  op_kora_subscribe,
  op_kora_write,
} from "ext:core/ops";
import { ambientContext, Context } from "ext:kora/harperdb/context.ts";
import { ClientError, missingMethod } from "ext:kora/harperdb/errors.ts";
import {
  type Access,
  assertPermitted,
  covers,
  preserve,
  readableOf,
  restrict,
  rights,
  shown,
  unrestrict,
  type WriteVerb,
} from "ext:kora/harperdb/permission.ts";
import { markHostStatics, Resource } from "ext:kora/harperdb/resource.ts";
import { SearchResult } from "ext:kora/harperdb/search.ts";
import { awaitable, Subscription } from "ext:kora/harperdb/subscription.ts";
import {
  type Id,
  isQuery,
  queryOptions,
  RequestTarget,
} from "ext:kora/harperdb/target.ts";
import { openTransaction, Transaction, transactional } from "ext:kora/harperdb/transaction.ts";

interface AttributeInfo {
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
}

/** The kinds of `op_kora_write`. */
enum Write {
  Put = 0,
  Patch = 1,
  Create = 2,
  Publish = 3,
}

/** Where `op_kora_get` leaves a record's version and expiry. */
const stamps = new Float64Array(2);

/** A record: a plain copy that belongs to who read it, with its times out of the way of JSON. */
export class TableRecord {
  #version = NaN;
  #expires = NaN;

  getUpdatedTime(): number {
    return this.#version;
  }

  getExpiresAt(): number | undefined {
    return Number.isNaN(this.#expires) ? undefined : this.#expires;
  }

  static stamp(record: TableRecord, version: number, expires: number): void {
    record.#version = version;
    record.#expires = expires;
  }

  /** The version of a record that was read from a table; NaN for anything else. */
  static versionOf(value: any): number {
    return value !== null && typeof value === "object" && #version in value ? value.#version : NaN;
  }
}
Object.defineProperty(TableRecord.prototype, "constructor", { value: Object, enumerable: false });

/** Reads one record inside the open transaction, if there is one. */
function read(table: number, id: Id, context: Context | undefined): TableRecord | undefined {
  const record = new TableRecord();
  const transaction = openTransaction(context)?.number ?? -1;
  if (!op_kora_get(transaction, table, id, record, stamps)) return undefined;
  TableRecord.stamp(record, stamps[0], stamps[1]);
  return record;
}

/** The class of one table, the `number`th of the worker. */
export function makeTable(number: number, info: TableInfo): any {
  const { primaryKey } = info;
  const keyType = info.attributes.find((attribute) => attribute.isPrimaryKey)?.type;
  const textKeys = keyType === "ID" || keyType === "String";

  class Table extends Resource {
    static override primaryKey = primaryKey;
    static tableName = info.table;
    static databaseName = info.database;
    static attributes = info.attributes;
    static sealed = info.sealed;
    static tableNumber = number;

    #record: any;
    #loaded = false;

    static override getResource(target: RequestTarget, context: Context): any {
      // A target that code made of a URL has the text of an id; only the table knows its type.
      if (!textKeys && typeof target.id === "string" && target.url !== "") {
        [target.id] = op_kora_parse_target(`/${encodeURIComponent(target.id)}`, number);
      }
      const resource = new this(target.id ?? null, context) as any;
      Resource.aim(resource, target, context);
      const id = target.id;
      const single = id !== null && id !== undefined && !target.isCollection;
      // What is read counts in the check for conflicts, so the table's own class reads nothing that
      // nobody looks at: concurrent `tables.X.put` of one record must not refuse each other.
      const looksAtIt = (this as any) !== Table && this.loadAsInstance !== false;
      if (looksAtIt && single && #record in resource) resource.#load(id);
      return resource;
    }

    /** The fast way for code that reads `tables.X` itself: no instance, nobody to ask. */
    static override get(...args: any[]): any {
      const id = args[0];
      if (this === (Table as any) && args.length === 1 && isKey(id)) {
        const context = ambientContext();
        if (!context?.authorize) {
          try {
            return Promise.resolve(read(number, id, context));
          } catch (error) {
            return Promise.reject(error);
          }
        }
      }
      return super.get(...args);
    }

    static getRecordCount(): Promise<{ recordCount: number }> {
      let recordCount = 0;
      for (const _ of this.search({ select: [primaryKey] })) recordCount++;
      return Promise.resolve({ recordCount });
    }

    #load(id: Id): void {
      this.#loaded = true;
      this.#record = read(number, id, this.getContext());
      if (!this.#record) return;
      // Undeclared properties can be read from the instance too; declared ones have accessors.
      for (const name of Object.keys(this.#record)) {
        if (!(name in this)) (this as any)[name] = this.#record[name];
      }
    }

    /** The loaded record with what code assigned to the instance since. */
    #current(): any {
      const record = this.#record;
      if (!record) return record;
      for (const name of Object.keys(this)) {
        if (!name.startsWith("_")) record[name] = (this as any)[name];
      }
      return record;
    }

    #transact<T>(write: (transaction: Transaction) => T): T | Promise<T> {
      const context = this.getContext() ?? ambientContext() ?? new Context();
      return transactional(context, () => write(context.transaction!));
    }

    #write(kind: Write, id: Id | undefined, data: any): any {
      return this.#transact((transaction) =>
        op_kora_write(transaction.number, number, kind, id ?? null, data)
      );
    }

    override doesExist(): boolean {
      if (!this.#loaded) {
        const id = this.getId();
        if (id === null || id === undefined) return true;
        this.#load(id);
      }
      return this.#record !== undefined;
    }

    getUpdatedTime(): number | undefined {
      return this.#record?.getUpdatedTime();
    }

    getExpiresAt(): number | undefined {
      return this.#record?.getExpiresAt();
    }

    getRecord(): any {
      return this.#record;
    }

    toJSON(): any {
      return this.#current() ?? {};
    }

    get(first?: any): any {
      // `get("name")` reads a property of the loaded record.
      if (typeof first === "string") return (this as any)[first] ?? this.#record?.[first];
      const target: RequestTarget = first instanceof RequestTarget ? first : this.ownTarget;
      const context = this.getContext();
      this.#check(target, "read");
      if (first !== null && typeof first === "object" && !(first instanceof RequestTarget)) {
        return this.search(first);
      }
      if (target.isCollection || isQuery(target)) return this.search(target);
      const id = target.id;
      if (id === null || id === undefined) return describe(info);
      const own = this.#loaded && id === this.getId();
      const record: any = own ? this.#current() : read(number, id, context);
      const readable = readableOf(target);
      if (readable && target.property !== undefined) {
        assertPermitted(readable.includes(target.property), context?.user);
      }
      if (record === undefined) return undefined;
      if (target.property !== undefined) return record[target.property];
      if (context && context.lastModified === undefined) {
        context.lastModified = TableRecord.versionOf(record);
      }
      if (target.search || target.select) return project(number, target, context);
      // What code sees of the loaded instance is whole: what is answered is a copy.
      return readable && own ? shown({ ...record }, readable) : shown(record, readable);
    }

    search(first?: any, second?: any): SearchResult {
      const target: any = first instanceof RequestTarget ? first : second ?? this.ownTarget;
      this.#check(target, "read");
      return this.#search(first, second);
    }

    #search(first?: any, second?: any): SearchResult {
      // QUERY hands over (data, target) or (target, data); both are conditions of one search.
      const target: any = first instanceof RequestTarget ? first : second ?? this.ownTarget;
      const context = this.getContext();
      const options = {
        attributes: readableOf(target),
        ...queryOptions(target),
        ...(first instanceof RequestTarget ? second && queryOptions(second) : first && queryOptions(first)),
      };
      if (target.id !== null && target.id !== undefined && target.isCollection) {
        (options as any).idPrefix = target.id;
      }
      const transaction = openTransaction(context)?.number ?? -1;
      return new SearchResult(op_kora_search(transaction, number, target.search ?? "", options));
    }

    put(first: any, second?: any): any {
      const { target, data } = this.#body(first, second, "put");
      if (Array.isArray(data)) {
        return this.#transact((transaction) => {
          for (const record of data) {
            op_kora_write(transaction.number, number, Write.Put, record[primaryKey], record);
          }
        });
      }
      return settle(this.#write(Write.Put, idOf(target, data, primaryKey), data), () => undefined);
    }

    patch(first: any, second?: any): any {
      const { target, data } = this.#body(first, second, "patch");
      return settle(this.#write(Write.Patch, idOf(target, data, primaryKey), data), () => undefined);
    }

    post(first: any, second?: any): any {
      const { target } = this.#body(first, second, "post");
      if (inRecord(target) !== undefined) throw missingMethod(info.table, "post");
      return settle(this.create(first, second), (created: any) => created[primaryKey]);
    }

    create(first: any, second?: any): any {
      const { target, data } = this.#body(first, second, "create");
      const id = idOf(target, data, primaryKey);
      const context = this.getContext();
      return settle(this.#write(Write.Create, id, data), (written: Id) => {
        if (context) {
          context.createdResource = true;
          context.newLocation = written;
        }
        return { ...data, [primaryKey]: written };
      });
    }

    delete(first?: any): any {
      const target: RequestTarget = first instanceof RequestTarget ? first : this.ownTarget;
      this.#check(target, "delete");
      return this.#transact((transaction) => {
        if (!target.isCollection && !isQuery(target)) {
          op_kora_delete(transaction.number, number, required(target.id));
          return true;
        }
        if (readableOf(target)) {
          // What is deleted must not tell of what is withheld; deleting it needs its whole records.
          for (const _ of this.search(target)) break;
          unrestrict(target);
        }
        for (const record of this.#search(target).asArray) {
          op_kora_delete(transaction.number, number, record[primaryKey]);
        }
        return true;
      });
    }

    publish(first: any, second?: any): any {
      const { target, data } = this.#body(first, second, "publish");
      return settle(this.#write(Write.Publish, target.id, data), () => undefined);
    }

    override subscribe(first?: any): any {
      const target: any = first ?? this.ownTarget;
      const context = this.getContext();
      if (target instanceof RequestTarget) this.#check(target, "read");
      const primitive = target === null || typeof target !== "object";
      const id = primitive ? target : target.id;
      const options = primitive ? {} : {
        isCollection: Boolean(target.isCollection ?? target.includeDescendants),
        omitCurrent: target.omitCurrent,
        previousCount: target.previousCount,
        startTime: target.startTime,
        attributes: readableOf(target) ?? readableOf(this.ownTarget),
      };
      const subscription = new Subscription(op_kora_subscribe(number, id ?? null, options));
      (context ?? ambientContext())?.onClose?.push(() => subscription.close());
      const listener = primitive ? undefined : target.listener;
      if (typeof listener === "function") subscription.on("data", listener);
      return awaitable(subscription);
    }

    /** What the caller may do: the permission that a target in target mode is to be checked against. */
    #permission(target: any): unknown {
      // In instance mode `allowRead` and its siblings have decided already (section 11).
      if ((this.constructor as any).loadAsInstance !== false) return undefined;
      const permission = target?.checkPermission;
      if (!permission) return undefined;
      return permission === true ? this.getContext()?.user?.role?.permission ?? {} : permission;
    }

    #rights(permission: unknown, access: Access) {
      return rights(permission, info.database, info.table, access);
    }

    #check(target: any, access: "read" | "delete"): void {
      const permission = this.#permission(target);
      if (!permission) return;
      const user = this.getContext()?.user;
      assertPermitted(this.#rights(permission, access).may, user);
      restrict(target, this.#rights(permission, "read").attributes);
    }

    #checkWrite(target: RequestTarget, data: any, verb: WriteVerb): void {
      const permission: any = this.#permission(target);
      if (!permission || permission.super_user) return;
      const context = this.getContext();
      for (const record of Array.isArray(data) ? data : [data]) {
        // What is made or said within a record changes it, whether it is there or not.
        const isWithin = verb === "post" || verb === "publish";
        const id = isWithin ? inRecord(target) : idOf(target, record, primaryKey);
        const looks = (verb === "put" || verb === "patch") && id !== null && id !== undefined;
        const current = looks ? read(number, id, context) : undefined;
        const changes = isWithin ? id !== undefined : current !== undefined;
        const { may, attributes } = this.#rights(permission, changes ? "update" : "insert");
        assertPermitted(may && covers(attributes, record, primaryKey), context?.user);
        if (verb === "put") preserve(attributes, record, current);
      }
    }

    override allowRead(user: any, target?: any, _context?: unknown): any {
      const { may, attributes } = this.#rights(user?.role?.permission, "read");
      if (may) restrict(target ?? this.ownTarget, attributes);
      return may;
    }

    override allowCreate(user: any, data?: any, context?: unknown): any {
      // Making something within a record that is there changes that record.
      const id = this.getId();
      const within = !this.isCollection && id !== null && id !== undefined && this.doesExist();
      if (within) return this.allowUpdate(user, data, context);
      const { may, attributes } = this.#rights(user?.role?.permission, "insert");
      return may && covers(attributes, data, primaryKey);
    }

    override allowUpdate(user: any, data?: any, context?: any): any {
      const { may, attributes } = this.#rights(user?.role?.permission, "update");
      if (!may || !covers(attributes, data, primaryKey)) return false;
      const replaces = attributes && data && context?.method === "PUT" && this.doesExist();
      if (replaces) preserve(attributes, data, this.getRecord());
      return true;
    }

    override allowDelete(user: any, target?: any, _context?: unknown): any {
      const { may } = this.#rights(user?.role?.permission, "delete");
      const read = this.#rights(user?.role?.permission, "read");
      if (may) restrict(target ?? this.ownTarget, read.attributes);
      return may;
    }

    /** The two argument orders: `(data)`, `(data, target)` and `(target, data)`. */
    #body(first: any, second: any, verb: WriteVerb): { target: RequestTarget; data: any } {
      const targetFirst = first instanceof RequestTarget && !(second instanceof URLSearchParams);
      const target = targetFirst ? first : second instanceof RequestTarget ? second : this.ownTarget;
      const data = targetFirst ? second : first;
      if (data === null || typeof data !== "object") {
        throw new ClientError(`Invalid argument for data, must be an object, but got ${data}`);
      }
      this.#checkWrite(target, data, verb);
      return { target, data };
    }
  }

  for (const { name } of info.attributes) {
    if (name in Table.prototype) continue;
    Object.defineProperty(Table.prototype, name, {
      get(this: any) {
        return this.getRecord()?.[name];
      },
      set(this: any, value: unknown) {
        Object.defineProperty(this, name, {
          value,
          writable: true,
          enumerable: true,
          configurable: true,
        });
      },
      configurable: true,
    });
  }
  Object.defineProperty(Table, "name", { value: info.table });
  markHostStatics(Table);
  return Table;
}

function isKey(id: unknown): id is Id {
  return typeof id === "string" || typeof id === "number" || typeof id === "bigint";
}

function required(id: Id | undefined): Id {
  if (id === null || id === undefined) throw new ClientError("A primary key is required");
  return id;
}

/** The key of the record that a target names, if it names one. */
function inRecord(target: RequestTarget): Id | undefined {
  return target.isCollection ? undefined : target.id ?? undefined;
}

/** The key that is written: that of the target, else that of the record. */
function idOf(target: RequestTarget, data: any, primaryKey: string): Id | undefined {
  return (target.isCollection ? undefined : target.id) ?? data[primaryKey];
}

/** Applies `then` to a value now, or when its promise resolves. */
function settle<T, U>(value: T | Promise<T>, then: (value: T) => U): U | Promise<U> {
  return value instanceof Promise ? value.then(then) : then(value);
}

/** One record with a `select` of its own. */
function project(
  table: number,
  target: RequestTarget,
  context: Context | undefined,
): unknown {
  const options = {
    ...queryOptions(target),
    record: target.id,
    attributes: readableOf(target),
  };
  const transaction = openTransaction(context)?.number ?? -1;
  const rows = new SearchResult(op_kora_search(transaction, table, target.search, options));
  for (const row of rows) return row;
  return undefined;
}

/** What `GET /T` shows (harper-rest.md section 1.3). */
function describe(info: TableInfo): unknown {
  return {
    records: "./",
    name: info.table,
    database: info.database,
    attributes: info.attributes.map(({ name, type, isPrimaryKey, indexed }) => ({
      name,
      type,
      ...(isPrimaryKey ? { isPrimaryKey } : {}),
      ...(indexed ? { indexed } : {}),
    })),
  };
}

