// `tables.X`: a class for each table, whose instances are records and whose static methods are its API
// (harper-resources.md sections 3 to 5 and 9).
import {
  op_kora_delete,
  op_kora_exists,
  op_kora_explain,
  op_kora_invalidate,
  op_kora_is_caching,
  op_kora_parse_target,
  op_kora_search,
  op_kora_subscribe,
  op_kora_validate,
  op_kora_write,
} from "ext:core/ops";
import type { TableInfo } from "ext:kora/harperdb/attributes.ts";
import { unsaved } from "ext:kora/harperdb/blob.ts";
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
import { BEGIN_UPDATE, EXISTS, LOAD, markHostStatics } from "ext:kora/harperdb/pipeline.ts";
import { readRecord, TableRecord } from "ext:kora/harperdb/record.ts";
import { addDerived } from "ext:kora/harperdb/relations.ts";
import { Resource } from "ext:kora/harperdb/resource.ts";
import { SearchResult } from "ext:kora/harperdb/search.ts";
import { declareSource, readCached } from "ext:kora/harperdb/source.ts";
import { awaitable, Subscription } from "ext:kora/harperdb/subscription.ts";
import {
  columns,
  idOf,
  increment,
  inRecord,
  invalidData,
  isKey,
  queryOf,
  required,
} from "ext:kora/harperdb/table_arguments.ts";
import { addStatics, describe } from "ext:kora/harperdb/table_statics.ts";
import { eventFilter, type Id, queryOptions, RequestTarget, toTarget } from "ext:kora/harperdb/target.ts";
import { TrackedRecord } from "ext:kora/harperdb/tracked.ts";
import {
  openTransaction,
  type Pending,
  readNumber,
  settle,
  type Transaction,
  transactional,
} from "ext:kora/harperdb/transaction.ts";
import { addUndeclared } from "ext:kora/harperdb/undeclared.ts";

export type { TableInfo } from "ext:kora/harperdb/attributes.ts";

/** The kinds of `op_kora_write`. */
enum Write {
  Put = 0,
  Patch = 1,
  Create = 2,
  Publish = 3,
}

