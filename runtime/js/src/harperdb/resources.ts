// `server.resources`: the component's paths as a map (harper-resources.md section 14). What it holds
// when the component is loaded is what the host serves.
import { exportedPaths, register, registered, unregister } from "ext:kora/harperdb/exports.ts";
import { logger } from "ext:kora/harperdb/logger.ts";

export interface Entry {
  Resource: any;
  path: string;
  exportTypes: Record<string, boolean> | undefined;
}

/** Tables that the schema exports; a class of the same path stands before them. */
const tables = new Map<string, any>();
const types = new Map<string, Record<string, boolean> | undefined>();
let isLoaded = false;

function trimmed(path: string): string {
  return String(path).replace(/^\/+|\/+$/g, "");
}

function entryOf(path: string): Entry | undefined {
  const Resource = registered(path) ?? tables.get(path);
  return Resource === undefined ? undefined : { Resource, path, exportTypes: types.get(path) };
}

/** The host: `path` is a table that the schema exports. */
export function addTable(path: string, table: any): void {
  tables.set(path, table);
}

/** The component is loaded: what comes now comes too late. */
export function finishResources(): void {
  isLoaded = true;
}

function paths(): string[] {
  // What begins with a zero byte is the host's own.
  return [...new Set([...tables.keys(), ...exportedPaths()])].filter((path) => path[0] !== "\0");
}

export const resources = {
  isWorker: true,
  get size(): number {
    return paths().length;
  },
  set(path: string, resource: any, exportTypes?: Record<string, boolean>): typeof resources {
    if (isLoaded && registered(trimmed(path)) === undefined) {
      logger.warn(
        `resources.set("${path}") was called after the component was loaded and serves nothing: ` +
          "await what comes before it",
      );
    }
    types.set(trimmed(path), exportTypes);
    register(trimmed(path), resource);
    return resources;
  },
  get(path: string): Entry | undefined {
    return entryOf(trimmed(path));
  },
  has(path: string): boolean {
    return entryOf(trimmed(path)) !== undefined;
  },
  delete(path: string): boolean {
    return unregister(trimmed(path));
  },
  /** Who answers a URL: the longest path that ends at a `/`, `?` or `.`, else the root. */
  getMatch(url: string, exportType?: string): (Entry & { relativeURL: string }) | undefined {
    const path = trimmed(url.split("?", 1)[0]);
    const query = url.slice(url.split("?", 1)[0].length);
    const allows = (entry: Entry | undefined) =>
      entry && (!exportType || entry.exportTypes?.[exportType] !== false) ? entry : undefined;
    for (let end = path.length; end > 0; end = path.lastIndexOf("/", end - 1)) {
      const entry = allows(entryOf(path.slice(0, end)));
      if (entry) return { ...entry, relativeURL: path.slice(end) + query };
    }
    const dot = path.indexOf(".");
    const entry = dot > 0 ? allows(entryOf(path.slice(0, dot))) : undefined;
    if (entry) return { ...entry, relativeURL: path.slice(dot) + query };
    const root = allows(entryOf(""));
    return root && { ...root, relativeURL: `/${path}${query}` };
  },
  keys(): IterableIterator<string> {
    return paths().values();
  },
  values(): IterableIterator<Entry> {
    return paths().map((path) => entryOf(path)!).values();
  },
  entries(): IterableIterator<[string, Entry]> {
    return paths().map((path): [string, Entry] => [path, entryOf(path)!]).values();
  },
  forEach(visit: (entry: Entry, path: string) => void): void {
    for (const [path, entry] of resources.entries()) visit(entry, path);
  },
  [Symbol.iterator](): IterableIterator<[string, Entry]> {
    return resources.entries();
  },
};
