// What a component imports from `harperdb` or `harper`, and the same names as globals.
// A script on purpose, without import or export: so its modules are ambient and applications can add
// their tables to `Tables` and `Databases` (which is what `kora types` writes).

declare module 'harperdb' {
  /** A primary key. */
  export type Id = string | number | bigint | (string | number | null)[];

  /** A record as it is stored. */
  export type RecordObject = Record<string, any>;

  /** The user of a request; `undefined` where nobody is logged in. */
  export interface User {
    username: string;
    active?: boolean;
    role: { id?: string; role?: string; permission: Record<string, any> };
  }

  /** The session of a browser, kept between requests. */
  export interface Session {
    user?: string;
    update(changes: Record<string, any>): Promise<void>;
    delete(id: string): Promise<void>;
    [name: string]: any;
  }

  /** The request behind a call, or the surroundings of a call by code. */
  export interface Context {
    user?: User;
    session?: Session;
    method?: string;
    /** Path and query, with the leading `/`. */
    url?: string;
    pathname?: string;
    protocol?: string;
    host?: string;
    hostname?: string;
    ip?: string;
    headers?: Headers;
    /** The decoded body. */
    data?: any;
    /** What the answer carries beside the body. */
    response?: { status?: number; headers: Headers };
    responseHeaders?: Headers;
    /** Set to true for the status 201. */
    createdResource?: boolean;
    /** The `Location` of the answer. */
    newLocation?: string;
    /** Until when records that this request writes are kept, in milliseconds since the epoch. */
    expiresAt?: number;
    lastModified?: number;
    transaction?: any;
    login?(username: string, password: string): Promise<void>;
    [name: string]: any;
  }

  /** The context of a caching source's methods. */
  export interface SourceContext extends Context {
    requestContext?: Context;
    replacingRecord?: RecordObject;
    replacingVersion?: number;
    /** Set to true so that what is returned is not kept. */
    noCacheStore?: boolean;
  }

  export type Comparator =
    | 'equals' | 'not_equal' | 'greater_than' | 'greater_than_equal' | 'less_than'
    | 'less_than_equal' | 'starts_with' | 'ends_with' | 'contains' | 'between' | 'in' | 'eq' | 'ne'
    | 'gt' | 'ge' | 'lt' | 'le' | 'sw' | 'ew' | 'ct' | (string & {});

  /** One condition, or a group of them. */
  export type Condition<R = RecordObject> =
    | { attribute: (keyof R & string) | (string & {}) | string[]; comparator?: Comparator; value: any }
    | { operator: 'and' | 'or'; conditions: Condition<R>[] };

  export interface Sort<R = RecordObject> {
    attribute: (keyof R & string) | (string & {}) | string[];
    descending?: boolean;
    next?: Sort<R>;
    /** The vector to search near. */
    target?: number[];
  }

  /** What to find, in the form of objects. */
  export interface Query<R = RecordObject> {
    id?: Id | null;
    conditions?: Condition<R> | Condition<R>[];
    operator?: 'and' | 'or';
    sort?: Sort<R>;
    select?: any;
    limit?: number;
    offset?: number;
    explain?: boolean;
    reverse?: boolean;
    allowFullScan?: boolean;
    enforceExecutionOrder?: boolean;
    [name: string]: any;
  }

  /** What a URL names: a record, a collection or a property, with the query that came with it. */
  export class RequestTarget extends URLSearchParams {
    constructor(url?: string);
    id?: any;
    isCollection?: boolean;
    property?: string;
    pathname: string;
    search?: string;
    url: string;
    conditions?: Condition[];
    operator?: 'and' | 'or';
    /** A `Sort`, in the place of the method that it hides. */
    sort: any;
    select?: any;
    limit?: number;
    offset?: number;
    /** Set to `false` to skip the check of permissions of the table. */
    checkPermission?: any;
    loadedFromSource?: boolean;
    /** Parameters of the path of a class: `static path = '/widget/:id'`. */
    [name: string]: any;
  }

