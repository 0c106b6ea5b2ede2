// The context of a call: the request, the user, the response under way, the transaction
// (harper-resources.md section 7). Ambient: whatever a handler awaits finds it again. What few
// handlers look at is made when it is looked at.
import { core } from "ext:core/mod.js";
import { op_kora_call_given_up, op_kora_request } from "ext:core/ops";
import { authenticateUser, frozen, Session } from "ext:kora/harperdb/session.ts";
import type { Transaction } from "ext:kora/harperdb/transaction.ts";

export interface User {
  username: string;
  active: boolean;
  role: { id: string; role: string; permission: { super_user: boolean; [database: string]: any } };
}

/** The user of the call before, which most often is the user of the next. */
let known: User | undefined;

/** A user as the host gives one, or nobody. */
export function userOf(user: User | undefined): User | undefined {
  return user === known ? known : known = frozen(user);
}

interface RequestView {
  method: string;
  url: string;
  headers: [string, string][];
  protocol: string;
  host: string | null;
  ip: string | null;
  httpVersion: string;
}

/** The headers of a request, with a plain object of them for who wants one. */
export type RequestHeaders = Headers & { asObject: Record<string, string> };

/** The headers of a response under way, with Harper's way of giving one a default. */
export type ResponseHeaders = Headers & { setIfNone(name: string, value: string): void };

function requestHeaders(pairs: [string, string][]): RequestHeaders {
  return Object.defineProperty(new Headers(pairs), "asObject", {
    get(this: Headers) {
      return Object.fromEntries(this);
    },
  }) as RequestHeaders;
}

function responseHeaders(): ResponseHeaders {
  return Object.defineProperty(new Headers(), "setIfNone", {
    value(this: Headers, name: string, value: string) {
      if (!this.has(name)) this.set(name, value);
    },
  }) as ResponseHeaders;
}

/** What an extension in the URL asks for (harper-rest.md section 1.1). */
const EXTENSION_TYPES: Record<string, string> = {
  json: "application/json",
  cbor: "application/cbor",
  msgpack: "application/x-msgpack",
  csv: "text/csv",
};

export class Context {
  user: User | undefined;
  /** Whether permissions are still to be checked; the first wrapped method clears it. */
  authorize = false;
  transaction: Transaction | undefined;
  /** The version of the record that was read: becomes the ETag. */
  lastModified: number | undefined;
  /** The id of a record that the call created: 201 and Location. */
  newLocation: any;
  createdResource = false;
  /** When the records that are written from here on end, in milliseconds since the epoch. */
  expiresAt: number | undefined;
  /** What to do when the client of a socket goes away. */
  onClose: (() => void)[] | undefined;
  isWebSocket = false;
  /** The path under which the resource was found. */
  handlerPath: string | undefined;
  declare lastRefreshed: number | undefined;
  #call: number;
  #body: unknown;
  #data: Promise<unknown> | undefined;
  #view: RequestView | null | undefined;
  #headers: RequestHeaders | undefined;
  #responseHeaders: ResponseHeaders | undefined;
  #session: Session | undefined;
  #response: { status: number | undefined; headers: Headers } | undefined;
  #aborting: AbortController | undefined;

  constructor(call = -1, body?: unknown) {
    this.#call = call;
    this.#body = body;
  }

  /**
   * A context for a call inside of another one whose caller wants something otherwise: an expiry, a
   * user, a transaction of its own.
   */
  static derived(options: any): Context {
    const context = new Context();
    const outer = ambientContext();
    context.user = outer?.user;
    context.transaction = outer?.transaction;
    context.expiresAt = outer?.expiresAt;
    return Object.assign(context, options);
  }

  /** Caching: what code asks for besides the request's Cache-Control, and what came of it. */
  noCache = false;
  noCacheStore = false;
  onlyIfCached = false;
  staleIfError = false;
  mustRevalidate = false;
  loadedFromSource: boolean | undefined;
  lastRefreshed: number | undefined;

  /** The number of the call that this is about; -1 where there is none (any more). */
  get call(): number {
    return this.#call;
  }

