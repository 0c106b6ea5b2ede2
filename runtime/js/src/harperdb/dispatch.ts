// Where Rust enters: one function for calls, one for streams. Both return at once; the answer goes
// back by an op. Neither throws: what goes wrong is the answer.
//
// A call whose transaction conflicts with another one is run again as a whole, with a fresh context
// and a fresh body: nothing of it was stored and nothing was sent (harper-resources.md section 8).
import { op_kora_body, op_kora_client_done } from "ext:core/ops";
import { Client, isStream } from "ext:kora/harperdb/client.ts";
import { Context, runWith, type User, userOf } from "ext:kora/harperdb/context.ts";
import { ClientError, isThrownResponse, missingMethod } from "ext:kora/harperdb/errors.ts";
import { exportedPath, exportedResource } from "ext:kora/harperdb/exports.ts";
import { overridesStatic } from "ext:kora/harperdb/pipeline.ts";
import { fail, reply } from "ext:kora/harperdb/reply.ts";
import { type RequestContext, takeResumed } from "ext:kora/harperdb/request.ts";
import { Resource } from "ext:kora/harperdb/resource.ts";
import { HostTarget, type Id, RequestTarget, toTarget } from "ext:kora/harperdb/target.ts";
import { isConflict, isThenable, transactional } from "ext:kora/harperdb/transaction.ts";

/** The verbs in the order of their numbers in Rust (`kora_resource::Verb`). */
const VERBS = [
  "get", "put", "patch", "post", "delete", "query", "publish", "copy", "move",
] as const;
const TAKES_BODY = [false, true, true, true, false, true, true, true, true];

/** How often a call is run before its conflict is the client's to know. */
const ATTEMPTS = 20;
/** From this one on calls that conflict take turns: at least one of them gets through each time. */
const TURNS_FROM = 3;

/** One call on its way. */
interface Call {
  number: number;
  exported: number;
  target: HostTarget;
  params: string[] | undefined;
  user: User | undefined;
  authorize: boolean;
  verb: number;
  attempt: number;
  /** What this worker's listeners have made of the request. */
  request: RequestContext | undefined;
}

/** Runs one verb of one export. */
export function call(
  number: number,
  exported: number,
  url: string,
  id: Id,
  isCollection: boolean,
  search: string | undefined,
  property: string | undefined,
  params: string[] | undefined,
  user: User | undefined,
  authorize: boolean,
  verb: number,
  body: any,
): void {
  const target = new HostTarget(url, id, isCollection, search, property);
  const request = takeResumed();
  run({ number, exported, target, params, user, authorize, verb, attempt: 1, request }, body);
}

/** Runs a call once; a promise where it does not end at once. */
function run(call: Call, body: any): Promise<void> | undefined {
  const context = call.request?.enter(body) ?? new Context(call.number, body);
  context.user ??= userOf(call.user);
  context.authorize = call.authorize;
  const ended = (value: any) => reply(call.number, call.exported, value, context);
  const failed = (error: any) => {
    if (isConflict(error)) return again(call, context, error);
    if (isThrownResponse(error)) return ended(error);
    fail(call.number, call.exported, error, context);
  };
  try {
    const resource = exportedResource(call.exported);
    context.handlerPath = exportedPath(call.exported);
    const result = runWith(
      context,
      () =>
        transactional<any>(context, () => {
          const target = targetFor(resource, call, context);
          return perform(resource, call.verb, target, body, context);
        }),
    );
    if (isThenable(result)) return result.then(ended, failed) as Promise<void>;
    ended(result);
  } catch (error) {
    return failed(error);
  }
}

/** The end of the line of calls that take turns. */
let turns: Promise<unknown> = Promise.resolve();

