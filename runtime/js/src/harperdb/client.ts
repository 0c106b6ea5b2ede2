// One client of a `connect` (harper-realtime.md section 4), from before the class hears of it until
// both sides have ended.
import {
  op_kora_accept,
  op_kora_closed,
  op_kora_finish,
  op_kora_incoming,
  op_kora_incoming_close,
  op_kora_send,
  op_kora_socket,
  op_kora_writable,
} from "ext:core/ops";
import type { Context } from "ext:kora/harperdb/context.ts";
import { failure } from "ext:kora/harperdb/errors.ts";
import { IterableEventQueue } from "ext:kora/harperdb/event_queue.ts";
import { fail } from "ext:kora/harperdb/reply.ts";
import { Subscription } from "ext:kora/harperdb/subscription.ts";

/** A client's messages that may wait for the code that reads them. */
const INCOMING_AHEAD = 16;

/** What `op_kora_send` says of a message. */
enum Sent {
  Closed = 0,
  Taken = 1,
  Full = 2,
}

/** What is sent item by item; bytes and texts are iterable too, and yet one value. */
export function isStream(value: any): boolean {
  return value !== null && typeof value === "object" && !ArrayBuffer.isView(value) &&
    (typeof value[Symbol.asyncIterator] === "function" ||
      typeof value[Symbol.iterator] === "function");
}

/** The iterator of a stream; what a synchronous one yields may be promises, as in `for await`. */
function iteratorOf(stream: any): AsyncIterator<any> {
  if (stream[Symbol.asyncIterator]) return stream[Symbol.asyncIterator]();
  return (async function* () {
    yield* stream;
  })();
}

/** What to do at the end, once the end has come: at once. */
class EndedActions extends Array<() => void> {
  override push(...actions: (() => void)[]): number {
    for (const action of actions) action();
    return 0;
  }
}

export class Client {
  /** The client's messages; `null` where it can't send any (SSE). */
  incoming: IterableEventQueue | null;
  #call: number;
  #exported: number;
  #socket: number;
  #incomingNumber: number;
  #context: Context;
  #iterator: AsyncIterator<any> | undefined;
  #accepted = false;
  #gone = false;
  /** From then on the numbers of the socket and of the messages may name those of another client. */
  #ended = false;

  constructor(call: number, exported: number, incomingNumber: number, context: Context) {
    this.#call = call;
    this.#exported = exported;
    this.#socket = op_kora_socket(call);
    this.#incomingNumber = incomingNumber;
    this.#context = context;
    this.incoming = incomingNumber >= 0 ? new IterableEventQueue() : null;
  }

  /** Sends the stream that `open` gives, as fast as the client reads, until either side ends. */
  async serve(open: () => Promise<any>): Promise<void> {
    op_kora_closed(this.#socket).then(() => this.#leave()).catch(report);
    // Begun before the class has its say: it may read messages before it returns its stream.
    void this.#readIncoming();
    const stream = await open();
    if (!this.incoming && (stream === undefined || stream === null)) {
      this.#accept(true);
      this.end();
      return;
    }
    this.#accept();
    if (isStream(stream)) await this.#pump(stream);
    // Server-Sent Events of a single value: one frame, then the end.
    else if (stream !== undefined && stream !== null) this.#send(stream);
    this.end();
    await this.#stop();
  }

  /** Frees everything of this client; its transport sends what waits, then the error, and closes. */
  end(error?: unknown): void {
    // Nobody is left to be told, so the log must do.
    if (error !== undefined && (this.#gone || this.#ended)) report(error);
    if (this.#ended) return;
    if (error !== undefined && !this.#accepted) {
      this.#accepted = true;
      fail(this.#call, this.#exported, error, this.#context);
    }
    this.#ended = true;
    if (error === undefined) {
      op_kora_finish(this.#socket, 0, "", "", "");
    } else {
      const { status, code, message, stack } = failure(error);
      op_kora_finish(this.#socket, status, code, message || "Error", stack);
    }
    if (this.incoming) op_kora_incoming_close(this.#incomingNumber);
    // Loops over the client's messages and over its subscriptions end, `finally` blocks run.
    this.incoming?.close();
    const actions = this.#context.onClose ?? [];
    this.#context.onClose = new EndedActions();
    for (const action of actions) action();
  }

  /** Has the transport begin to send; with `nothing`, answer that there is nothing to send. */
  #accept(nothing = false): void {
    if (this.#accepted) return;
    this.#accepted = true;
    op_kora_accept(this.#call, nothing);
  }

  /** The client has gone. A generator that waits for something else is told when it resumes. */
  async #leave(): Promise<void> {
    this.#gone = true;
    // Where the class is still at work nobody waits for its answer: this only frees the call.
    this.#accept();
    this.end();
    await this.#stop();
  }

  async #stop(): Promise<void> {
    const iterator = this.#iterator;
    this.#iterator = undefined;
    await iterator?.return?.();
  }

  #send(message: unknown): Sent {
    if (this.#ended) return Sent.Closed;
    const sent = op_kora_send(this.#socket, message);
    const acknowledge = (message as any)?.acknowledge;
    if (sent !== Sent.Closed && typeof acknowledge === "function") acknowledge.call(message);
    return sent;
  }

  /** For `outgoing.send`, which can't wait: past the socket's bound the class hears of a close. */
  #push(message: unknown): void {
    if (this.#send(message) !== Sent.Closed || this.#ended) return;
    this.end();
    this.#stop().catch(report);
  }

  #room(): Promise<boolean> {
    return this.#ended ? Promise.resolve(false) : op_kora_writable(this.#socket);
  }

  /** Brings the client's messages in, no faster than they are read. */
  async #readIncoming(): Promise<void> {
    const incoming = this.incoming;
    if (!incoming) return;
    try {
      while (!incoming.closed) {
        const message = await op_kora_incoming(this.#incomingNumber);
        if (message.length === 0) break;
        incoming.send(message[0]);
        if (incoming.queue.length >= INCOMING_AHEAD) await incoming.waitForDrain();
      }
      incoming.close();
    } catch (error) {
      // A listener of the component threw: the stream fails as a generator that throws would.
      this.end(error);
      await this.#stop().catch(report);
    }
  }

  /** Sends what a stream yields until it ends or the client has gone. */
  async #pump(stream: any): Promise<void> {
    while (!this.#ended) {
      this.#aim(stream);
      const iterator = this.#iterator = iteratorOf(stream);
      let step = await iterator.next();
      while (!step.done) {
        const sent = this.#send(step.value);
        if (sent === Sent.Closed || (sent === Sent.Full && !await this.#room())) return;
        step = await iterator.next();
      }
      this.#iterator = undefined;
      // What a generator returns goes on in its place, if it is a stream itself.
      if (!isStream(step.value)) return;
      stream = step.value;
    }
    // The client went while the class made the stream: what it began there must end.
    await iteratorOf(stream).return?.();
  }

  /** Has queues send to the socket itself, whose bound in bytes holds for them. */
  #aim(stream: any): void {
    if (!(stream instanceof IterableEventQueue)) return;
    if (stream instanceof Subscription && !stream.forward(this.#socket)) return;
    stream.attach({ send: (message) => this.#push(message), room: () => this.#room() });
  }
}

function report(error: unknown): void {
  console.error(error);
}
