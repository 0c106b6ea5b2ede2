// The request of `server.http` listeners (harper-components.md section 4.2): the context of the call
// that it leads to in this component, and changeable on its way. Its body is read only when asked for.
import { op_kora_body_chunk, op_kora_body_drop } from "ext:core/ops";
import { Context } from "ext:kora/harperdb/context.ts";
import { ClientError } from "ext:kora/harperdb/errors.ts";
import { NodeRequest, NodeResponse } from "ext:kora/harperdb/node_exchange.ts";
import { deserializerOf } from "ext:kora/harperdb/content_types.ts";

/** What `data` collects at most, as for resources (harper-rest.md section 7). */
const BODY_LIMIT = 10_000_000;

/** The chunks of a body that the host holds: reads it away, and gives its number back at the end. */
export class HostBody {
  readonly stream: ReadableStream;
  #number: number;

  constructor(number: number) {
    this.#number = number;
    this.stream = new ReadableStream({
      pull: async (controller) => {
        try {
          const chunk = this.#number < 0 ? null : await op_kora_body_chunk(this.#number);
          if (chunk !== null) return controller.enqueue(chunk);
          controller.close();
        } catch (error) {
          controller.error(error);
        }
        this.release();
      },
      cancel: () => this.release(),
    }, { highWaterMark: 0 });
  }

  /** Gives it up unless somebody reads it: what is sent on may outlive the request. */
  releaseIdle(): void {
    if (!this.stream.locked) this.release();
  }

  release(): void {
    if (this.#number >= 0) op_kora_body_drop(this.#number);
    this.#number = -1;
  }
}

/** Gives a stream the methods by which code of Node reads one. */
function withNodeMethods(stream: any): any {
  const handlers: Record<string, ((value?: any) => void)[]> = {};
  let reading = false;
  const read = async () => {
    try {
      for await (const chunk of stream) handlers.data?.forEach((handler) => handler(chunk));
      handlers.end?.forEach((handler) => handler());
      handlers.close?.forEach((handler) => handler());
    } catch (error) {
      handlers.error?.forEach((handler) => handler(error));
    }
  };
  stream.on = stream.once = (event: string, handler: (value?: any) => void) => {
    (handlers[event] ??= []).push(handler);
    if (event === "data" && !reading) {
      reading = true;
      queueMicrotask(read);
    }
    return stream;
  };
  stream.pipe = (to: any) => {
    stream.on("data", (chunk: any) => to.write(chunk));
    stream.on("end", () => to.end());
    return to;
  };
  return stream;
}

export class RequestContext extends Context {
  #method: string | undefined;
  #url: string | undefined;
  /** The host's body while nobody has looked at it; -1 afterwards: numbers are given again. */
  #bodyNumber: number;
  #hostBody: HostBody | undefined;
  #body: any;
  #bytes: Promise<Uint8Array> | undefined;
  #data: Promise<any> | any;
  #hasData = false;
  #nodeRequest: NodeRequest | undefined;
  #nodeResponse: NodeResponse | undefined;

  constructor(call: number, body: number) {
    super(call);
    this.#bodyNumber = body;
    this.keep();
  }

  /** The decoded body; the host's is read when somebody asks. */
  override get data(): any {
    return this.#readData();
  }

  override set data(data: any) {
    this.#hasData = true;
    this.#data = data;
  }

  /** Becomes the context of a call that comes out of the request; again where the call is run again. */
  enter(body: unknown): this {
    this.transaction = undefined;
    this.lastModified = undefined;
    this.lastRefreshed = undefined;
    this.newLocation = undefined;
    this.createdResource = false;
    this.data = Promise.resolve(body);
    return this;
  }

  /** Takes the request up again, as the host and other components have made it since. */
  takeUp(call: number, body: number): void {
    this.rebase(call);
    this.#method = undefined;
    this.#url = undefined;
    this.releaseBody();
    this.#bodyNumber = body;
    this.#body = undefined;
    this.#bytes = undefined;
    this.#hasData = false;
    this.#data = undefined;
  }

  override get method(): string | undefined {
    return this.#method ?? super.method;
  }

  override set method(method: string | undefined) {
    this.#method = method;
  }

  override get url(): string | undefined {
    return this.#url ?? super.url;
  }

  override set url(url: string | undefined) {
    this.#url = url;
  }

  override get pathname(): string | undefined {
    return super.pathname;
  }

  override set pathname(path: string | undefined) {
    this.#url = `${path}${this.search}`;
  }

  /** The body as a stream of bytes. Reading it here takes it from what comes after. */
  get body(): any {
    if (this.#body === undefined && this.#bodyNumber >= 0) {
      this.#hostBody = new HostBody(this.#takeNumber());
      this.#body = withNodeMethods(this.#hostBody.stream);
    }
    return this.#body;
  }

