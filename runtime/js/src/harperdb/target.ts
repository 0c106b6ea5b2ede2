// `RequestTarget`: what part of a resource is meant, with its query (harper-resources.md section 5).
import { op_kora_parse_target } from "ext:core/ops";

export type Id = string | number | bigint | null | Id[];

/** The properties of a query in object form, which code may set on a target. */
const QUERY_PROPERTIES = ["conditions", "operator", "sort", "select", "limit", "offset"] as const;

export class RequestTarget extends URLSearchParams {
  id: Id | undefined;
  isCollection: boolean | undefined;
  property: string | undefined;
  pathname = "";
  search = "";
  /** The text that the target was made of, until it is changed. */
  url = "";
  checkPermission: unknown;
  subscribe: boolean | undefined;
  conditions: unknown;
  operator: unknown;
  sort: unknown;
  select: unknown;
  /** What a subscription begins with and passes on (harper-realtime.md section 3). */
  omitCurrent: boolean | undefined;
  previousCount: number | undefined;
  startTime: number | undefined;
  onlyChildren: boolean | undefined;
  /** Whether the conditions of the query hold for events, too. */
  filter: boolean | undefined;
  /** The position of the change log that a client goes on from; opaque. */
  resume: string | undefined;
  /** The levels of an MQTT topic filter below the resource: `+/x`. */
  pattern: string | undefined;
  limit: number | undefined;
  offset: number | undefined;

  constructor(url?: string) {
    const mark = url?.indexOf("?") ?? -1;
    super(url !== undefined && mark >= 0 ? url.slice(mark + 1) : "");
    if (url === undefined) return;
    const [id, isCollection, property] = op_kora_parse_target(url, -1);
    fill(this, url, id, isCollection, mark >= 0 ? url.slice(mark + 1) : undefined, property);
  }

  override toString(): string {
    return this.url || super.toString();
  }

  override set(name: string, value: string): void {
    this.#change(() => super.set(name, value));
  }

  override append(name: string, value: string): void {
    this.#change(() => super.append(name, value));
  }

  override delete(name: string): void {
    this.#change(() => super.delete(name));
  }

  /** Changed parameters are the query from then on. */
  #change(change: () => void): void {
    change();
    this.search = super.toString();
    this.url = this.pathname + (this.search ? "?" + this.search : "");
  }
}

function fill(
  target: RequestTarget,
  url: string,
  id: Id,
  isCollection: boolean,
  search: string | undefined,
  property: string | undefined,
): void {
  target.url = url;
  target.pathname = search === undefined ? url : url.slice(0, url.length - search.length - 1);
  target.search = search ?? "";
  target.isCollection = isCollection || undefined;
  target.id = id ?? (isCollection ? null : undefined);
  target.property = property;
}

/** A target from what the host has parsed already. */
export function hostTarget(
  url: string,
  id: Id,
  isCollection: boolean,
  search: string | undefined,
  property: string | undefined,
): RequestTarget {
  const target = new RequestTarget();
  if (search) for (const [name, value] of new URLSearchParams(search)) target.append(name, value);
  fill(target, url, id, isCollection, search, property);
  return target;
}

/** The query that code has set on a target or handed over as a plain object. */
export function queryOptions(target: any): Record<string, unknown> | undefined {
  let options: Record<string, unknown> | undefined;
  for (const name of QUERY_PROPERTIES) {
    const value = target[name];
    if (value !== undefined && value !== null) {
      options ??= {};
      options[name] = name === "conditions" && !Array.isArray(value) && isIterable(value)
        ? [...value as Iterable<unknown>]
        : value;
    }
  }
  return options;
}

function isIterable(value: any): boolean {
  return typeof value === "object" && typeof value[Symbol.iterator] === "function";
}

/** Whether an object asks for records (a collection) and not for one. */
export function isQuery(target: any): boolean {
  return target.conditions != null || target.limit != null || target.sort != null;
}

/** A target for whatever the first argument of a static method is (section 4). */
export function toTarget(first: any): RequestTarget {
  if (first instanceof RequestTarget) return first;
  const target = new RequestTarget();
  if (first === undefined || first === null) {
    target.id = null;
    target.isCollection = true;
  } else if (typeof first !== "object") {
    target.id = first;
  } else if (first instanceof URLSearchParams) {
    for (const [name, value] of first) target.append(name, value);
    target.id = null;
    target.isCollection = true;
  } else if (Array.isArray(first) || isIterable(first)) {
    fillFromList(target, [...first]);
  } else {
    Object.assign(target, first);
    if (first.id === undefined || first.id === null) target.isCollection = true;
    else if (first.isCollection === undefined && isQuery(first)) target.isCollection = true;
  }
  return target;
}

/** Leading primitives are an id, objects are conditions. */
function fillFromList(target: RequestTarget, list: any[]): void {
  const conditions = list.filter((item) => item !== null && typeof item === "object");
  const id = list.filter((item) => item === null || typeof item !== "object");
  if (conditions.length > 0) {
    target.conditions = conditions;
    target.isCollection = true;
    target.id = id.length > 0 ? id : null;
  } else {
    target.id = id;
  }
}
