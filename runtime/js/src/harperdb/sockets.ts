// `server.ws`: listeners for WebSockets that no resource answers for (harper-components.md section
// 4.2). To the host they are one more resource, under a path that no URL can name.
import type { Context } from "ext:kora/harperdb/context.ts";
import { Emitter } from "ext:kora/harperdb/emitter.ts";
import { ClientError } from "ext:kora/harperdb/errors.ts";
import { register } from "ext:kora/harperdb/exports.ts";

/** Known to Rust as well (`generation.rs`). */
const SOCKETS_PATH = "\0sockets";

type SocketListener = (
  socket: ServerSocket,
  request: Context,
  chainCompletion: Promise<void>,
  next: (...args: any[]) => any,
) => any;

const listeners: SocketListener[] = [];

/** `server.ws(listener, options)`. */
export function ws(listener: SocketListener): void {
  if (typeof listener !== "function") throw new TypeError("server.ws needs a function");
  if (listeners.length === 0) register(SOCKETS_PATH, SocketListeners);
  listeners.push(listener);
}

/** A client's socket, with what is used most of the package `ws`. */
class ServerSocket extends Emitter {
  readyState = 1;
  readonly OPEN = 1;
  readonly CLOSED = 3;
  #waiting: unknown[] = [];
  #wake: () => void = () => {};

  send(data: any, ...more: any[]): void {
    if (this.readyState !== 1) throw new ClientError("the socket is closed");
    const isText = typeof data === "string";
    const contentType = isText ? "text/plain" : "application/octet-stream";
    this.#waiting.push({ contentType, data });
    this.#wake();
    more.find((argument) => typeof argument === "function")?.();
  }

  close(): void {
    if (this.readyState === this.CLOSED) return;
    this.readyState = this.CLOSED;
    this.#wake();
    this.emit("close", 1000, "");
  }

  terminate(): void {
    this.close();
  }

  /** What goes out, until the socket is closed. */
  async *outgoing(): AsyncGenerator<unknown> {
    while (true) {
      yield* this.#waiting.splice(0);
      if (this.readyState === this.CLOSED) return;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        if (this.#waiting.length > 0) resolve();
      });
    }
  }
}

/** What the host connects clients to. */
class SocketListeners {
  static connect(_target: unknown, incoming: any, context: Context): AsyncGenerator<unknown> {
    const socket = new ServerSocket();
    context.onClose?.push(() => socket.close());
    const step = (at: number): any => {
      if (at === listeners.length) {
        throw new ClientError(`No resource was found to handle ${context.pathname}`, 404);
      }
      return listeners[at](socket, context, Promise.resolve(), () => step(at + 1));
    };
    // What the listener does later must not keep the client from what it sends now.
    const ended = Promise.resolve(step(0));
    const read = async () => {
      for await (const message of incoming) {
        socket.emit("message", asSent(message), false);
      }
      socket.close();
    };
    read().catch((error) => socket.emit("error", error));
    ended.catch((error) => {
      console.error(error);
      socket.close();
    });
    return socket.outgoing();
  }
}

/** A message as it came: the host has decoded it. Buffers as in Node's `ws`; where there is no
 * `Buffer`, strings, and bytes for what is no text. */
function asSent(message: any): any {
  const isTyped = message?.contentType !== undefined && message.data !== undefined;
  const raw = isTyped ? message.data : message;
  const isData = typeof raw === "string" || raw instanceof Uint8Array;
  const data = isData ? raw : JSON.stringify(raw);
  const { Buffer } = globalThis as any;
  if (Buffer) return Buffer.from(data);
  if (typeof data === "string") return data;
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(data);
  } catch {
    return data;
  }
}