function again(call: Call, context: Context, error: any): Promise<void> | undefined {
  if (call.attempt >= ATTEMPTS) {
    const message = "What this request read was changed by others each of the " +
      `${ATTEMPTS} times that it was run; try again later (${error.message})`;
    fail(call.number, call.exported, new ClientError(message, 409), context);
    return undefined;
  }
  const next = { ...call, attempt: call.attempt + 1 };
  const rerun = () => run(next, op_kora_body(call.number));
  if (next.attempt < TURNS_FROM) return rerun();
  turns = turns.then(rerun);
  return undefined;
}

/** The target of a call, as its class wants URLs to be read. */
function targetFor(resource: any, call: Call, context: Context): RequestTarget {
  const target = new RequestTarget(call.target);
  const { url } = call.target;
  if (call.params) assignParams(resource, target, call.params);
  else if (resource.directURLMapping) {
    target.id = url.replace(/^\//, "");
    target.isCollection = undefined;
  } else if (url !== "" && overridesStatic(resource, "parsePath")) {
    assignParsed(target, resource.parsePath(target.pathname.slice(1), context, target));
  }
  if (call.authorize) target.checkPermission = context.user?.role.permission ?? {};
  return target;
}

/** The parameters of a path like `/widget/:id`, decoded: a flat list of names and values. */
function assignParams(resource: any, target: RequestTarget, params: string[]): void {
  for (let at = 0; at < params.length; at += 2) {
    const [name, value] = [params[at], params[at + 1]];
    // The id has the type of the table's keys; a resource without a table takes it as it is.
    const coerces = name === "id" && typeof resource.coerceId === "function";
    (target as any)[name] = coerces ? resource.coerceId(value) : value;
    if (name === "id") target.isCollection = undefined;
  }
}

/** What a class's own `parsePath` gives: an id, or an object with one. */
function assignParsed(target: RequestTarget, parsed: any): void {
  if (parsed === undefined) return;
  if (parsed === null || typeof parsed !== "object" || Array.isArray(parsed)) {
    target.id = parsed;
    target.isCollection = parsed === null || undefined;
    return;
  }
  if ("id" in parsed) target.id = parsed.id;
  if ("isCollection" in parsed) target.isCollection = parsed.isCollection;
  if (parsed.query && parsed.query !== target) {
    Object.assign(target, toTarget(parsed.query).query().options);
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

/** Opens a stream to one client. `incomingNumber` -1 where the client can't send (SSE, MQTT). */
export function connect(
  number: number,
  exported: number,
  url: string,
  id: Id,
  isCollection: boolean,
  search: string | undefined,
  property: string | undefined,
  params: string[] | undefined,
  user: User | undefined,
  authorize: boolean,
  incomingNumber: number,
  method: "connect" | "subscribe",
  options: Record<string, unknown> | undefined,
): void {
  const resumed = takeResumed();
  const context = resumed ?? new Context(number);
  context.user ??= userOf(user);
  context.authorize = authorize;
  context.isWebSocket = incomingNumber >= 0;
  context.onClose = [];
  context.keep();
  const host = new HostTarget(url, id, isCollection, search, property);
  const call = {
    number, exported, target: host, params, user, authorize, verb: -1, attempt: 1, request: resumed,
  };
  const client = new Client(number, exported, incomingNumber, context);
  const open = async () => {
    const resource = exportedResource(exported);
    context.handlerPath = exportedPath(exported);
    if (typeof resource[method] !== "function") throw missingMethod(resource.name, method);
    const stream = await transactional<any>(
      context,
      () => {
        const target = targetFor(resource, call, context);
        if (options) Object.assign(target, options);
        return method === "connect"
          ? resource.connect(target, client.incoming, context)
          : resource.subscribe(target, context);
      },
    );
    if ((client.incoming || method === "subscribe") && !isStream(stream)) {
      throw new TypeError(
        `${method} of ${resource.name} must return an async iterable, but it returned ${typeof stream}`,
      );
    }
    return stream;
  };
  runWith(context, () => client.serve(open))
    .catch((error) => client.end(error))
    .finally(op_kora_client_done);
}
