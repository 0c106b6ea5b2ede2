// `request._nodeRequest` and `request._nodeResponse`: what code of Node's `(req, res)` style reads and
// calls most (harper-components.md section 4.2). They stand in for Node's own objects and are no
// instances of them: there is no socket behind them.
import { Emitter } from "ext:kora/harperdb/emitter.ts";
import type { RequestContext } from "ext:kora/harperdb/request.ts";

export class NodeRequest extends Emitter {
  method: string | undefined;
  url: string | undefined;
  headers: Record<string, string>;
  httpVersion: string | undefined;
  complete = false;
  socket: { remoteAddress: string | undefined; encrypted: boolean };
  #context: RequestContext;

  constructor(context: RequestContext) {
    super();
    this.#context = context;
    this.method = context.method;
    this.url = context.url;
    this.headers = Object.fromEntries(context.headers);
    this.httpVersion = context.httpVersion;
    this.socket = { remoteAddress: context.ip, encrypted: context.protocol === "https" };
  }

  get connection(): unknown {
    return this.socket;
  }

  /** Listening to the data begins to read the body, as in Node. */
  override on(event: string, handler: (...args: any[]) => any): this {
    super.on(event, handler);
    if (event === "data" && this.listenerCount("data") === 1) queueMicrotask(() => this.#read());
    if (event === "end" && !this.#context.body) queueMicrotask(() => this.emit("end"));
    return this;
  }

  pipe(to: any): any {
    this.on("data", (chunk) => to.write(chunk));
    this.on("end", () => to.end());
    return to;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    yield* this.#context.body ?? [];
    this.complete = true;
  }

  async #read(): Promise<void> {
    try {
      for await (const chunk of this) this.emit("data", chunk);
      this.emit("end");
    } catch (error) {
      this.emit("error", error);
    }
  }
}

export class NodeResponse extends Emitter {
  statusCode = 200;
  statusMessage = "";
  headersSent = false;
  writableEnded = false;
  #headers = new Map<string, string | string[]>();
  #chunks: (string | Uint8Array)[] = [];
  #ended: Promise<void>;
  #end: () => void = () => {};

  constructor() {
    super();
    this.#ended = new Promise((resolve) => this.#end = resolve);
  }

  get finished(): boolean {
    return this.writableEnded;
  }

  setHeader(name: string, value: any): this {
    this.#headers.set(name.toLowerCase(), Array.isArray(value) ? value.map(String) : String(value));
    return this;
  }

  appendHeader(name: string, value: any): this {
    const known = this.getHeader(name);
    return this.setHeader(name, known === undefined ? value : [known, value].flat());
  }

  getHeader(name: string): string | string[] | undefined {
    return this.#headers.get(name.toLowerCase());
  }

  getHeaders(): Record<string, string | string[]> {
    return Object.fromEntries(this.#headers);
  }

  getHeaderNames(): string[] {
    return [...this.#headers.keys()];
  }

  hasHeader(name: string): boolean {
    return this.#headers.has(name.toLowerCase());
  }

  removeHeader(name: string): void {
    this.#headers.delete(name.toLowerCase());
  }

  writeHead(status: number, ...more: any[]): this {
    this.statusCode = status;
    const headers = more.find((given) => typeof given === "object" && given !== null) ?? {};
    for (const [name, value] of Object.entries(headers)) this.setHeader(name, value);
    this.flushHeaders();
    return this;
  }

  flushHeaders(): void {
    this.headersSent = true;
  }

  write(chunk: any, encoding?: any, callback?: any): boolean {
    this.flushHeaders();
    this.#chunks.push(typeof chunk === "object" ? chunk : String(chunk));
    (typeof encoding === "function" ? encoding : callback)?.();
    return true;
  }

  end(chunk?: any, encoding?: any, callback?: any): this {
    if (typeof chunk === "function") return this.end(undefined, undefined, chunk);
    if (chunk !== undefined && chunk !== null) this.write(chunk, encoding);
    this.flushHeaders();
    this.writableEnded = true;
    this.#end();
    this.emit("finish");
    this.emit("close");
    (typeof encoding === "function" ? encoding : callback)?.();
    return this;
  }

  /** What was answered, once it is complete. */
  async answered(): Promise<{ status: number; headers: any; body: any }> {
    await this.#ended;
    const body = new Blob(this.#chunks as BlobPart[]);
    return { status: this.statusCode, headers: this.getHeaders(), body };
  }
}
