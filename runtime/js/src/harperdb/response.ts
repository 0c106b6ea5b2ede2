// Responses in middleware (harper-components.md section 4.2): what `next` gives, whose body stays with
// the host until somebody looks at it, and what listeners answer.
import { core } from "ext:core/mod.js";
import {
  op_kora_body_drop,
  op_kora_body_end,
  op_kora_body_feed,
  op_kora_body_of,
  op_kora_body_open,
  op_kora_body_room,
  op_kora_body_whole,
} from "ext:core/ops";
import { HostBody } from "ext:kora/harperdb/request.ts";

/** Types whose bodies are handed to code as strings. */
const TEXT = /^(text\/|application\/(json|xml|javascript|problem\+json)|image\/svg)/;

interface ResponseView {
  status: number;
  headers: string[];
  body: number;
  handlerPath: string | null;
}

/** Adds the method of Harper's own headers that the web's lack. */
export function withSetIfNone(headers: any): any {
  headers.setIfNone = (name: string, value: string) => {
    if (!headers.has(name)) headers.set(name, value);
  };
  return headers;
}

/** What lies behind a listener has answered. */
export class HostResponse {
  status: number;
  headers: Headers;
  /** A string or bytes where the body is there as a whole, a stream of bytes otherwise. */
  declare body: any;
  #number: number;
  #stream: HostBody | undefined;
  #body: any;
  #isTouched = false;

  constructor(view: ResponseView) {
    this.status = view.status;
    this.headers = withSetIfNone(new Headers());
    for (let at = 0; at < view.headers.length; at += 2) {
      this.headers.append(view.headers[at], view.headers[at + 1]);
    }
    this.#number = view.body;
    // A property of its own, so that `{...response}` has it.
    Object.defineProperty(this, "body", {
      enumerable: true,
      configurable: true,
      get: () => this.#read(),
      set: (body) => this.#replace(body),
    });
  }

  get ok(): boolean {
    return this.status >= 200 && this.status < 300;
  }