  export type RequestTargetOrId = RequestTarget | Id | Query | null;

  export interface SubscriptionRequest {
    id?: Id | null;
    isCollection?: boolean;
    onlyChildren?: boolean;
    /** Begin with what happened after this time, in milliseconds since the epoch. */
    startTime?: number;
    /** Begin with so many earlier events. */
    previousCount?: number;
    omitCurrent?: boolean;
    listener?(event: ChangeEvent): void;
    [name: string]: any;
  }

  /** One change of a table. */
  export interface ChangeEvent<R = any> {
    id: any;
    type: 'put' | 'patch' | 'delete' | 'message' | 'invalidate' | (string & {});
    value: R;
    version: number;
    localTime: number;
    timestamp?: number;
  }

  /** A queue of events that is read by `for await`. */
  export class IterableEventQueue<E = any> implements AsyncIterable<E> {
    constructor();
    send(event: E): void;
    on(event: 'data' | 'close' | (string & {}), listener: (...args: any[]) => void): this;
    emit(event: string, ...args: any[]): boolean;
    [Symbol.asyncIterator](): AsyncIterator<E>;
  }

  /** The events of a subscription; `end()` gives it up. */
  export interface Subscription<R = any> extends IterableEventQueue<ChangeEvent<R>> {
    end(): void;
  }

  /** A sequence that is read lazily, with `for` or `for await`. */
  export interface ExtendedIterable<T> extends AsyncIterable<T>, Iterable<T> {
    map<U>(callback: (item: T, index: number) => U): ExtendedIterable<Awaited<U>>;
    filter(callback: (item: T, index: number) => any): ExtendedIterable<T>;
    flatMap<U>(callback: (item: T) => U | Iterable<U>): ExtendedIterable<U>;
    concat<U>(other: Iterable<U> | AsyncIterable<U>): ExtendedIterable<T | U>;
    slice(start: number, end?: number): ExtendedIterable<T>;
    forEach(callback: (item: T) => void): Promise<void> | void;
    asArray: T[] | Promise<T[]>;
  }

  /** One attribute of a table. */
  export interface Attribute {
    name: string;
    type?: string;
    isPrimaryKey?: boolean;
    indexed?: boolean;
    nullable?: boolean;
    [name: string]: any;
  }

  /**
   * The base of everything that has a path. A class that is exported from a module of `jsResource`
   * answers below its name.
   */
  export class Resource<R = any> {
    constructor(id?: any, source?: any);

    /** `false` hands `(target, data)` to the methods and loads no record before they run. */
    static loadAsInstance?: boolean;
    /** The path of the class, instead of its name; may have parameters: `/widget/:id/*rest`. */
    static path?: string;
    /** Whether the rest of the URL is the id, query and all. */
    static directURLMapping?: boolean;
    static primaryKey?: string;
    /** What the class is for; shown in OpenAPI. */
    static description?: string;
    /** JSON schemas of the class's properties, by name; shown in OpenAPI. */
    static properties?: Record<string, any>;
    /** JSON schemas of what the methods answer, by method; shown in OpenAPI. */
    static outputSchemas?: Record<string, any>;
    /** Leave the class out of OpenAPI. */
    static hidden?: boolean;

    static get(target: any, context?: any): any;
    static put(target: any, data?: any, context?: any): any;
    static patch(target: any, data?: any, context?: any): any;
    static post(target: any, data?: any, context?: any): any;
    static create(target: any, data?: any, context?: any): any;
    static update(target: any, data?: any, context?: any): any;
    static delete(target: any, context?: any): any;
    static query(target: any, data?: any, context?: any): any;
    static search(target: any, context?: any): any;
    static publish(target: any, data?: any, context?: any): any;
    static subscribe(target: any, context?: any): any;
    static connect(target: any, incoming?: any, context?: any): any;
    static invalidate(target: any, context?: any): any;
    static getNewId(): any;
    static coerceId(text: string): any;

