// Where Rust enters: one function for calls, one for streams. Both return at once; the answer goes
// back by an op. Neither throws: what goes wrong is the answer.
import { Client, isStream } from "ext:kora/harperdb/client.ts";
import { Context, runWith, type User, userOf } from "ext:kora/harperdb/context.ts";
import { missingMethod } from "ext:kora/harperdb/errors.ts";
import { exportedResource } from "ext:kora/harperdb/exports.ts";
import { fail, reply } from "ext:kora/harperdb/reply.ts";
import { overridesStatic, Resource } from "ext:kora/harperdb/resource.ts";
import { hostTarget, type Id, type RequestTarget } from "ext:kora/harperdb/target.ts";
import { isThenable, transactional } from "ext:kora/harperdb/transaction.ts";

/** The verbs in the order of their numbers in Rust (`kora_resource::Verb`). */
const VERBS = ["get", "put", "patch", "post", "delete", "query", "publish"] as const;
const TAKES_BODY = [false, true, true, true, false, true, true];

/** Runs one verb of one export. */
export function call(
  number: number,
  exported: number,
  url: string,
  id: Id,
  isCollection: boolean,
  search: string | undefined,
  property: string | undefined,
  user: User | undefined,
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
  user: User | undefined,
  authorize: boolean,
  incomingNumber: number,
): void {
  const context = new Context(number);
  context.user = userOf(user);
  context.authorize = authorize;
  context.isWebSocket = incomingNumber >= 0;
  context.onClose = [];
  context.keep();
  const client = new Client(number, exported, incomingNumber, context);
  const open = async () => {
    const resource = exportedResource(exported);
    if (typeof resource.connect !== "function") throw missingMethod(resource.name, "connect");
    const target = hostTarget(url, id, isCollection, search, property);
    if (authorize) target.checkPermission = context.user?.role.permission ?? {};
    const stream = await transactional<any>(
      context,
      () => resource.connect(target, client.incoming, context),
    );
    if (client.incoming && !isStream(stream)) {
      throw new TypeError(
        `connect of ${resource.name} must return an async iterable, but it returned ${typeof stream}`,
      );
    }
    return stream;
  };
  runWith(context, () => client.serve(open)).catch((error) => client.end(error));
}
