// From a module's exports to paths (harper-resources.md section 2).
import { op_kora_exports, op_kora_host, op_kora_register } from "ext:core/ops";
import { logger } from "ext:kora/harperdb/logger.ts";
import { overridesStatic } from "ext:kora/harperdb/pipeline.ts";
import { findMatch } from "ext:kora/harperdb/path_match.ts";
import { Resource } from "ext:kora/harperdb/resource.ts";

const VERBS = ["get", "put", "post", "delete"] as const;
const METHODS = [
  ...VERBS, "patch", "query", "search", "publish", "subscribe", "connect", "copy", "move",
] as const;

/** Which protocols may see a resource: all but those that are exactly `false`. */
type ExportTypes = Record<string, unknown>;

export interface Exported {
  path: string;
  Resource: any;
  exportTypes: ExportTypes | undefined;
  /** Whether it takes its path whoever has it. */
  force: boolean;
  /** Another resource that wants the same path; then the path is nobody's. */
  conflict: string | undefined;
}

/** By path. */
const registry = new Map<string, Exported>();
/** Tables that the schema exports, by path; what is registered at a path stands before them. */
const schemaTables = new Map<string, Exported>();
/** What answers by now, by path; made when somebody asks. */
let answering: Map<string, Exported> | undefined;
/** By the number that Rust has given the path, which is the same in all workers. */
const numbered: Exported[] = [];
/** What is registered after this goes to the host one by one. */
let finished = false;

/** A class that extends `Resource`, or any value with one of the verbs as a function. */
function isResource(value: any): boolean {
  if (value === null || (typeof value !== "object" && typeof value !== "function")) return false;
  if (value === Resource || value.prototype instanceof Resource) return true;
  return VERBS.some((verb) => typeof value[verb] === "function");
}