    /** The id that the request names. */
    getId(): any;
    /** The request, or the context that was handed over. */
    getContext(): Context;
    getCurrentUser(): User | undefined;
    /** Whether the request is for a collection. */
    readonly isCollection: boolean;
    doesExist(): boolean;

    get?(...args: any[]): any;
    put?(...args: any[]): any;
    patch?(...args: any[]): any;
    delete?(...args: any[]): any;
    search?(...args: any[]): any;
    create?(...args: any[]): any;
    publish?(...args: any[]): any;
    post(...args: any[]): any;
    /** A stream of events for subscribers. */
    subscribe(...args: any[]): any;
    /** A stream of messages for a WebSocket or an event stream. */
    connect(...args: any[]): any;

    /** Whether `user` may read. A super user may, unless this is overridden. */
    allowRead(user: any, target?: any, context?: any): any;
    allowUpdate(user: any, data?: any, context?: any): any;
    allowCreate(user: any, data?: any, context?: any): any;
    allowDelete(user: any, target?: any, context?: any): any;
  }

  /** One record of a table, in a class that extends the table. */
  export interface TableInstance<R = any> extends Resource<R> {
    get(...args: any[]): any;
    put(...args: any[]): any;
    patch(...args: any[]): any;
    delete(...args: any[]): any;
    search(...args: any[]): any;
    publish(...args: any[]): any;
    /** Begins a change: what is assigned to properties from here on is saved. */
    update(changes?: any): any;
    set<K extends keyof R & string>(name: K, value: R[K]): void;
    getProperty<K extends keyof R & string>(name: K): R[K];
    deleteProperty(name: string): void;
    /** Adds to a number, without a conflict with others who do. */
    addTo(name: keyof R & string, amount: number): void;
    subtractFrom(name: keyof R & string, amount: number): void;
    invalidate(): void;
    getUpdatedTime(): number;
    getExpiresAt(): number | undefined;
    getChanges(): Partial<R>;
    wasLoadedFromSource(): boolean | undefined;
    toJSON(): any;
  }

  /** A record that was read: its properties, and when it changed. */
  export type Found<R> = R & { getUpdatedTime(): number; getExpiresAt(): number | undefined };

  /** A table: its records by id, by query and as events. Extend it to change what its path does. */
  export interface Table<R = any, K = any> {
    new (...args: any[]): TableInstance<R> & R;
    readonly tableName: string;
    readonly databaseName: string;
    readonly primaryKey: string;
    readonly attributes: Attribute[];
    loadAsInstance?: boolean;
    path?: string;
    description?: string;
    properties?: Record<string, any>;
    outputSchemas?: Record<string, any>;
    hidden?: boolean;

    /** The record with this id, or `undefined`. */
    get(id: K, context?: any): Promise<Found<R> | undefined>;
    /** The records that match. */
    get(query: Query<R> | RequestTarget, context?: any): any;
    /** The records that match, read lazily. */
    search(query?: Query<R> | Condition<R>[] | RequestTarget, context?: any): ExtendedIterable<Found<R>>;
    query(...args: any[]): any;
    /** Writes the whole record. */
    put(record: R, context?: any): Promise<void>;
    put(id: K | RequestTarget, record: Partial<R>, context?: any): Promise<void>;
    /** Changes the given properties, and leaves the others. */
    patch(record: Partial<R>, context?: any): Promise<void>;
    patch(id: K | RequestTarget, changes: Partial<R>, context?: any): Promise<void>;
    /** Creates a record and gives its id. */
    post(record: Partial<R>, context?: any): Promise<K>;
    post(target: K | RequestTarget, record: Partial<R>, context?: any): Promise<any>;
    /** Creates a record; 409 if it exists. */
    create(record: Partial<R>, context?: any): Promise<any>;
    create(id: K | RequestTarget, record: Partial<R>, context?: any): Promise<any>;
    /** The record to be changed: what is assigned to it is saved with the transaction. */
    update(id: K | RequestTarget, changes?: Partial<R>, context?: any): any;
    delete(id: K | RequestTarget | Query<R>, context?: any): Promise<boolean>;
    /** Tells subscribers something without changing the record. */
    publish(id: K | RequestTarget | null, message: any, context?: any): Promise<void>;
    subscribe(request?: SubscriptionRequest | RequestTarget | K, context?: any): Promise<Subscription<R>>;
    connect(...args: any[]): any;
    /** Marks a cached record as stale. */
    invalidate(id: K | RequestTarget, context?: any): Promise<void>;
    /** Makes this table a cache of `source`. Times are in seconds. */
    sourcedFrom(
      source: any,
      options?: { expiration?: number; eviction?: number; scanInterval?: number },
    ): Table<R, K>;
    setComputedAttribute(name: string, compute: (record: R) => any): void;
    setTTLExpiration(
      seconds: number | { expiration: number; eviction?: number; scanInterval?: number },
    ): void;
    getRecordCount(options?: { exactCount?: boolean; timeLimit?: number }): Promise<{
      recordCount: number;
      estimatedRange?: [number, number];
    }>;
    getHistory(start?: number, end?: number): AsyncIterable<ChangeEvent<R>>;
    getHistoryOfRecord(id: K): Promise<ChangeEvent<R>[]>;
    getNewId(): any;
    coerceId(text: string): any;
    [name: string]: any;
  }

