// `server.http`: the component's listeners and one request's way through them
// (harper-components.md section 4.2). The order of listeners of all components, and everything behind
// `next`, is the host's.
import {
  op_kora_answer,
  op_kora_fail,
  op_kora_listeners,
  op_kora_next,
} from "ext:core/ops";
import { runWith, type User, userOf } from "ext:kora/harperdb/context.ts";
import { customTypes, transcode } from "ext:kora/harperdb/content_types.ts";
import { failure } from "ext:kora/harperdb/errors.ts";
import { logger } from "ext:kora/harperdb/logger.ts";
import { forgetRequest, keepRequest, RequestContext, takeResumed } from "ext:kora/harperdb/request.ts";
import {
  bodyNumber,
  changeable,
  flat,
  HostResponse,
  outgoing,
} from "ext:kora/harperdb/response.ts";

export type Next = (request?: any) => Promise<HostResponse>;
export type Listener = (request: RequestContext, next: Next) => any;

export interface HttpOptions {
  port?: number | string;
  securePort?: number | string;
  runFirst?: boolean;
  name?: string;
  before?: string | false;
  after?: string;
  urlPath?: string;
  host?: string;
}

interface Registered {
  listener: Listener;
  urlPath: string;
  host: string | undefined;
  view: any;
}

const listeners: Registered[] = [];
let isLoaded = false;

function trimmed(path: string | undefined): string {
  return (path ?? "").replace(/^\.?\/+|\/+$/g, "");
}

function add(listener: Listener, options: HttpOptions, more: Record<string, unknown> = {}): void {
  if (isLoaded) {
    logger.warn(
      "server.http was called after the component was loaded and has no effect: await what comes " +
        "before it at the top level of the module or in handleApplication",
    );
    return;
  }
  const urlPath = trimmed(options.urlPath);
  const text = (value: unknown) => typeof value === "string" && value !== "" ? value : null;
  const view = {
    name: text(options.name),
    before: text(options.before),
    after: text(options.after),
    runFirst: options.runFirst === true,
    runLast: false,
    urlPath: text(urlPath),
    host: text(options.host),
    mediaTypes: [],
    ...more,
  };
  listeners.push({ listener, urlPath, host: options.host?.toLowerCase(), view });
}

/** `server.http(listener, options)`. */
export function http(listener: Listener, options: HttpOptions = {}): void {
  if (typeof listener !== "function") throw new TypeError("server.http needs a function");
  add(listener, options);
}

/** The component is loaded: tells the host what it has registered. */
export function finishListeners(): void {
  const mediaTypes = customTypes();
  if (mediaTypes.length > 0) add(transcode, { name: "contentTypes" }, { runLast: true, mediaTypes });
  isLoaded = true;
  op_kora_listeners(listeners.map(({ view }) => view));
}

/** Runs the listeners `indexes` for request `call`, and answers it. */
export function handleRequest(
  call: number,
  indexes: number[],
  user: User | undefined,
  body: number,
  isWebSocket: boolean,
): void {
  const resumed = takeResumed();
  resumed?.takeUp(call, body);
  const request = resumed ?? new RequestContext(call, body);
  request.user ??= userOf(user);
  request.isWebSocket = isWebSocket;
  const passage = new Passage(call, request, indexes);
  runWith(request, () => passage.run());
}

/** One request on its way through a run of listeners. */
class Passage {
  #call: number;
  /** By which calls that come out of it find the request. */
  #number: number;
  #request: RequestContext;
  #indexes: number[];
  #user: unknown;
  #responses: HostResponse[] = [];

  constructor(call: number, request: RequestContext, indexes: number[]) {
    this.#call = call;
    this.#number = keepRequest(request);
    this.#request = request;
    this.#indexes = indexes;
    this.#user = request.user;
  }

  async run(): Promise<void> {
    const call = this.#call;
    let isSocket = false;
    try {
      let result = await this.#step(0);
      // Code of Node's style returns nothing and ends its response, now or later.
      const taken = this.#request.takenNodeResponse;
      if (taken && (result === undefined || result === null)) result = await taken.answered();
      const { status, headers, body } = await outgoing(result);
      addOwnHeaders(headers, this.#request.setHeaders);
      isSocket = status === 101;
      op_kora_answer(call, status, headers, body);
    } catch (error) {
      const { status, code, message, stack } = failure(error);
      op_kora_fail(call, status, code, message, stack, -1);
    } finally {
      forgetRequest(this.#number, isSocket);
      for (const response of this.#responses) response.release();
      this.#request.releaseBody();
    }
  }

  #step(at: number): any {
    if (at === this.#indexes.length) return this.#leave();
    const registered = listeners[this.#indexes[at]];
    const request = this.#request;
    const inside = registered && below(registered, request);
    // A worker whose code registers fewer listeners than the first one has nothing to run here.
    if (inside === undefined) return this.#step(at + 1);
    const outside = request.url;
    if (registered.urlPath !== "") request.url = inside;
    const next: Next = async (given) => {
      if (registered.urlPath !== "") {
        const url = request.url ?? "/";
        request.url = url === inside ? outside : `/${registered.urlPath}${url}`;
      }
      if (given && given !== request) adopt(request, given);
      return changeable(await this.#step(at + 1));
    };
    return registered.listener(request, next);
  }

  /** Behind the last listener of this run: the host goes on. */
  async #leave(): Promise<HostResponse> {
    const request = this.#request;
    const user: any = request.user;
    const left = await request.outgoingBody();
    const body = "number" in left ? left.number : await bodyNumber(left.content);
    const view = await op_kora_next(
      this.#call,
      this.#number,
      {
        method: request.changedMethod ?? null,
        url: request.changedUrl ?? null,
        headers: request.touchedHeaders ? flat(request.touchedHeaders) : null,
        user: user === this.#user ? null : JSON.stringify(user ?? null),
      },
      body,
      request.isWebSocket,
    );
    request.handlerPath = view.handlerPath ?? undefined;
    const response = new HostResponse(view);
    this.#responses.push(response);
    return response;
  }
}

/** What code has set on the request's response, such as a session's cookie, where it is not yet there. */
function addOwnHeaders(headers: string[], own: Headers | undefined): void {
  for (const [name, value] of own ?? []) {
    const isThere = headers.some((text, at) =>
      at % 2 === 0 && text === name && (name !== "set-cookie" || headers[at + 1] === value)
    );
    if (!isThere) headers.push(name, value);
  }
}

/** The URL as the listener sees it; `undefined` if the request is none of its own. */
function below({ urlPath, host }: Registered, request: RequestContext): string | undefined {
  if (host !== undefined && request.hostname?.toLowerCase() !== host) return undefined;
  const url = request.url ?? "/";
  if (urlPath === "") return url;
  const rest = url.startsWith(`/${urlPath}`) ? url.slice(urlPath.length + 1) : undefined;
  if (rest === "") return "/";
  if (rest === undefined || !/^[/?]/.test(rest)) return undefined;
  return rest.startsWith("?") ? `/${rest}` : rest;
}

/** Takes what `next` was given instead of the request itself. */
function adopt(request: any, given: any): void {
  for (const name of ["method", "url", "user", "body"]) {
    if (given[name] !== undefined && given[name] !== request[name]) request[name] = given[name];
  }
  if (given.headers && given.headers !== request.headers) {
    const headers = new Headers(given.headers);
    for (const name of [...request.headers.keys()]) {
      if (!headers.has(name)) request.headers.delete(name);
    }
    for (const [name, value] of headers) request.headers.set(name, value);
  }
}
