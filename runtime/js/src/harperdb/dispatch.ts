// Where Rust enters: one function for calls, one for streams. Both return at once; the answer goes
// back by an op. Neither throws: what goes wrong is the answer.
import {
  op_kora_accept,
  op_kora_closed,
  op_kora_finish,
  op_kora_incoming,
  op_kora_incoming_close,
  op_kora_send,
  op_kora_writable,
} from "ext:core/ops";
import { Context, runWith, userOf } from "ext:kora/harperdb/context.ts";
import { failure, missingMethod } from "ext:kora/harperdb/errors.ts";
import { IterableEventQueue } from "ext:kora/harperdb/event_queue.ts";
import { exportedResource } from "ext:kora/harperdb/exports.ts";
import { fail, reply } from "ext:kora/harperdb/reply.ts";
import { overridesStatic, Resource } from "ext:kora/harperdb/resource.ts";
import { Subscription } from "ext:kora/harperdb/subscription.ts";
import { hostTarget, type Id, type RequestTarget } from "ext:kora/harperdb/target.ts";
import { isThenable, transactional } from "ext:kora/harperdb/transaction.ts";

/** The verbs in the order of their numbers in Rust (`kora_resource::Verb`). */
const VERBS = ["get", "put", "patch", "post", "delete", "query", "publish"] as const;
const TAKES_BODY = [false, true, true, true, false, true, true];

/** A client's messages that may wait for the code that reads them. */
const INCOMING_AHEAD = 16;

/** Runs one verb of one export. */
export function call(
  number: number,
  exported: number,
  url: string,
  id: Id,
  isCollection: boolean,
  search: string | undefined,
  property: string | undefined,
  user: number,
  authorize: boolean,
  verb: number,
  body: any,
): void {
  const context = new Context(number);
  context.user = userOf(user);
  context.authorize = authorize;
  context.data = body;
  try {
    const target = hostTarget(url, id, isCollection, search, property);
    if (authorize) target.checkPermission = context.user?.role.permission ?? {};
    const result = runWith(
      context,
      () =>
        transactional<any>(
          context,
          () => perform(exportedResource(exported), verb, target, body, context),
        ),
    );
    if (isThenable(result)) {
      result.then(
        (value: any) => reply(number, exported, value, context),
        (error: any) => fail(number, exported, error, context),
      );
    } else {
      reply(number, exported, result, context);
    }
  } catch (error) {
    fail(number, exported, error, context);
  }
}

function perform(
  resource: any,
  verb: number,
  target: RequestTarget,
  body: any,
  context: Context,
): any {
  const name = VERBS[verb];
  if (typeof resource[name] !== "function") throw missingMethod(resource.name ?? "object", name);
  if (!TAKES_BODY[verb]) return resource[name](target, context);
  // Statics that a component wrote get the body as a promise, as Harper reads it lazily.
  const host = resource.prototype instanceof Resource && !overridesStatic(resource, name);
  return resource[name](target, host ? body : Promise.resolve(body), context);
}

