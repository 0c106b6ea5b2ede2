// From a module's exports to paths (harper-resources.md section 2).
import { op_kora_exports } from "ext:core/ops";
import { overridesStatic, Resource } from "ext:kora/harperdb/resource.ts";

const VERBS = ["get", "put", "post", "delete"] as const;
const METHODS = [...VERBS, "patch", "query", "search", "publish", "subscribe", "connect"] as const;

interface Exported {
  path: string;
  resource: any;
}

const exported: Exported[] = [];

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

/** Registers a resource at a path; the last one to take a path has it. */
export function register(path: string, resource: any): void {
  const known = exported.find((entry) => entry.path === path);
  if (known) known.resource = resource;
  else exported.push({ path, resource });
}

export function registered(path: string): any {
  return exported.find((entry) => entry.path === path)?.resource;
}

function join(directory: string, name: string): string {
  if (name.startsWith("/")) return name.slice(1);
  const below = name.startsWith("./") ? name.slice(2) : name;
  return directory === "" ? below : `${directory}/${below}`;
}

/** Walks the exports of one module whose paths begin with `directory`. */
export function walkExports(namespace: any, directory: string): void {
  for (const [name, value] of Object.entries<any>(namespace)) {
    if (isResource(value)) {
      if (name === "default") register(directory, value);
      const path = typeof value.path === "string" && value.path !== "" ? value.path : name;
      register(join(directory, path), value);
    } else if (isPlainObject(value)) {
      walkExports(value, join(directory, name));
    }
  }
}

function methodsOf(resource: any): string[] {
  return METHODS.filter((name) => {
    if (resource.prototype instanceof Resource) {
      // What lacks `get` answers that there is nothing, not that the method is wrong (section 3.3).
      if (name === "get") return true;
      return overridesStatic(resource, name) || typeof resource.prototype[name] === "function" ||
        (name === "post" && typeof resource.prototype.create === "function");
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

/** Tells the host what was exported; from here on calls name exports by their number. */
export function finishExports(): void {
  op_kora_exports(exported.map(({ path, resource }) => ({
    path,
    name: resource.name || path,
    methods: methodsOf(resource),
    table: resource.tableNumber ?? null,
    documentation: documentationOf(resource),
  })));
}

/** The resource of export number `number`. */
export function exportedResource(number: number): any {
  return exported[number].resource;
}