  get #request(): RequestView | null {
    return this.#view ??= this.#call < 0 ? null : op_kora_request(this.#call);
  }

  /** Reads the request while the host still knows it: streams outlive their call. */
  keep(): void {
    void this.#request;
  }

  /** From now on this is the context of `call`. Code may hold the headers: they stay the same object. */
  protected rebase(call: number): void {
    this.#call = call;
    this.#view = undefined;
    const view = this.#request;
    const headers = this.#headers;
    if (!headers) return;
    for (const name of [...headers.keys()]) headers.delete(name);
    for (const [name, value] of view?.headers ?? []) headers.append(name, value);
  }

  /** The call is answered: its number may name another one from now on. */
  answered(): void {
    this.#call = -1;
  }

  get method(): string | undefined {
    return this.#request?.method;
  }

  get url(): string | undefined {
    return this.#request?.url;
  }

  get pathname(): string | undefined {
    return this.url?.split("?", 1)[0];
  }

  get search(): string {
    const url = this.url ?? "";
    const mark = url.indexOf("?");
    return mark < 0 ? "" : url.slice(mark);
  }

  get protocol(): string | undefined {
    return this.#request?.protocol;
  }

  get host(): string | undefined {
    return this.#request?.host ?? undefined;
  }

  get hostname(): string | undefined {
    return this.host?.replace(/:\d+$/, "");
  }

  get ip(): string | undefined {
    return this.#request?.ip ?? undefined;
  }

  get httpVersion(): string | undefined {
    return this.#request?.httpVersion;
  }

  /** The media type that an extension in the URL asks for. */
  get requestedContentType(): string | undefined {
    const extension = /\.(json|cbor|msgpack|csv)$/.exec(this.pathname ?? "");
    return extension ? EXTENSION_TYPES[extension[1]] : undefined;
  }

  get headers(): RequestHeaders {
    return this.#headers ??= requestHeaders(this.#request?.headers ?? []);
  }

  /** The decoded body, for verbs whose methods are not handed it too. */
  get data(): Promise<unknown> {
    return this.#data ??= Promise.resolve(this.#body);
  }

  set data(data: any) {
    this.#data = Promise.resolve(data);
  }

  /** Aborted when the client goes away before it is answered. */
  get signal(): AbortSignal {
    if (!this.#aborting) {
      const aborting = this.#aborting = new AbortController();
      const abort = () => aborting.abort(new DOMException("The client has gone", "AbortError"));
      if (this.onClose) this.onClose.push(abort);
      else if (this.#call >= 0) {
        op_kora_call_given_up(this.#call).then((gone: boolean) => gone && abort());
      }
    }
    return this.#aborting.signal;
  }

  /** The request's headers, if code has looked at them. */
  get touchedHeaders(): Headers | undefined {
    return this.#headers;
  }

  get responseHeaders(): ResponseHeaders {
    return this.#responseHeaders ??= responseHeaders();
  }

  /** The headers that code has set for the response, if it has set any. */
  get setHeaders(): Headers | undefined {
    return this.#responseHeaders;
  }

  get response(): { status: number | undefined; headers: Headers } {
    return this.#response ??= { status: undefined, headers: this.responseHeaders };
  }

  /** The status that code has set, without making a response of it. */
  get setStatus(): number | undefined {
    return this.#response?.status;
  }

  /** HTTP's early hints are not sent: clients do without them. */
  sendEarlyHints(): void {}

  /** What belongs to the client's browser; empty, without an id, until it is updated. */
  get session(): Session {
    return this.#session ??= new Session(this);
  }

  /** Makes the client the user of this name and remembers it in the session; rejects with 401. */
  async login(username: string, password: string): Promise<void> {
    const user = await authenticateUser(username, password);
    await this.session.update({ user: user.username });
    this.user = user;
  }

  toJSON(): unknown {
    return { method: this.method, url: this.url };
  }
}

/**
 * What the engine carries across awaits for code of ours: the context as a property, beside those of deno_core's
 * AsyncVariables, which copy it along when they are entered. One of these itself would cost each call an object in
 * dictionary mode and an entry of a WeakMap, which every collection then looks at.
 */
class Ambient {
  constructor(readonly kora: Context) {}
}

/** The context of the call that this code runs for, if it runs for one. */
export function ambientContext(): Context | undefined {
  return core.getAsyncContext()?.kora;
}

/** `getContext()` of the module. */
export function getContext(): Context | Record<string, never> {
  return ambientContext() ?? {};
}

/** Runs `work` with `context` as the ambient one; what it awaits keeps it. */
export function runWith<T>(context: Context, work: () => T): T {
  const outer = core.getAsyncContext();
  const hasOthers = outer != null && !(outer instanceof Ambient);
  core.setAsyncContext(hasOthers ? { __proto__: null, ...outer, kora: context } : new Ambient(context));
  try {
    return work();
  } finally {
    core.setAsyncContext(outer);
  }
}