/** Opens a stream to one client. `incomingNumber` -1 where the client can't send (SSE). */
export function connect(
  number: number,
  exported: number,
  url: string,
  id: Id,
  isCollection: boolean,
  search: string | undefined,
  property: string | undefined,
  user: number,
  authorize: boolean,
  incomingNumber: number,
): void {
  const context = new Context(number);
  context.user = userOf(user);
  context.authorize = authorize;
  context.isWebSocket = incomingNumber >= 0;
  context.onClose = [];
  context.keep();
  const incoming = incomingNumber >= 0 ? new IterableEventQueue() : null;
  const open = async () => {
    const resource = exportedResource(exported);
    if (typeof resource.connect !== "function") throw missingMethod(resource.name, "connect");
    const target = hostTarget(url, id, isCollection, search, property);
    if (authorize) target.checkPermission = context.user?.role.permission ?? {};
    const stream = await transactional<any>(
      context,
      () => resource.connect(target, incoming, context),
    );
    if (incoming === null && !isStream(stream)) return single(number, stream);
    if (!isStream(stream)) {
      throw new TypeError(
        `connect of ${resource.name} must return an async iterable, but it returned ${typeof stream}`,
      );
    }
    const handed = stream instanceof Subscription ? stream.takeSubscription() : -1;
    const socket = op_kora_accept(number, handed);
    const gone = op_kora_closed(socket);
    if (incoming) void readIncoming(incomingNumber, incoming, socket);
    if (handed >= 0) {
      stream.attach(socket);
      await gone;
      stream.close();
      close(incoming, context);
      op_kora_finish(socket, 0, "", "", "");
    } else {
      await pump(socket, stream, gone, incoming, context);
    }
    if (incoming) op_kora_incoming_close(incomingNumber);
  };
  runWith(context, open).catch((error) => {
    if (incoming) op_kora_incoming_close(incomingNumber);
    close(incoming, context);
    fail(number, exported, error, context);
  });
}

function isStream(value: any): boolean {
  return value !== null && typeof value === "object" &&
    (typeof value[Symbol.asyncIterator] === "function" ||
      (typeof value[Symbol.iterator] === "function" && !Array.isArray(value)));
}

function iteratorOf(stream: any): AsyncIterator<any> {
  return stream[Symbol.asyncIterator]?.() ?? stream[Symbol.iterator]();
}

/** SSE of a class that returned one value: one frame, then the end (harper-realtime.md section 4). */
function single(number: number, value: unknown): void {
  const socket = op_kora_accept(number, -1);
  if (value !== undefined && value !== null) op_kora_send(socket, value);
  op_kora_finish(socket, 0, "", "", "");
}

/** The client has gone: loops over its messages and its subscriptions end, `finally` blocks run. */
function close(incoming: IterableEventQueue | null, context: Context): void {
  incoming?.close();
  for (const action of context.onClose?.splice(0) ?? []) action();
}

/** Brings the client's messages in, no faster than they are read. */
async function readIncoming(
  number: number,
  incoming: IterableEventQueue,
  socket: number,
): Promise<void> {
  try {
    while (!incoming.closed) {
      const message = await op_kora_incoming(number);
      if (message.length === 0) break;
      incoming.send(message[0]);
      if (incoming.queue.length >= INCOMING_AHEAD) await incoming.waitForDrain();
    }
    incoming.close();
  } catch (error) {
    // A listener of the component threw: the stream fails as a generator that throws would.
    finishWith(socket, error);
  }
}

/** Sends what a stream yields, no faster than the client reads. */
async function pump(
  socket: number,
  stream: any,
  gone: Promise<void>,
  incoming: IterableEventQueue | null,
  context: Context,
): Promise<void> {
  let iterator = iteratorOf(stream);
  let open = true;
  let ended = false;
  const closed = gone.then(() => {
    if (ended) return;
    open = false;
    close(incoming, context);
    // A generator that waits is told when it next resumes; queues end at once.
    return iterator.return?.();
  }).catch((error) => console.error(error));
  try {
    while (open) {
      const step = await iterator.next();
      if (!open) break;
      if (step.done) {
        // What a generator returns goes on in its place, if it is a stream itself.
        if (!isStream(step.value)) break;
        iterator = iteratorOf(step.value);
        continue;
      }
      const sent = op_kora_send(socket, step.value);
      if (sent === 0 || (sent === 2 && !await op_kora_writable(socket))) break;
    }
    ended = open;
    if (open) await iterator.return?.();
    finishWith(socket);
  } catch (error) {
    ended = true;
    finishWith(socket, error);
  }
  if (!open) await closed;
  close(incoming, context);
}

function finishWith(socket: number, error?: unknown): void {
  if (error === undefined) return op_kora_finish(socket, 0, "", "", "");
  const { status, code, message, stack } = failure(error);
  op_kora_finish(socket, status, code, message || "Error", stack);
}