  set body(body: any) {
    this.releaseBody();
    this.#body = body;
    this.#bytes = undefined;
  }

  /** Node's view of the request, made on first use. */
  get _nodeRequest(): NodeRequest {
    return this.#nodeRequest ??= new NodeRequest(this);
  }

  /** A response in Node's style; where code ends it, it is the answer. */
  get _nodeResponse(): NodeResponse {
    return this.#nodeResponse ??= new NodeResponse();
  }

  /** The response in Node's style, where code has asked for it. */
  get takenNodeResponse(): NodeResponse | undefined {
    return this.#nodeResponse;
  }

  /** There is no way to send early hints yet; a client loses nothing but time. */
  sendEarlyHints(_link: string): void {}

  get changedMethod(): string | undefined {
    return this.#method;
  }

  get changedUrl(): string | undefined {
    return this.#url;
  }

  /** What goes on as the body: the host's own by its number, or what code has made of it. */
  async outgoingBody(): Promise<{ number: number } | { content: any }> {
    if (this.#bytes) return { content: await this.#bytes };
    if (this.#body === undefined) return { number: this.#takeNumber() };
    // A stream that somebody reads is that reader's.
    return { content: this.#body?.locked ? undefined : this.#body };
  }

  /** Gives up the host's body, or what is left of it and nobody reads. */
  releaseBody(): void {
    const number = this.#takeNumber();
    if (number >= 0) op_kora_body_drop(number);
    this.#hostBody?.releaseIdle();
    this.#hostBody = undefined;
  }

  #takeNumber(): number {
    const number = this.#bodyNumber;
    this.#bodyNumber = -1;
    return number;
  }

  #readData(): any {
    if (!this.#hasData) {
      this.#hasData = true;
      this.#data = this.#parse();
      // Whoever awaits it hears of a failure; nobody else has to.
      this.#data.catch(() => {});
    }
    return this.#data;
  }

  async #parse(): Promise<any> {
    this.#bytes ??= this.#collect();
    const bytes = await this.#bytes;
    if (bytes.length === 0) return undefined;
    const contentType = this.headers.get("content-type") ?? "";
    const mediaType = contentType.split(";", 1)[0].trim().toLowerCase();
    const deserialize = deserializerOf(mediaType);
    if (deserialize) return await deserialize(bytes);
    const text = () => new TextDecoder().decode(bytes);
    if (mediaType === "application/json" || (mediaType === "" && bytes[0] === 0x7b)) {
      try {
        return JSON.parse(text());
      } catch (error) {
        throw new ClientError(`The body is not JSON: ${(error as Error).message}`);
      }
    }
    if (mediaType === "application/x-www-form-urlencoded") {
      return Object.fromEntries(new URLSearchParams(text()));
    }
    if (mediaType === "text/plain") return text();
    const data = mediaType.startsWith("text/") ? text() : bytes;
    return { contentType: contentType || "application/octet-stream", data };
  }

  async #collect(): Promise<Uint8Array> {
    const chunks: Uint8Array[] = [];
    let length = 0;
    for await (const chunk of this.body ?? []) {
      const bytes = typeof chunk === "string" ? new TextEncoder().encode(chunk) : chunk;
      length += bytes.length;
      if (length > BODY_LIMIT) {
        throw new ClientError(
          `Request body too large, maximum size is ${BODY_LIMIT} bytes`,
          413,
        );
      }
      chunks.push(bytes);
    }
    const all = new Uint8Array(length);
    let at = 0;
    for (const chunk of chunks) {
      all.set(chunk, at);
      at += chunk.length;
    }
    return all;
  }
}

/** The request of what is about to be entered, where this worker's listeners have seen it. */
let resumed: RequestContext | undefined;
/** By numbers that are never given twice: a call that comes late must not find another's request. */
const underway = new Map<number, RequestContext>();
let lastNumber = 0;

/** How long a socket that was accepted may take to reach its resource, in milliseconds. */
const SOCKET_WAIT = 60_000;

/** Keeps a request for the calls that it leads to, until it is answered; gives its number. */
export function keepRequest(request: RequestContext): number {
  underway.set(++lastNumber, request);
  return lastNumber;
}

/** The request is answered. The answer to a WebSocket comes before the call that serves it. */
export function forgetRequest(number: number, isSocket: boolean): void {
  if (isSocket) setTimeout(() => underway.delete(number), SOCKET_WAIT);
  else underway.delete(number);
}

/** Rust: the next entry comes out of request `number`; `keepsUser` if nobody else asks since then. */
export function resume(number: number, keepsUser: boolean): void {
  resumed = underway.get(number);
  if (resumed && !keepsUser) resumed.user = undefined;
}

/** The context that was resumed, once. */
export function takeResumed(): RequestContext | undefined {
  const request = resumed;
  resumed = undefined;
  return request;
}
