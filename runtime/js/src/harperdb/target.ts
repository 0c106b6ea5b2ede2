// `RequestTarget`: what part of a resource is meant, with its query (harper-resources.md section 5).
// The query stays text until somebody looks at its parts: a search that nobody touched goes to Rust
// as it came.
import { op_kora_parse_query, op_kora_parse_target } from "ext:core/ops";
import { callOf, QueryText } from "ext:kora/harperdb/query_text.ts";

export type Id = string | number | bigint | null | Id[];

/** The properties of a query in object form, which code may read and set on a target. */
const QUERY_PROPERTIES = [
  "conditions", "operator", "sort", "select", "limit", "offset", "explain",
  "enforceExecutionOrder", "allowFullScan", "allowConditionsOnDynamicAttributes", "reverse",
] as const;
type QueryProperty = typeof QUERY_PROPERTIES[number];
/** What the calls in a query's text say. */
const CALL_PARTS: Record<string, QueryProperty[]> = {
  select: ["select"],
  limit: ["limit", "offset"],
  sort: ["sort"],
  "group-by": [],
};

type QueryParts = Partial<Record<QueryProperty, any>>;

/** What the host has parsed of a URL already. */
export class HostTarget {
  constructor(
    readonly url: string,
    readonly id: Id,
    readonly isCollection: boolean,
    readonly search: string | undefined,
    readonly property: string | undefined,
  ) {}
}

export class RequestTarget extends URLSearchParams {
  id: Id | undefined;
  isCollection: boolean | undefined;
  property: string | undefined;
  checkPermission: unknown;
  declare conditions: any;
  declare operator: any;
  declare sort: any;
  declare select: any;
  declare limit: number | undefined;
  declare offset: number | undefined;
  declare subscribe: boolean | undefined;
  declare lazy: boolean | undefined;
  declare loadedFromSource: boolean | undefined;
  declare noCache: boolean | undefined;
  declare noCacheStore: boolean | undefined;
  declare onlyIfCached: boolean | undefined;
  declare staleIfError: boolean | undefined;
  declare mustRevalidate: boolean | undefined;
  declare replicateTo: unknown;
  declare replicateFrom: unknown;
  declare replicatedConfirmation: number | undefined;
  /** What a subscription begins with and passes on (harper-realtime.md section 3). */
  declare omitCurrent: boolean | undefined;
  declare previousCount: number | undefined;
  declare startTime: number | undefined;
  declare onlyChildren: boolean | undefined;
  /** Whether the conditions of the query hold for events, too. */
  declare filter: boolean | undefined;
  /** The position of the change log that a client goes on from; opaque. */
  declare resume: string | undefined;
  /** The levels of an MQTT topic filter below the resource: `+/x`. */
  declare pattern: string | undefined;
  /** What follows the resource's path: the path with its leading `/`, then the query. */
  #pathname = "";
  #search = "";
  /** The parts of the query; `undefined` while it is only text. */
  #parts: QueryParts | undefined;
  #parseError: Error | undefined;

  constructor(url?: string | HostTarget) {
    if (url instanceof HostTarget) {
      super(url.search ?? "");
      this.#take(url);
      return;
    }
    const mark = url?.indexOf("?") ?? -1;
    const search = mark >= 0 ? url!.slice(mark + 1) : undefined;
    super(search ?? "");
    if (url === undefined) return;
    const [id, isCollection, property] = op_kora_parse_target(url, -1);
    this.#take(new HostTarget(url, id, isCollection, search, property));
  }

