// The argument shapes of `tables.X.verb(...)` and the order that a class's method expects
// (harper-resources.md sections 3.3 and 4).
import { Context } from "ext:kora/harperdb/context.ts";
import { ClientError } from "ext:kora/harperdb/errors.ts";
import { RequestTarget, toTarget } from "ext:kora/harperdb/target.ts";
import { Transaction } from "ext:kora/harperdb/transaction.ts";

export interface Arguments {
  target: RequestTarget;
  data: any;
  context: Context | undefined;
}

/** What plain objects that stand for a context may say, and records rarely do. */
const CONTEXT_OPTIONS = new Set([
  "user", "transaction", "expiresAt", "lastModified", "source", "noCache", "noCacheStore",
  "onlyIfCached", "staleIfError", "mustRevalidate", "replicateTo", "replicatedConfirmation",
  "requestContext", "authorize", "session", "timestamp",
]);

/** Whether a plain object says nothing but what a context does. */
function isContextOptions(argument: any): boolean {
  if (argument === null || typeof argument !== "object" || Array.isArray(argument)) return false;
  const names = Object.keys(argument);
  return names.length > 0 && names.every((name) => CONTEXT_OPTIONS.has(name));
}

/** The context that an argument stands for: one itself, a resource instance, a transaction. */
function contextOf(argument: any): Context | undefined {
  if (argument instanceof Context) return argument;
  if (argument === null || typeof argument !== "object") return undefined;
  if (argument instanceof Transaction) return Context.derived({ transaction: argument });
  if (typeof argument.getContext === "function") {
    const context = argument.getContext();
    return context instanceof Context ? context : undefined;
  }
  // A plain object with a transaction of ours, as code makes that passes contexts by hand.
  if (argument.transaction instanceof Transaction) return Context.derived(argument);
  return undefined;
}

/** A context in a place where nothing else may stand: any object will do. */
function contextAt(argument: any): Context | undefined {
  return contextOf(argument) ?? (isContextOptions(argument) ? Context.derived(argument) : undefined);
}

/** `(id|target|query)`, `(..., ctx)`, `(..., data, ctx)`. */
export function bodilessArguments(args: any[]): Arguments {
  const context = args.length > 1 ? contextAt(args[1]) ?? contextAt(args[2]) : undefined;
  return { target: toTarget(args[0]), data: undefined, context };
}

/** `(id|target|options)`, `(..., ctx)`, `(..., data, ctx?)` of `update`. */
export function updateArguments(args: any[]): Arguments {
  const context = contextAt(args[1]);
  const data = context ? undefined : args[1];
  return { target: toTarget(args[0]), data, context: context ?? contextAt(args[2]) };
}

/** `(id|target, data, ctx?)`, `(id|target, ctx)`, `(data, ctx?)`, `(data)`. */
export function bodyArguments(args: any[], primaryKey: string | undefined): Arguments {
  const [first, second, third] = args;
  const secondContext = args.length > 1
    ? contextOf(second) ?? (isRecord(first) && isContextOptions(second) ? contextAt(second) : undefined)
    : undefined;
  if (args.length > 1 && !secondContext && !(second === undefined && isRecord(first))) {
    return { target: toTarget(first), data: second, context: contextAt(third) };
  }
  if (!isRecord(first)) {
    // `(id, ctx)`: there is no data, which only some classes need.
    if (secondContext) return { target: toTarget(first), data: undefined, context: secondContext };
    throw new ClientError(
      `Invalid argument for data, must be an object, but got ${String(first)}`,
    );
  }
  const target = new RequestTarget();
  const id = primaryKey === undefined ? undefined : first[primaryKey];
  target.id = id ?? null;
  target.isCollection = id === undefined || id === null || undefined;
  return { target, data: first, context: secondContext };
}

function isRecord(value: any): boolean {
  return value !== null && typeof value === "object" && !(value instanceof URLSearchParams);
}

/** In which order an instance method takes its arguments. */
export enum Order {
  DataFirst,
  TargetFirst,
}

const TARGET_NAME = /^_?(target|query|request|req|id|path|options?|params)$/i;
const DATA_NAME = /data|body|content|record|message|msg|incoming|update|payload|input/i;

const orders = new WeakMap<object, Map<string, Order>>();

/**
 * The order for `method` of an instance of `Class`: the flag `loadAsInstance` decides; without it, the
 * names of the parameters, since guides and applications write `(target, data)` on unflagged classes.
 */
export function orderOf(Class: any, method: string): Order {
  if (Class.loadAsInstance === false) return Order.TargetFirst;
  if (Class.loadAsInstance === true) return Order.DataFirst;
  let known = orders.get(Class);
  if (!known) orders.set(Class, known = new Map());
  let order = known.get(method);
  if (order === undefined) {
    order = orderByNames(Class.prototype[method], method);
    known.set(method, order);
  }
  return order;
}

function orderByNames(method: unknown, name: string): Order {
  if (typeof method !== "function") return Order.DataFirst;
  const names = parameterNames(method);
  if (names.length === 0 || !TARGET_NAME.test(names[0])) return Order.DataFirst;
  if (names.length === 1) {
    // `connect(target)`: a method of one parameter that names a target gets the target.
    return name === "connect" ? Order.TargetFirst : Order.DataFirst;
  }
  return DATA_NAME.test(names[1]) ? Order.TargetFirst : Order.DataFirst;
}

/** The names of a function's first parameters, from its source; patterns have an empty name. */
export function parameterNames(method: Function): string[] {
  const source = Function.prototype.toString.call(method)
    .replace(/\/\*[\s\S]*?\*\/|\/\/[^\n]*/g, "");
  const open = source.indexOf("(");
  if (open < 0) return [];
  const names: string[] = [];
  let depth = 0;
  let current = "";
  for (const character of source.slice(open + 1)) {
    if (depth === 0 && (character === "," || character === ")")) {
      if (current.trim() !== "") names.push(current.trim());
      if (character === ")") break;
      current = "";
      continue;
    }
    if ("([{".includes(character)) depth++;
    if (")]}".includes(character)) depth--;
    current += character;
  }
  return names.map((name) => /^(?:\.\.\.)?([A-Za-z_$][\w$]*)/.exec(name)?.[1] ?? "");
}