  #read(): any {
    if (this.#isTouched) return this.#body;
    if (this.#number < 0) return undefined;
    const isText = TEXT.test(this.headers.get("content-type") ?? "");
    const whole = op_kora_body_whole(this.#number, isText);
    if (whole !== null) return whole;
    this.#isTouched = true;
    this.#stream = new HostBody(this.#number);
    this.#number = -1;
    this.#body = this.#stream.stream;
    return this.#body;
  }

  #replace(body: any): void {
    // The new body may read from the old one.
    if (this.#number >= 0) op_kora_body_drop(this.#number);
    this.#number = -1;
    this.#isTouched = true;
    this.#body = body;
  }

  async text(): Promise<string> {
    return await new Response(this.body).text();
  }

  async json(): Promise<any> {
    return JSON.parse(await this.text());
  }

  async arrayBuffer(): Promise<ArrayBuffer> {
    return await new Response(this.body).arrayBuffer();
  }

  /** The number of the host's body, where code has not put another in its place. */
  takeHostBody(): number | undefined {
    if (this.#isTouched) return undefined;
    const number = this.#number;
    this.#number = -1;
    return number;
  }

  /** Gives the host's body up, or what is left of it and nobody reads. */
  release(): void {
    if (this.#number >= 0) op_kora_body_drop(this.#number);
    this.#number = -1;
    this.#stream?.releaseIdle();
  }
}

/**
 * The body of what code has answered. Of a `Response` that was made of text or bytes, those: to ask for
 * its `body` makes a stream of them, which has no length and which middleware would have to read.
 */
export function bodyOf(response: any): any {
  const { toInnerResponse } = core.loadExtScript("ext:deno_fetch/23_response.js");
  const made = toInnerResponse(response)?.body?.streamOrStatic;
  return made?.consumed === false ? made.body : response.body;
}

/** What a listener returned, for the listener before it: with headers that can be set. */
export function changeable(result: any): any {
  if (result instanceof HostResponse) return result;
  const isNothing = result === undefined || result === null;
  const given = isNothing
    ? { status: 404, headers: { "content-type": "text/plain" }, body: "Not found\n" }
    : typeof result === "object"
    ? result
    : { body: String(result) };
  if (given.headers instanceof Headers && !(given instanceof Response)) {
    withSetIfNone(given.headers);
    return given;
  }
  const { status = 200, data } = given;
  return { status, headers: withSetIfNone(headersOf(given.headers)), body: bodyOf(given), data };
}

/** A response as the host takes it; `status` 0 is an answer of nothing. */
export interface Outgoing {
  status: number;
  headers: string[];
  body: number;
}

/** What a listener returned, for the host. */
export async function outgoing(result: any): Promise<Outgoing> {
  if (result === undefined || result === null) return { status: 0, headers: [], body: -1 };
  if (typeof result !== "object") {
    return { status: 200, headers: ["content-type", "text/plain"], body: textBody(String(result)) };
  }
  const status = Number(result.status ?? result.statusCode ?? 200);
  // Harper's sign for a request that nobody has handled.
  if (status === -1) return { status: 0, headers: [], body: -1 };
  if (!(status >= 100 && status < 1000)) {
    throw new RangeError(`A response can't have the status ${result.status}`);
  }
  const headers = headersOf(result.headers);
  const hostBody = result instanceof HostResponse ? result.takeHostBody() : undefined;
  if (hostBody !== undefined) return { status, headers: flat(headers), body: hostBody };
  const body = bodyOf(result);
  if (body === undefined && result.data !== undefined) {
    const { data } = result;
    const isText = typeof data === "string" && headers.has("content-type");
    if (!headers.has("content-type")) headers.set("content-type", "application/json");
    return { status, headers: flat(headers), body: textBody(isText ? data : JSON.stringify(data)) };
  }
  return { status, headers: flat(headers), body: await bodyNumber(body, headers) };
}

function headersOf(given: any): Headers {
  const headers = new Headers();
  if (!given) return headers;
  const entries = typeof given[Symbol.iterator] === "function" ? given : Object.entries(given);
  for (const [name, value] of entries) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== undefined && one !== null) headers.append(name, String(one));
    }
  }
  return headers;
}

/** Names and values in turn. */
export function flat(headers: Headers): string[] {
  const all: string[] = [];
  for (const [name, value] of headers) all.push(name, value);
  return all;
}

function textBody(text: string | undefined): number {
  return text === undefined || text === "" ? -1 : op_kora_body_of(text);
}

/** Hands a body to the host; gives its number, -1 for none. */
export async function bodyNumber(body: any, headers?: Headers): Promise<number> {
  if (body === undefined || body === null || body === "") return -1;
  if (typeof body !== "object") return textBody(String(body));
  if (body instanceof ArrayBuffer || ArrayBuffer.isView(body)) {
    return body.byteLength === 0 ? -1 : op_kora_body_of(body);
  }
  if (body instanceof Blob) {
    if (headers && body.type && !headers.has("content-type")) headers.set("content-type", body.type);
    return await bodyNumber(await body.arrayBuffer());
  }
  if (body instanceof URLSearchParams) return textBody(String(body));
  if (typeof body[Symbol.asyncIterator] === "function" || typeof body[Symbol.iterator] === "function") {
    return feed(body);
  }
  if (headers && !headers.has("content-type")) headers.set("content-type", "application/json");
  return textBody(JSON.stringify(body));
}

/** A body that is made while it is sent, as fast as the client reads. */
function feed(chunks: any): number {
  const [body, number] = op_kora_body_open();
  const run = async () => {
    let message = "";
    try {
      for await (const chunk of chunks) {
        const bytes = typeof chunk === "object" || typeof chunk === "string" ? chunk : String(chunk);
        let taken = op_kora_body_feed(number, bytes);
        while (taken === 2) {
          taken = await op_kora_body_room(number) ? op_kora_body_feed(number, bytes) : 0;
        }
        if (taken === 0) break;
      }
    } catch (error: any) {
      message = String(error?.message ?? error) || "the body failed";
    }
    await op_kora_body_end(number, message);
  };
  run();
  return body;
}
