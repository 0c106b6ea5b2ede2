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
import { AccessViolation, ClientError, missingMethod } from "ext:kora/harperdb/errors.ts";
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

function superUser(context: Context | undefined): boolean {
  return Boolean(context?.user?.role.permission.super_user);
}

/** In target mode tables check `target.checkPermission` themselves (section 11). */
function checkPermission(target: RequestTarget, context: Context | undefined): void {
  if (target.checkPermission && !superUser(context)) throw new AccessViolation(context?.user);
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
      checkPermission(target, context);
      if (first !== null && typeof first === "object" && !(first instanceof RequestTarget)) {
        return this.search(first);
      }
      if (target.isCollection || isQuery(target)) return this.search(target);
      const id = target.id;
      if (id === null || id === undefined) return describe(info);
      const own = this.#loaded && id === this.getId();
      const record: any = own ? this.#current() : read(number, id, context);
      if (record === undefined) return undefined;
      if (target.property !== undefined) return record[target.property];
      if (context && context.lastModified === undefined) {
        context.lastModified = TableRecord.versionOf(record);
      }
      if (target.search || target.select) return project(number, target, primaryKey, context);
      return record;
    }

    search(first?: any, second?: any): SearchResult {
      // QUERY hands over (data, target) or (target, data); both are conditions of one search.
      const target: any = first instanceof RequestTarget ? first : second ?? this.ownTarget;
      const context = this.getContext();
      checkPermission(target, context);
      const options = {
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
      const { target, data } = this.#body(first, second);
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
      const { target, data } = this.#body(first, second);
      return settle(this.#write(Write.Patch, idOf(target, data, primaryKey), data), () => undefined);
    }

    post(first: any, second?: any): any {
      const { target, data } = this.#body(first, second);
      if (!target.isCollection && target.id !== null && target.id !== undefined) {
        throw missingMethod(info.table, "post");
      }
      return settle(this.create(first, second), (created: any) => created[primaryKey]);
    }

    create(first: any, second?: any): any {
      const { target, data } = this.#body(first, second);
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
      checkPermission(target, this.getContext());
      return this.#transact((transaction) => {
        if (!target.isCollection && !isQuery(target)) {
          op_kora_delete(transaction.number, number, required(target.id));
          return true;
        }
        for (const record of this.search(target).asArray) {
          op_kora_delete(transaction.number, number, record[primaryKey]);
        }
        return true;
      });
    }

    publish(first: any, second?: any): any {
      const { target, data } = this.#body(first, second);
      return settle(this.#write(Write.Publish, target.id, data), () => undefined);
    }

    override subscribe(first?: any): any {
      const target: any = first ?? this.ownTarget;
      const context = this.getContext();
      if (target instanceof RequestTarget) checkPermission(target, context);
      const primitive = target === null || typeof target !== "object";
      const id = primitive ? target : target.id;
      const options = primitive ? {} : {
        isCollection: Boolean(target.isCollection ?? target.includeDescendants),
        omitCurrent: target.omitCurrent,
        previousCount: target.previousCount,
        startTime: target.startTime,
        onlyChildren: target.onlyChildren,
        resume: target.resume,
        pattern: target.pattern,
        conditions: target.conditions,
        operator: target.operator,
      };
      const subscription = new Subscription(op_kora_subscribe(number, id ?? null, options));
      (context ?? ambientContext())?.onClose?.push(() => subscription.close());
      const listener = primitive ? undefined : target.listener;
      if (typeof listener === "function") subscription.on("data", listener);
      return awaitable(subscription);
    }

    /** The two argument orders: `(data)`, `(data, target)` and `(target, data)`. */
    #body(first: any, second: any): { target: RequestTarget; data: any } {
      const targetFirst = first instanceof RequestTarget && !(second instanceof URLSearchParams);
      const target = targetFirst ? first : second instanceof RequestTarget ? second : this.ownTarget;
      const data = targetFirst ? second : first;
      checkPermission(target, this.getContext());
      if (data === null || typeof data !== "object") {
        throw new ClientError(`Invalid argument for data, must be an object, but got ${data}`);
      }
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
  primaryKey: string,
  context: Context | undefined,
): unknown {
  const conditions = [{ attribute: primaryKey, value: target.id }];
  const options = { ...queryOptions(target), conditions };
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