  /** The tables of the database `data`. `kora types` adds those of an application. */
  export interface Tables {
    [name: string]: Table;
  }

  /** All databases by name, and their tables. */
  export interface Databases {
    data: Tables;
    [name: string]: { [name: string]: Table };
  }

  export const tables: Tables;
  export const databases: Databases;

  /** One of the log's methods; those below the configured level may be missing on tagged loggers. */
  export type Log = (...args: any[]) => void;

  export interface Logger {
    trace: Log;
    debug: Log;
    info: Log;
    warn: Log;
    error: Log;
    fatal: Log;
    notify: Log;
    /** A logger whose lines carry a tag. */
    withTag(tag: string): Partial<Logger>;
  }

  export const logger: Logger;

  /** Runs `work` in a transaction of its own: committed when it resolves, undone when it throws. */
  export function transaction<T>(work: (transaction: any) => T | Promise<T>): Promise<T>;
  export function transaction<T>(context: any, work: (transaction: any) => T | Promise<T>): Promise<T>;

  /** How a content type is written and read. */
  export interface ContentTypeHandler {
    serialize?(data: any, response?: any): string | Uint8Array;
    serializeStream?(data: AsyncIterable<any>, response?: any): any;
    deserialize?(body: Uint8Array): any;
    q?: number;
    compressible?: boolean;
    type?: string;
  }

  export const contentTypes: Map<string, ContentTypeHandler>;

  export type HttpListener = (request: Context, next: (request: Context) => any) => any;

  /** A client of the MQTT broker, while it is connected. */
  export interface MqttSession {
    /** The client identifier. */
    sessionId: string;
    user?: User;
    socket?: { remoteAddress: string; remotePort: number };
    keepalive: number;
    sessionWasPresent: boolean;
  }

  /** What code sees of the MQTT broker. */
  export interface Mqtt {
    /** Tells of `connection`, `connected`, `auth-failed`, `disconnected` and `error`. */
    events: {
      on(event: string, handler: (...args: any[]) => any): any;
      once(event: string, handler: (...args: any[]) => any): any;
      off(event: string, handler: (...args: any[]) => any): any;
      [name: string]: any;
    };
    /** The clients whose events this worker sees. */
    readonly sessions: Set<MqttSession>;
    /** Called with CONNECT and who the client is; what it throws keeps the client out, with `code` as the reason. */
    authorizeClient?: (packet: any, user?: User) => any;
  }

