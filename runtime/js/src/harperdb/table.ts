// `tables.X`: a class for each table, whose instances are records and whose static methods are its API
// (harper-resources.md sections 3 to 5 and 9).
import {
  op_kora_delete,
  op_kora_exists,
  op_kora_invalidate,
  op_kora_is_caching,
  op_kora_parse_target,
  op_kora_validate,
} from "ext:core/ops";
import type { TableInfo } from "ext:kora/harperdb/attributes.ts";
import { ambientContext, type Context } from "ext:kora/harperdb/context.ts";
import { ClientError, missingMethod } from "ext:kora/harperdb/errors.ts";
import {
  assertPermitted,
  readableOf,
  shown,
  unrestrict,
  type WriteVerb,
} from "ext:kora/harperdb/permission.ts";
import { BEGIN_UPDATE, EXISTS, LOAD, markHostStatics } from "ext:kora/harperdb/pipeline.ts";
import { readRecord } from "ext:kora/harperdb/record.ts";
import { addDerived } from "ext:kora/harperdb/relations.ts";
import { Resource } from "ext:kora/harperdb/resource.ts";
import type { SearchResult } from "ext:kora/harperdb/search.ts";
import { declareSource, readCached } from "ext:kora/harperdb/source.ts";
import { subscribeTo } from "ext:kora/harperdb/subscription.ts";
import {
  idOf,
  increment,
  inRecord,
  invalidData,
  isKey,
  required,
} from "ext:kora/harperdb/table_arguments.ts";
import { TablePermission } from "ext:kora/harperdb/table_permission.ts";
import { TableReads } from "ext:kora/harperdb/table_reads.ts";
import { addStatics, describe } from "ext:kora/harperdb/table_statics.ts";
import { contextOf, transact, withBlobs, Write, writeIn } from "ext:kora/harperdb/table_writes.ts";
import { type Id, RequestTarget, toTarget } from "ext:kora/harperdb/target.ts";
import { readNumber, settle, type Transaction } from "ext:kora/harperdb/transaction.ts";
import { addUndeclared } from "ext:kora/harperdb/undeclared.ts";
import { UpdatedRecord } from "ext:kora/harperdb/updated_record.ts";

export type { TableInfo } from "ext:kora/harperdb/attributes.ts";