/** The class of one table, the `number`th of the worker. */
export function makeTable(number: number, info: TableInfo): any {
  const { primaryKey } = info;
  const keyType = info.attributes.find((attribute) => attribute.isPrimaryKey)?.type;
  const textKeys = keyType === "ID" || keyType === "String";

  class Table extends Resource implements Pending {
    static override primaryKey = primaryKey;
    static tableNumber = number;
    /** Whether `get` of an instance answers the instance itself, as Harper's fourth version does. */
    static getReturnMutable?: boolean;
    static expirationMS?: number;

    #tracked: TrackedRecord | undefined;
    /** Whether changes are stored: `update` was called. */
    #isUpdated = false;
    /** The transaction that saves this instance at its end. */
    #updating: Transaction | undefined;
    #saveScheduled = false;

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

    get #record(): TrackedRecord {
      return this.#tracked ??= new TrackedRecord(
        number,
        info,
        required(this.getId()),
        () => this.getContext() ?? ambientContext(),
      );
    }

    /** What decides whether a stale record may be shown while it is loaded anew. */
    get #allowStale(): ((entry: any, id: Id) => any) | undefined {
      const hook = (this as any).allowStaleWhileRevalidate;
      return typeof hook === "function" ? hook.bind(this) : undefined;
    }

    [LOAD](): Promise<void> | undefined {
      if (!op_kora_is_caching(number) || !this.#isRecord || this.#tracked?.isLoaded) return undefined;
      const context = this.getContext() ?? ambientContext();
      const reading = readCached(number, this.getId() as Id, context, this.#allowStale);
      return reading.then((record) => this.#record.take(record));
    }

    /** Whether this is about one record. */
    get #isRecord(): boolean {
      const id = this.getId();
      return id !== null && id !== undefined && !this.isCollection;
    }

    #transact<T>(write: (transaction: Transaction) => T): T | Promise<T> {
      const context = this.getContext() ?? ambientContext() ?? new Context();
      return transactional(context, () => write(context.transaction!));
    }

    #writeIn(transaction: Transaction, kind: Write, id: Id | null | undefined, data: any): any {
      const context = this.getContext() ?? ambientContext();
      const expires = context?.expiresAt ?? NaN;
      return op_kora_write(transaction.number, number, kind, id ?? null, data, expires);
    }

    #write(kind: Write, id: Id | undefined, data: any): any {
      return this.#withBlobs(
        data,
        () => this.#transact((transaction) => this.#writeIn(transaction, kind, id, data)),
      );
    }

    /** Writes when the blobs in `data` are saved: a record is written with its blobs or not at all. */
    #withBlobs(data: any, write: () => any): any {
      const waiting = unsaved(data);
      if (!waiting) return write();
      const context = this.getContext() ?? ambientContext() ?? new Context();
      return transactional<any>(context, () => waiting.then(write));
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
      this.#check(target, "update");
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

    /** Whether the record has a property, for the accessors of undeclared ones. */
    hasProperty(name: string): boolean {
      return this.#isRecord && this.#record.has(name);
    }

    set(name: string, value: unknown): void {
      if (this.#isRecord) {
        this.#record.set(name, value);
        this.#touched();
        return;
      }
      // About no record: a property of the instance like any other.
      const property = { value, writable: true, enumerable: true, configurable: true };
      Object.defineProperty(this, name, property);
    }

    deleteProperty(name: string): void {
      this.#record.remove(name);
      this.#touched();
    }

    override addTo(name: string, by: number): void {
      this.#record.add(name, by);
      // An increment is meant to be stored: nobody adds to what is thrown away.
      this.#beginUpdate();
      this.#touched();
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
      if (this.#isRecord) this.#beginUpdate();
    }

    #beginUpdate(): void {
      this.#isUpdated = true;
      const transaction = openTransaction(this.getContext() ?? ambientContext());
      if (!transaction) {
        this.#updating = undefined;
        this.#scheduleSave();
      } else if (this.#updating !== transaction) {
        this.#updating = transaction;
        transaction.add(this);
      }
    }

    /** Something has changed: what is updated outside of a transaction is saved by itself. */
    #touched(): void {
      if (this.#isUpdated && !this.#updating?.open) this.#beginUpdate();
    }

    /** After the code that is running now has made all its changes. */
    #scheduleSave(): void {
      if (this.#saveScheduled) return;
      this.#saveScheduled = true;
      queueMicrotask(() => {
        this.#saveScheduled = false;
        // What fails here fails for nobody who waits: it is logged as any rejected promise is.
        this.save();
      });
    }

    saveInto(transaction: Transaction): void {
      const change = this.#tracked?.change;
      if (!change) return;
      const kind = change.whole ? Write.Put : Write.Patch;
      this.#writeIn(transaction, kind, this.getId() as Id, change.value);
      this.#tracked!.saved();
    }

    /** Puts what was changed into the transaction; outside of one, stores it. */
    save(): Promise<void> {
      try {
        return Promise.resolve(this.#transact((transaction) => this.saveInto(transaction)));
      } catch (error) {
        return Promise.reject(error);
      }
    }

    /**
     * `update()`, `update(changes)` on an instance, and as the pipeline calls it: `(changes, target)`
     * or `(target, changes)`. What is changed from here on is saved when the transaction ends.
     */
    update(first?: any, second?: any): any {
      const { target, data } = this.#arguments(first, second);
      this.#check(target, "update");
      if (!this.#isRecord) throw new ClientError("A primary key is required to update a record");
      this.#beginUpdate();
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
      this.#check(target, "read");
      if (target.asksForRecords) return this.search(target);
      const id = target.id;
      if (id === null || id === undefined) return describe(info);
      const mutable = Boolean((this.constructor as any).getReturnMutable) && id === this.getId();
      const own = (this.#tracked !== undefined || mutable) && id === this.getId();
      const loading = own ? this[LOAD]() : undefined;
      if (loading) return loading.then(() => this.#getTarget(target));
      // What was assigned to an instance without a record makes one only when it is updated.
      const exists = !own || this.#isUpdated || this.#record.record !== undefined;
      const readable = readableOf(target);
      if (readable && target.property !== undefined) {
        assertPermitted(readable.includes(target.property), context?.user);
      }
      if (!exists) return undefined;
      if (own) return this.#show(this.#record.current(), target, { own, mutable });
      const record = op_kora_is_caching(number)
        ? readCached(number, id, context, this.#allowStale)
        : readRecord(number, id, readNumber(context));
      return settle<any, any>(record, (record) => this.#show(record, target, { own, mutable }));
    }

    /** The record as the target wants it; `own` is the one of this instance. */
    #show(record: any, target: RequestTarget, { own, mutable }: { own: boolean; mutable: boolean }): any {
      const context = this.getContext();
      const readable = readableOf(target);
      (target as any).loadedFromSource = context?.loadedFromSource;
      if (record === undefined) return undefined;
      const version = TableRecord.versionOf(record);
      if (context && !(context.lastModified! >= version)) context.lastModified = version;
      if (target.property !== undefined) {
        if (!relationships.restricts(target, target.property)) return record[target.property];
        return this.#selected(target, "", { select: target.property });
      }
      const { search, options } = target.query();
      if (search !== "" || options?.select || relationships.restricts(target)) {
        return this.#selected(target, search, options);
      }
      if (mutable && !readable) return this;
      // What code sees of the loaded instance is whole: what is answered is a copy.
      return readable && own ? shown({ ...record }, readable) : shown(record, readable);
    }

    /** One record with a `select` of its own. */
    #selected(target: RequestTarget, search: string, options: any): unknown {
      const one = { ...options, record: target.id, ...relationships.restriction(target) };
      const found = op_kora_search(readNumber(this.getContext()), number, search, one);
      const rows = new SearchResult(found, undefined, number);
      for (const row of rows) return row;
      return undefined;
    }

    search(first?: any, second?: any): SearchResult {
      const target: any = first instanceof RequestTarget ? first : second ?? this.ownTarget;
      this.#check(target, "read");
      return this.#search(first, second);
    }

    #search(first?: any, second?: any): SearchResult {
      // QUERY hands over (data, target) or (target, data); both are conditions of one search.
      const targetFirst = first instanceof RequestTarget;
      const target: any = targetFirst ? first : second ?? this.ownTarget;
      const data: any = targetFirst ? second : first;
      const context = this.getContext();
      const asked = target instanceof RequestTarget
        ? target.query()
        : { search: "", options: queryOptions(target) };
      const given = data instanceof RequestTarget ? data.query().options : data && queryOf(data);
      const options: any = { ...asked.options, ...given, ...relationships.restriction(target) };
      if (target.id !== null && target.id !== undefined && target.isCollection) {
        options.idPrefix = target.id;
      }
      const found = op_kora_search(readNumber(context), number, asked.search, options);
      if (options.explain) return op_kora_explain(found);
      return new SearchResult(found, () => columns(info, options.select), number);
    }

    put(first: any, second?: any): any {
      const { target, data } = this.#body(first, second, "put");
      if (Array.isArray(data)) {
        return this.#withBlobs(data, () =>
          this.#transact((transaction) => {
            for (const record of data) {
              this.#writeIn(transaction, Write.Put, record[primaryKey], record);
            }
          }));
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
      this.#check(target, "delete");
      return this.#transact((transaction) => {
        if (!target.asksForRecords) {
          op_kora_delete(transaction.number, number, required(target.id));
          return true;
        }
        const { attributes, permission } = relationships.restriction(target);
        if (attributes || permission) {
          // What is deleted must not tell of what is withheld; deleting it needs its whole records.
          for (const _ of this.search(target)) break;
          unrestrict(target);
        }
        for (const record of this.#search(target)) {
          op_kora_delete(transaction.number, number, record[primaryKey]);
        }
        return true;
      });
    }

    publish(first: any, second?: any): any {
      const { target, data } = this.#arguments(first, second);
      this.#checkWrite(target, data, "publish");
      return settle(this.#write(Write.Publish, target.id, data ?? null), () => undefined);
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
        onlyChildren: target.onlyChildren,
        resume: target.resume,
        pattern: target.pattern,
        ...eventFilter(target),
        attributes: readableOf(target) ?? readableOf(this.ownTarget),
      };
      const subscription = new Subscription(
        op_kora_subscribe(number, id ?? null, options),
        primitive ? undefined : target,
        context,
      );
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

    #check(target: any, access: Exclude<Access, "insert">): void {
      const permission = this.#permission(target);
      if (!permission) return;
      const user = this.getContext()?.user;
      assertPermitted(this.#rights(permission, access).may, user);
      if (access !== "update") {
        restrict(target, this.#rights(permission, "read").attributes, permission);
      }
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
        const current = looks ? readRecord(number, id, readNumber(context)) : undefined;
        const changes = isWithin ? id !== undefined : current !== undefined;
        const { may, attributes } = this.#rights(permission, changes ? "update" : "insert");
        assertPermitted(may && covers(attributes, record, primaryKey), context?.user);
        if (verb === "put") preserve(attributes, record, current);
      }
    }

    override allowRead(user: any, target?: any, _context?: unknown): any {
      const permission = user?.role?.permission;
      const { may, attributes } = this.#rights(permission, "read");
      if (may) restrict(target ?? this.ownTarget, attributes, permission);
      return may;
    }

    override allowCreate(user: any, data?: any, context?: unknown): any {
      // Making something within a record that is there changes that record.
      if (this.#isRecord && this.doesExist()) return this.allowUpdate(user, data, context);
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
      const permission = user?.role?.permission;
      const { may } = this.#rights(permission, "delete");
      const read = this.#rights(permission, "read");
      if (may) restrict(target ?? this.ownTarget, read.attributes, permission);
      return may;
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
      this.#checkWrite(target, data, verb);
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
  markHostStatics(Table);
  return Table;
}