  /** The server that this component runs in. */
  export interface Server {
    /** Adds a step to the chain that every request passes. */
    http(listener: HttpListener, options?: Record<string, any>): void;
    /** The same as `http`. */
    request(listener: HttpListener, options?: Record<string, any>): void;
    ws(listener: (...args: any[]) => any, options?: Record<string, any>): void;
    upgrade(listener: (...args: any[]) => any, options?: Record<string, any>): void;
    socket(listener: (...args: any[]) => any, options?: Record<string, any>): any;
    authenticateUser(username: string, password: string): Promise<User>;
    getUser(username: string, password?: string | null): Promise<User>;
    operation(operation: Record<string, any>, context?: any, authorize?: boolean): Promise<any>;
    /** Adds an operation that `operation` of this component finds. */
    registerOperation(definition: {
      name: string;
      execute: (request: any) => any;
      requiresSuperUser?: boolean;
    }): void;
    recordAnalytics(value: number | boolean, metric: string, path?: string, method?: string, type?: string): void;
    /** The MQTT broker. */
    mqtt: Mqtt;
    resources: Resources;
    contentTypes: Map<string, ContentTypeHandler>;
    config: Config;
    hostname: string;
    nodes: any[];
    workerIndex: number;
    [name: string]: any;
  }

  export const server: Server;

  /** The paths of this component. */
  export interface Resources {
    set(path: string, resource: any, exportTypes?: Record<string, boolean>, force?: boolean): void;
    get(path: string): any;
    has(path: string): boolean;
    getMatch(path: string, exportType?: string): any;
    [name: string]: any;
  }

  export const resources: Resources;

  /** The context of the call that is running. */
  export function getContext(): Context;
  /** The user of the call that is running. */
  export function getUser(): User | undefined;
  export function getResponse(): { status?: number; headers: Headers };
  export function authenticateUser(username: string, password: string): Promise<User>;
  /** Makes a value of a `Blob` attribute out of bytes, text or a stream. */
  export function createBlob(
    source: Uint8Array | string | AsyncIterable<any> | Iterable<any> | ReadableStream<any>,
    options?: { type?: string; size?: number; compress?: boolean; flush?: boolean; saveBeforeCommit?: boolean },
  ): Blob;
  export function operation(operation: Record<string, any>, context?: any): Promise<any>;

  export interface Config {
    [name: string]: any;
  }
  export type ConfigValue = any;
  export const config: Config;
  export const threads: any[];

  export type FilesOption = string | string[] | FilesOptionObject;
  export interface FilesOptionObject {
    source: string | string[];
    ignore?: string | string[];
  }
  export interface FileAndURLPathConfig {
    files: FilesOption;
    urlPath?: string;
  }
  /** What a plugin's `handleApplication` is given. */
  export interface Scope {
    name: string;
    directory: string;
    resources: Resources;
    server: Server;
    logger: Logger;
    options: any;
    handleEntry(...args: any[]): any;
    requestRestart(): void;
    close(): void;
    on(event: string, listener: (...args: any[]) => void): this;
  }
  export type ResourceInterface<R = any> = Resource<R>;

  const host: {
    Resource: typeof Resource;
    tables: Tables;
    databases: Databases;
    server: Server;
    logger: Logger;
    [name: string]: any;
  };
  export default host;
}

declare module 'harper' {
  export * from 'harperdb';
  export { default } from 'harperdb';
}
declare module 'harperdb/v1' {
  export * from 'harperdb';
  export { default } from 'harperdb';
}
declare module 'harperdb/v2' {
  export * from 'harperdb';
  export { default } from 'harperdb';
}
declare module '@harperfast/harper' {
  export * from 'harperdb';
  export { default } from 'harperdb';
}

declare var Resource: typeof import('harperdb').Resource;
declare var RequestTarget: typeof import('harperdb').RequestTarget;
declare var tables: import('harperdb').Tables;
declare var databases: import('harperdb').Databases;
declare var server: import('harperdb').Server;
declare var logger: import('harperdb').Logger;
declare var contentTypes: typeof import('harperdb').contentTypes;
declare var transaction: typeof import('harperdb').transaction;
declare var resources: import('harperdb').Resources;
declare var createBlob: typeof import('harperdb').createBlob;
declare var operation: typeof import('harperdb').operation;
declare var threads: any[];
