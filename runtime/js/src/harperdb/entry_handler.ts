// `scope.handleEntry`: the component's files and directories that a plugin takes, now and as they
// change in `kora dev` (harper-components.md section 3). The host knows globs and mounts; this tells
// what is new, changed or gone since the last look.
import { op_kora_entry_contents, op_kora_scan } from "ext:core/ops";
import { Emitter } from "ext:kora/harperdb/emitter.ts";

interface Found {
  entryType: "file" | "directory";
  absolutePath: string;
  urlPath: string;
  size: number;
  modified: number;
}

export type EventType = "add" | "change" | "unlink" | "addDir" | "unlinkDir";
export type EntryListener = (entry: any) => any;

/** What code of Node reads of `fs.Stats`. */
function statsOf({ entryType, size, modified }: Found): any {
  return {
    size,
    mtimeMs: modified,
    mtime: new Date(modified),
    isFile: () => entryType === "file",
    isDirectory: () => entryType === "directory",
  };
}

/** The bytes of a file, as a `Buffer` where there is one. */
export function contentsOf(path: string): any {
  const bytes: Uint8Array = op_kora_entry_contents(path);
  const { Buffer } = globalThis as any;
  return Buffer ? Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length) : bytes;
}

export class EntryHandler extends Emitter {
  name: string;
  directory: string;
  #options: any;
  #known = new Map<string, Found>();
  #isClosed = false;
  #first: Promise<void> | undefined;

  constructor(name: string, directory: string, options: any, listener?: EntryListener) {
    super();
    this.name = name;
    this.directory = directory;
    this.#options = options;
    if (listener) this.on("all", listener);
  }

  /** Resolves after everything that is there at the beginning was told. */
  ready(): Promise<void> {
    // In a microtask, so that code can add its listeners first.
    return this.#first ??= Promise.resolve().then(async () => {
      try {
        await Promise.all(this.look().pending);
        this.emit("ready");
      } catch (error) {
        this.emit("error", error);
      }
    });
  }

  /** Looks at the files again and tells what is different; which paths somebody has heard of. */
  look(): { handled: Set<string>; pending: any[] } {
    const handled = new Set<string>();
    const pending: any[] = [];
    if (this.#isClosed) return { handled, pending };
    const found: Found[] = op_kora_scan(this.#options);
    const now = new Map(found.map((entry) => [entry.absolutePath, entry]));
    const tell = (eventType: EventType, entry: Found) => {
      const results = this.#tell(eventType, entry);
      if (results.length > 0) handled.add(entry.absolutePath);
      pending.push(...results);
    };
    for (const [path, entry] of this.#known) {
      if (!now.has(path)) tell(entry.entryType === "file" ? "unlink" : "unlinkDir", entry);
    }
    for (const [path, entry] of now) {
      const before = this.#known.get(path);
      if (!before) tell(entry.entryType === "file" ? "add" : "addDir", entry);
      else if (entry.entryType === "file" && isChanged(before, entry)) tell("change", entry);
    }
    this.#known = now;
    return { handled, pending };
  }

  #tell(eventType: EventType, found: Found): any[] {
    const { entryType, absolutePath, urlPath } = found;
    const entry: any = { eventType, entryType, absolutePath, urlPath, stats: statsOf(found) };
    if (eventType === "add" || eventType === "change") entry.contents = contentsOf(absolutePath);
    return [...this.call("all", [entry]), ...this.call(eventType, [entry])];
  }

  /** Other files from now on. */
  update(config: any): Promise<void> {
    this.#options = isFilesOnly(config) ? { ...this.#options, files: config } : config;
    return this.#first?.then(() => void this.look()) ?? this.ready();
  }

  close(): this {
    this.#isClosed = true;
    this.emit("close");
    this.removeAllListeners();
    return this;
  }
}

function isChanged(before: Found, now: Found): boolean {
  return before.modified !== now.modified || before.size !== now.size;
}

/** Globs, and not an object with `files` and `urlPath`. */
export function isFilesOnly(config: any): boolean {
  return typeof config === "string" || Array.isArray(config) || config?.source !== undefined;
}