  #take({ url, id, isCollection, search, property }: HostTarget): void {
    this.#search = search ?? "";
    this.#pathname = search === undefined ? url : url.slice(0, url.length - search.length - 1);
    this.isCollection = isCollection || undefined;
    this.id = id ?? (isCollection ? null : undefined);
    this.property = property;
  }

  get pathname(): string {
    return this.#pathname;
  }

  /** The query's text, without its `?`; empty once code has changed the parts of the query. */
  get search(): string {
    return this.#search;
  }

  /** The text that the target was made of, with what was changed in it. */
  get url(): string {
    return this.#search === "" ? this.#pathname : `${this.#pathname}?${this.#search}`;
  }

  override toString(): string {
    return this.url || super.toString();
  }

  /** Why the query's text is no query; thrown by who searches for it. */
  get parseError(): Error | undefined {
    if (!this.#parts && this.#search !== "") this.#parse();
    return this.#parseError;
  }

  #parse(): QueryParts {
    if (this.#parts) return this.#parts;
    this.#parts = {};
    if (this.#search !== "") {
      try {
        this.#parts = op_kora_parse_query(this.#search);
      } catch (error) {
        this.#parseError = error as Error;
      }
    }
    return this.#parts!;
  }

  /** A part of the query, for the accessors below. */
  part(name: QueryProperty): any {
    return this.#search === "" && !this.#parts ? undefined : this.#parse()[name];
  }

  /** Sets a part of the query, for the accessors below. */
  setPart(name: QueryProperty, value: unknown): void {
    this.#parse()[name] = value;
  }

  /**
   * What to search for: the text of the URL while nobody looked into it, else the parts, which code
   * may have changed.
   */
  query(): { search: string; options: Record<string, unknown> | undefined } {
    if (this.#parseError) throw this.#parseError;
    if (!this.#parts) return { search: this.#search, options: undefined };
    return { search: "", options: queryOptions(this.#parts) };
  }

  /** Whether records are asked for, and not one record or the resource itself. */
  get asksForRecords(): boolean {
    if (this.isCollection) return true;
    if (this.id !== null && this.id !== undefined) return false;
    return this.#search !== "" || (this.#parts !== undefined && isQuery(this.#parts));
  }

  override set(name: string, value: string): void {
    super.set(name, value);
    this.#change((text) => text.set(name, value));
    this.#changeConditions(name, value, true);
  }

  override append(name: string, value: string): void {
    super.append(name, value);
    this.#change((text) => text.append(name, value));
    this.#changeConditions(name, value, false);
  }

  override delete(name: string): void {
    super.delete(name);
    this.#change((text) => text.delete(name));
    this.#changeConditions(name, undefined, true);
  }

  #change(change: (text: QueryText) => void): void {
    const text = new QueryText(this.#search);
    change(text);
    this.#search = text.toString();
  }

  /** Keeps parts that code has looked at in step with the text. */
  #changeConditions(name: string, value: string | undefined, replace: boolean): void {
    const parts = this.#parts;
    if (!parts || this.#parseError) {
      // Nobody has seen parts worth keeping: the new text says it all.
      this.#parts = undefined;
      this.#parseError = undefined;
      return;
    }
    const call = callOf(name);
    if (call) {
      const parsed = op_kora_parse_query(this.#search);
      for (const part of CALL_PARTS[call]) parts[part] = parsed[part];
      return;
    }
    const kept = [...parts.conditions ?? []];
    parts.conditions = replace
      ? kept.filter((condition: any) => (condition.attribute ?? condition[0]) !== name)
      : kept;
    if (value !== undefined) {
      parts.conditions.push({ attribute: name, comparator: "equals", value });
    }
  }
}

for (const name of QUERY_PROPERTIES) {
  Object.defineProperty(RequestTarget.prototype, name, {
    get(this: RequestTarget) {
      return this.part(name);
    },
    set(this: RequestTarget, value: unknown) {
      this.setPart(name, value);
    },
    enumerable: true,
    configurable: true,
  });
}

/**
 * The conditions that the events of a subscription must satisfy: those that code hands over, and those
 * of a URL where its client asks for that, because a URL's query means nothing to a subscription else.
 */
export function eventFilter(target: any): Record<string, unknown> {
  if (target instanceof RequestTarget) {
    if (!target.filter) return target.search === "" ? conditionsOf(target) : {};
    const { search, options } = target.query();
    return search === "" ? conditionsOf(options ?? {}) : { filter: search };
  }
  return conditionsOf(target);
}

function conditionsOf({ conditions, operator }: any): Record<string, unknown> {
  return { conditions, operator };
}

/** The parts of a query in object form that are there. */
export function queryOptions(target: any): Record<string, unknown> | undefined {
  let options: Record<string, unknown> | undefined;
  for (const name of QUERY_PROPERTIES) {
    const value = target[name];
    if (value === undefined || value === null) continue;
    options ??= {};
    options[name] = name === "conditions" && !Array.isArray(value) && isIterable(value)
      ? [...value as Iterable<unknown>]
      : value;
  }
  return options;
}

function isIterable(value: any): boolean {
  return typeof value === "object" && typeof value[Symbol.iterator] === "function";
}

/** Whether a query in object form asks for records and not for one. */
function isQuery(query: any): boolean {
  return query.conditions != null || query.limit != null || query.sort != null;
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
    fillFromObject(target, first);
  }
  return target;
}

/** `{ id?, conditions?, select?, ... }`: a query, or one record with how it is wanted. */
function fillFromObject(target: RequestTarget, first: any): void {
  for (const name of Object.keys(first)) {
    // Two are read only: they are what the text says.
    if (name !== "url" && name !== "search" && name !== "pathname") {
      (target as any)[name] = first[name];
    }
  }
  if (first.id === undefined || first.id === null) target.isCollection = true;
  else if (first.isCollection === undefined && isQuery(first)) target.isCollection = true;
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