function isPlainObject(value: any): boolean {
  if (value === null || typeof value !== "object") return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function describe({ Resource: resource }: Exported): string {
  const name = resource.name || "an object";
  return resource.tableName ? `${name} (table ${resource.databaseName}.${resource.tableName})` : name;
}

/**
 * Registers a resource at a path. The last one has it if it is of the same table, or if neither is of
 * one; else, without `force`, the path answers that there is a conflict.
 */
export function register(
  path: string,
  resource: any,
  exportTypes?: ExportTypes,
  force = false,
): void {
  const known = registry.get(path);
  const entry: Exported = { path, Resource: resource, exportTypes, force, conflict: undefined };
  if (known && !force && known.Resource.tableNumber !== resource.tableNumber) {
    entry.conflict = describe(known);
  }
  registry.set(path, entry);
  answering = undefined;
  if (finished) numbered[op_kora_register(shown(entry))] = entry;
}

/** The host: `path` is a table that the schema exports. */
export function addTable(path: string, table: any): void {
  if (table === undefined) return;
  const entry = { path, Resource: table, exportTypes: undefined, force: false, conflict: undefined };
  schemaTables.set(path, entry);
}

function served(): Map<string, Exported> {
  if (!answering) {
    answering = new Map([...schemaTables, ...registry]);
    // What begins with a zero byte is the host's own.
    for (const path of answering.keys()) if (path[0] === "\0") answering.delete(path);
  }
  return answering;
}

function trimmed(path: string): string {
  return String(path).replace(/^\/+|\/+$/g, "");
}

/** `server.resources` and `resources` of the module: the paths of this component. */
export const resources = {
  isWorker: true,
  set(path: string, resource: unknown, exportTypes?: ExportTypes, force?: boolean) {
    if (!isResource(resource)) {
      throw new TypeError(`What is registered at ${path} has none of the methods of a resource`);
    }
    register(trimmed(path), resource, exportTypes, force);
    return resources;
  },
  get: (path: string) => served().get(trimmed(path)),
  has: (path: string) => served().has(trimmed(path)),
  /** While the component is loaded; what is served already stays. */
  delete(path: string): boolean {
    answering = undefined;
    return !finished && registry.delete(trimmed(path));
  },
  /** The entry that answers for a URL, with what of the URL is left for it. */
  getMatch(url: string, exportType?: string) {
    const match = findMatch(served(), url.replace(/^\//, ""), exportType);
    return match && { ...match.entry, relativeURL: match.relativeURL, params: match.params };
  },
  keys: () => served().keys(),
  values: () => served().values(),
  entries: () => served().entries(),
  forEach(visit: (entry: Exported, path: string) => void) {
    served().forEach((entry, path) => visit(entry, path));
  },
  [Symbol.iterator]: () => served().entries(),
  get size() {
    return served().size;
  },
};

function join(directory: string, name: string): string {
  if (name.startsWith("/")) return name.slice(1);
  const below = name.startsWith("./") ? name.slice(2) : name;
  return directory === "" ? below : `${directory}/${below}`;
}

/** Walks the exports of the module in `file`; their paths begin with `directory`. */
export function walkExports(namespace: any, directory: string, file: string): void {
  walk(namespace, directory, file, new Set());
}

function walk(exports: any, directory: string, file: string, above: Set<object>): void {
  for (const [name, value] of Object.entries<any>(exports)) {
    if (isResource(value)) {
      const path = typeof value.path === "string" && value.path !== "" ? value.path : undefined;
      const given = typeof value === "function" ? value.path : path;
      const doubt = doubtOf(given, path ?? name);
      if (doubt) warn(`${file}: ${name}: ${doubt}`);
      if (name === "default" && path === undefined) register(directory, value);
      register(join(directory, path ?? name), value);
    } else if (isPlainObject(value) && !above.has(value)) {
      walk(value, join(directory, name), file, new Set(above).add(value));
    } else if (typeof value === "function") {
      const verb = VERBS.find((verb) => typeof value.prototype?.[verb] === "function");
      if (verb) {
        warn(`${file}: ${name} has a method ${verb} but does not extend Resource: it gets no path`);
      }
    }
  }
}

/** Once a component, not once a worker. */
function warn(message: string): void {
  if (op_kora_host().workerIndex === 0) logger.warn(message);
}

/** What is odd about a path that a class is exported at. */
function doubtOf(given: unknown, path: string): string | undefined {
  if (given !== undefined && typeof given !== "string") {
    return `its static path is not a string but ${JSON.stringify(given) ?? typeof given}; its name is its path`;
  }
  const segments = path.split("/");
  const rest = segments.findIndex((segment) => segment.startsWith("*"));
  if (rest >= 0 && rest < segments.length - 1) {
    return `${segments[rest]} in ${path} stands for the rest of a path only where it is the last part`;
  }
  return segments.includes(":") ? `a parameter in ${path} has no name` : undefined;
}

function methodsOf(resource: any): string[] {
  return METHODS.filter((name) => {
    if (resource.prototype instanceof Resource) {
      // What lacks `get` answers that there is nothing, not that the method is wrong (section 3.3).
      if (name === "get" || overridesStatic(resource, name)) return true;
      const method = resource.prototype[name];
      return name === "post" && method === Resource.prototype.post
        ? typeof resource.prototype.create === "function"
        : typeof method === "function";
    }
    return typeof resource[name] === "function";
  });
}

/** The static properties that only describe a class, as JSON; `null` where it has none. */
function documentationOf(resource: any): string | null {
  const { description, properties, outputSchemas, hidden } = resource;
  if (
    description === undefined && properties === undefined && outputSchemas === undefined && !hidden
  ) {
    return null;
  }
  try {
    return JSON.stringify({ description, properties, outputSchemas, hidden: hidden === true });
  } catch {
    return null;
  }
}

/** What the host is told of an export. */
function shown(entry: Exported): object {
  const { path, Resource: resource, exportTypes, force, conflict } = entry;
  const hidden = Object.entries(exportTypes ?? {}).filter(([, visible]) => visible === false);
  return {
    path,
    name: resource.name || path,
    methods: methodsOf(resource),
    table: resource.tableNumber ?? null,
    hidden: hidden.map(([protocol]) => protocol),
    force,
    documentation: documentationOf(resource),
    conflict: conflict === undefined ? null : `${conflict} and ${describe(entry)}`,
  };
}

/** Tells the host what was exported; from here on calls name exports by their number. */
export function finishExports(): void {
  finished = true;
  const entries = [...registry.values()];
  const numbers = op_kora_exports(entries.map(shown));
  entries.forEach((entry, at) => numbered[numbers[at]] = entry);
}

/** The resource of export number `number`. */
export function exportedResource(number: number): any {
  return numbered[number].Resource;
}

/** The path of export number `number`, without a leading slash. */
export function exportedPath(number: number): string {
  return numbered[number].path;
}