/** The class of one table, the `number`th of the worker. */
export function makeTable(number: number, info: TableInfo): any {
  const { primaryKey } = info;
  const keyType = info.attributes.find((attribute) => attribute.isPrimaryKey)?.type;
  const textKeys = keyType === "ID" || keyType === "String";
  const permission = new TablePermission(number, info);

  class Table extends Resource {
    static override primaryKey = primaryKey;
    static tableNumber = number;
    /** Whether `get` of an instance answers the instance itself, as Harper's fourth version does. */
    static getReturnMutable?: boolean;
    static expirationMS?: number;

    /** The record that this is about, once somebody looks at it or changes it. */
    #tracked: UpdatedRecord | undefined;

    static override getResource(target: RequestTarget, context: Context): any {
      // A target that code made of a URL has the text of an id; only the table knows its type.
      if (!textKeys && typeof target.id === "string" && target.pathname !== "") {
        target.id = this.coerceId(target.id);
      }
      const resource = new this(target.id ?? null, context) as any;
      Resource.aim(resource, target, context);
      return resource;
    }

    static isInstance(value: any): boolean {
      return #tracked in value;
    }

    static override coerceId(text: string): Id {
      return textKeys ? text : op_kora_parse_target(`/${encodeURIComponent(text)}`, number)[0];
    }

    /** The fast way for code that reads `tables.X` itself: no instance, nobody to ask. */
    static override get(...args: any[]): any {
      const id = args[0];
      if (this === (Table as any) && args.length === 1 && isKey(id)) {
        const context = ambientContext();
        if (!context?.authorize) {
          try {
            return op_kora_is_caching(number)
              ? readCached(number, id, context)
              : Promise.resolve(readRecord(number, id, readNumber(context)));
          } catch (error) {
            return Promise.reject(error);
          }
        }
      }
      return super.get(...args);
    }

    /** Has this table be a cache of `source`; gives the table, to be extended. */
    static sourcedFrom(source: any, options?: any): any {
      declareSource(this, number, source, options);
      if (options?.expiration !== undefined) this.expirationMS = Number(options.expiration) * 1000;
      return this;
    }

    static get isCaching(): boolean {
      return op_kora_is_caching(number);
    }

    get #record(): UpdatedRecord {
      return this.#tracked ??= new UpdatedRecord(
        number,
        info,
        required(this.getId()),
        () => contextOf(this),
      );
    }

    /** What decides whether a stale record may be shown while it is loaded anew. */
    get #allowStale(): ((entry: any, id: Id) => any) | undefined {
      const hook = (this as any).allowStaleWhileRevalidate;
      return typeof hook === "function" ? hook.bind(this) : undefined;
    }

    [LOAD](): Promise<void> | undefined {
      if (!op_kora_is_caching(number) || !this.#isRecord || this.#tracked?.isLoaded) return undefined;
      const context = contextOf(this);
      const reading = readCached(number, this.getId() as Id, context, this.#allowStale);
      return reading.then((record) => this.#record.take(record));
    }

    /** Whether this is about one record. */
    get #isRecord(): boolean {
      const id = this.getId();
      return id !== null && id !== undefined && !this.isCollection;
    }

    #transact<T>(write: (transaction: Transaction) => T): T | Promise<T> {
      return transact(contextOf(this), write);
    }

    #write(kind: Write, id: Id | undefined, data: any): any {
      const context = contextOf(this);
      const write = (transaction: Transaction) => writeIn(transaction, context, number, kind, id, data);
      return withBlobs(context, data, () => transact(context, write));
    }

    [EXISTS](): boolean {
      if (!this.#isRecord) return true;
      return op_kora_exists(readNumber(this.getContext()), number, this.getId());
    }

    override doesExist(): boolean {
      return !this.#isRecord || this.#record.record !== undefined;
    }

    getUpdatedTime(): number | undefined {
      return this.#isRecord ? this.#record.record?.getUpdatedTime() : undefined;
    }

    getExpiresAt(): number | undefined {
      return this.#isRecord ? this.#record.record?.getExpiresAt() : undefined;
    }

    wasLoadedFromSource(): boolean | undefined {
      const isCached = op_kora_is_caching(number) && this.#isRecord;
      return isCached ? this.#record.record?.wasLoadedFromSource() : undefined;
    }

    /** Marks the record as no longer good: a cache asks its source for it at the next read. */
    invalidate(first?: any): any {
      const target: RequestTarget = first === undefined || first === null
        ? this.ownTarget
        : toTarget(first);
      permission.check(this, target, "update");
      return settle(
        this.#transact((transaction) =>
          op_kora_invalidate(transaction.number, number, required(target.id))
        ),
        () => undefined,
      );
    }

    getRecord(): any {
      return this.#isRecord ? this.#record.record : undefined;
    }

    getChanges(): any {
      return this.#tracked?.changes;
    }

    /** Resolves with this, its record read. */
    ensureLoaded(): Promise<this> {
      const loading = this[LOAD]();
      if (loading) return loading.then(() => this);
      if (this.#isRecord) void this.#record.record;
      return Promise.resolve(this);
    }

    toJSON(): any {
      return this.#isRecord ? this.#record.current() ?? {} : {};
    }

    getProperty(name: string): any {
      return this.#isRecord ? this.#record.get(name) : undefined;
    }

    set(name: string, value: unknown): void {
      if (this.#isRecord) {
        this.#record.set(name, value);
        this.#record.touched();
        return;
      }
      // About no record: a property of the instance like any other.
      const property = { value, writable: true, enumerable: true, configurable: true };
      Object.defineProperty(this, name, property);
    }

    deleteProperty(name: string): void {
      this.#record.remove(name);
      this.#record.touched();
    }

    override addTo(name: string, by: number): void {
      this.#record.add(name, by);
      // An increment is meant to be stored: nobody adds to what is thrown away.
      this.#record.beginUpdate();
    }

    override subtractFrom(name: string, by: number): void {
      if (typeof by !== "number" && typeof by !== "bigint") {
        throw new ClientError("Can not add or subtract a non-numeric value");
      }
      this.addTo(name, -by);
    }

    /** Checks a record as a write of it would: 400 with all that does not fit. */
    validate(record: any, patch = false): void {
      op_kora_validate(number, record, patch);
    }

    lock(): never {
      throw new ClientError("Records can not be locked: a transaction that conflicts runs again", 501);
    }

    [BEGIN_UPDATE](): void {
      if (this.#isRecord) this.#record.beginUpdate();
    }

    /** Puts what was changed into the transaction; outside of one, stores it. */
    save(): Promise<void> {
      return this.#tracked?.save() ?? Promise.resolve();
    }

    /**
     * `update()`, `update(changes)` on an instance, and as the pipeline calls it: `(changes, target)`
     * or `(target, changes)`. What is changed from here on is saved when the transaction ends.
     */
    update(first?: any, second?: any): any {
      const { target, data } = this.#arguments(first, second);
      permission.check(this, target, "update");
      if (!this.#isRecord) throw new ClientError("A primary key is required to update a record");
      this.#record.beginUpdate();
      if (data !== undefined && data !== null) {
        if (typeof data !== "object") throw invalidData(data);
        for (const property of Object.keys(data)) {
          const by = increment(data[property]);
          if (by !== undefined) this.#record.add(property, by);
          else this.#record.set(property, data[property]);
        }
      }
      return this;
    }

    get(first?: any): any {
      // `get("name")` reads a property of the loaded record.
      if (typeof first === "string") return this.getProperty(first);
      if (first !== null && typeof first === "object" && !(first instanceof RequestTarget)) {
        return this.#getTarget(toTarget(first));
      }
      return this.#getTarget(first ?? this.ownTarget);
    }

    #getTarget(target: RequestTarget): any {
      const context = this.getContext();
      permission.check(this, target, "read");
      if (target.asksForRecords) return this.search(target);
      const id = target.id;
      if (id === null || id === undefined) return describe(info);
      const mutable = Boolean((this.constructor as any).getReturnMutable) && id === this.getId();
      const own = Boolean(this.#tracked?.isInUse || mutable) && id === this.getId();
      const loading = own ? this[LOAD]() : undefined;
      if (loading) return loading.then(() => this.#getTarget(target));
      // What was assigned to an instance without a record makes one only when it is updated.
      const exists = !own || this.#record.isUpdated || this.#record.record !== undefined;
      const readable = readableOf(target);
      if (readable && target.property !== undefined) {
        assertPermitted(readable.includes(target.property), context?.user);
      }
      if (!exists) return undefined;
      if (own) {
        const record = this.#record.current();
        return reads.show(record, target, context, () => {
          if (!readable) return mutable ? this : record;
          // What code sees of the loaded instance is whole: what is answered is a copy.
          return shown({ ...record }, readable);
        });
      }
      const record = op_kora_is_caching(number)
        ? readCached(number, id, context, this.#allowStale)
        : readRecord(number, id, readNumber(context));
      return settle<any, any>(
        record,
        (record) => reads.show(record, target, context, () => shown(record, readable)),
      );
    }

    search(first?: any, second?: any): SearchResult {
      // QUERY hands over (data, target) or (target, data); both are conditions of one search.
      const targetFirst = first instanceof RequestTarget;
      const target: any = targetFirst ? first : second ?? this.ownTarget;
      permission.check(this, target, "read");
      return reads.search(target, targetFirst ? second : first, this.getContext());
    }

    put(first: any, second?: any): any {
      const { target, data } = this.#body(first, second, "put");
      if (Array.isArray(data)) {
        const context = contextOf(this);
        const writeAll = (transaction: Transaction) => {
          for (const record of data) {
            writeIn(transaction, context, number, Write.Put, record[primaryKey], record);
          }
        };
        return withBlobs(context, data, () => transact(context, writeAll));
      }
      return settle(this.#write(Write.Put, idOf(target, data, primaryKey), data), () => undefined);
    }

    patch(first: any, second?: any): any {
      const { target, data } = this.#body(first, second, "patch");
      return settle(this.#write(Write.Patch, idOf(target, data, primaryKey), data), () => undefined);
    }

    override post(first: any, second?: any): any {
      const { target, data } = this.#body(first, second, "post");
      const Class = this.constructor as any;
      if (inRecord(target) !== undefined) throw missingMethod(Class.name, "post");
      const created = Class.loadAsInstance === false
        ? this.create(target, data)
        : Class.create(target, data, this.getContext());
      return settle(created, (created: any) => created?.[primaryKey] ?? created);
    }

    create(first: any, second?: any): any {
      const { target, data } = this.#body(first, second, "create");
      const id = idOf(target, data, primaryKey);
      const context = this.getContext();
      const marks = (this.constructor as any).loadAsInstance !== false;
      return settle(this.#write(Write.Create, id, data), (written: Id) => {
        if (context && marks) {
          context.createdResource = true;
          context.newLocation = written;
        }
        return { ...data, [primaryKey]: written };
      });
    }

    delete(first?: any): any {
      const target: RequestTarget = first === undefined || first === null
        ? this.ownTarget
        : toTarget(first);
      permission.check(this, target, "delete");
      return this.#transact((transaction) => {
        if (!target.asksForRecords) {
          op_kora_delete(transaction.number, number, required(target.id));
          return true;
        }
        const withheld = relationships.restriction(target);
        if (withheld.attributes || withheld.permission) {
          // What is deleted must not tell of what is withheld; deleting it needs its whole records.
          for (const _ of this.search(target)) break;
          unrestrict(target);
        }
        for (const record of reads.search(target, undefined, this.getContext())) {
          op_kora_delete(transaction.number, number, record[primaryKey]);
        }
        return true;
      });
    }

    publish(first: any, second?: any): any {
      const { target, data } = this.#arguments(first, second);
      permission.checkWrite(this, target, data, "publish");
      return settle(this.#write(Write.Publish, target.id, data ?? null), () => undefined);
    }

    override subscribe(first?: any): any {
      const target: any = first ?? this.ownTarget;
      if (target instanceof RequestTarget) permission.check(this, target, "read");
      const readable = readableOf(target) ?? readableOf(this.ownTarget);
      return subscribeTo(number, target, readable, this.getContext());
    }

    override allowRead(user: any, target?: any, _context?: unknown): any {
      return permission.allowRead(user, target ?? this.ownTarget);
    }

    override allowCreate(user: any, data?: any, context?: unknown): any {
      // Making something within a record that is there changes that record.
      if (this.#isRecord && this.doesExist()) return this.allowUpdate(user, data, context);
      return permission.allowCreate(user, data);
    }

    override allowUpdate(user: any, data?: any, context?: any): any {
      const replaces = () => context?.method === "PUT" && this.doesExist();
      return permission.allowUpdate(user, data, () => replaces() ? this.getRecord() : undefined);
    }

    override allowDelete(user: any, target?: any, _context?: unknown): any {
      return permission.allowDelete(user, target ?? this.ownTarget);
    }

    /** The argument orders: `(data)`, `(data, target)` and `(target, data)`. */
    #arguments(first: any, second: any): { target: RequestTarget; data: any } {
      const targetFirst = first instanceof RequestTarget && !(second instanceof URLSearchParams);
      if (targetFirst) return { target: first, data: second };
      return { target: second instanceof RequestTarget ? second : this.ownTarget, data: first };
    }

    #body(first: any, second: any, verb: WriteVerb): { target: RequestTarget; data: any } {
      const { target, data } = this.#arguments(first, second);
      if (data === null || typeof data !== "object") throw invalidData(data);
      permission.checkWrite(this, target, data, verb);
      return { target, data };
    }
  }

  addStatics(Table, number, info);
  addUndeclared(Table, Table.isInstance);
  for (const { name } of info.attributes) {
    if (name in Resource.prototype || Object.hasOwn(Table.prototype, name)) continue;
    Object.defineProperty(Table.prototype, name, {
      get(this: any) {
        return this.getProperty(name);
      },
      set(this: any, value: unknown) {
        this.set(name, value);
      },
      configurable: true,
    });
  }
  Object.defineProperty(Table, "name", { value: info.table });
  const relationships = addDerived(Table, number);
  const reads = new TableReads(number, info, relationships);
  markHostStatics(Table);
  return Table;
}
