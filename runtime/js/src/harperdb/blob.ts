// Blobs: `createBlob`, and the Blob objects that records hold (harper-resources.md section 13). Their
// content is in Rust; a large one in a file, read in chunks when it is asked for.
import {
  op_kora_blob_append,
  op_kora_blob_begin,
  op_kora_blob_factory,
  op_kora_blob_finish,
  op_kora_blob_of,
  op_kora_blob_read,
  op_kora_blob_release,
  op_kora_blob_text,
} from "ext:core/ops";

const CHUNK = 256 * 1024;
/** Where Rust finds a blob's number. */
const NUMBER = "[[kora.blob]]";
/** How deep a record is searched for blobs that are still being written. */
const DEPTH = 4;

interface BlobOptions {
  type?: string;
  size?: number;
  compress?: boolean;
  flush?: boolean;
  saveBeforeCommit?: boolean;
}

const released = new FinalizationRegistry((number: number) => op_kora_blob_release(number));

/** The blobs that are still being written, and the promises of their ends. */
const saving = new Map<any, Promise<void>>();

let Class: any;

/** The class, made on first use: it extends the web's Blob, which is costly to load. */
function storedBlob(): any {
  return Class ??= class StoredBlob extends Blob {
    #number: number;
    #type: string;
    #size: number | undefined;
    #start = 0;
    #error: any;
    #listeners: Record<string, ((value: any) => void)[]> = {};

    constructor(number: number, type: string, size: number | undefined) {
      super([], { type });
      this.#number = number;
      this.#type = type;
      this.#size = size;
    }

    static stored(number: number, type: string, size: number | undefined): StoredBlob {
      const blob = new StoredBlob(number, type, size);
      Object.defineProperty(blob, NUMBER, { value: number });
      released.register(blob, number);
      return blob;
    }

    static saved(blob: StoredBlob, size: number): void {
      blob.#size = size;
      for (const listener of blob.#listeners.size ?? []) listener(size);
    }

    static failed(blob: StoredBlob, error: any): void {
      blob.#error = error;
      for (const listener of blob.#listeners.error ?? []) listener(error);
    }

    override get type(): string {
      return this.#type;
    }

    override get size(): number {
      return this.#size as number;
    }

    /** `size` when it is known, `error` when the content could not be saved. */
    on(name: "error" | "size", listener: (value: any) => void): this {
      if (name === "size" && this.#size !== undefined) listener(this.#size);
      else if (name === "error" && this.#error !== undefined) listener(this.#error);
      else (this.#listeners[name] ??= []).push(listener);
      return this;
    }

    /** Resolves when the content is saved. */
    async save(): Promise<void> {
      await saving.get(this);
      if (this.#error !== undefined) throw this.#error;
    }

    override async bytes(): Promise<Uint8Array<ArrayBuffer>> {
      await this.save();
      return op_kora_blob_read(this.#number, this.#start, this.#size);
    }

    override async arrayBuffer(): Promise<ArrayBuffer> {
      const bytes = await this.bytes();
      return bytes.buffer;
    }

    override async text(): Promise<string> {
      return new TextDecoder().decode(await this.bytes());
    }

    override stream(): ReadableStream<Uint8Array<ArrayBuffer>> {
      let at = 0;
      return new ReadableStream({
        pull: async (controller) => {
          await this.save();
          const length = Math.min(CHUNK, this.size - at);
          if (length <= 0) return controller.close();
          const chunk = await op_kora_blob_read(this.#number, this.#start + at, length);
          at += chunk.byteLength;
          controller.enqueue(chunk);
        },
      });
    }

    override slice(start = 0, end = this.size, type = ""): Blob {
      const size = this.size;
      const from = start < 0 ? Math.max(size + start, 0) : Math.min(start, size);
      const to = end < 0 ? Math.max(size + end, 0) : Math.min(end, size);
      // Without a number of its own: it is a view, which keeps this blob alive.
      const part = new StoredBlob(this.#number, type, Math.max(to - from, 0));
      part.#start = this.#start + from;
      Object.defineProperty(part, "whole", { value: this });
      return part;
    }

    toJSON(): unknown {
      const text = this.#type.startsWith("text/") ? op_kora_blob_text(this.#number) : undefined;
      if (typeof text === "string") {
        return this.#start === 0 && text.length === this.#size
          ? text
          : text.slice(this.#start, this.#start + (this.#size ?? 0));
      }
      return {
        description: `Blob of ${this.#size ?? "unknown"} bytes, ${this.#type || "unknown type"}`,
      };
    }
  };
}

op_kora_blob_factory((number: number, type: string, size: number, name?: string) => {
  const blob = storedBlob().stored(number, type, size);
  // What came as a file has its name, as a File of the web has.
  if (name !== undefined) Object.defineProperty(blob, "name", { value: name });
  return blob;
});

/** The number of a blob of the store; `undefined` for anything else. */
export function blobNumber(value: any): number | undefined {
  return value?.[NUMBER];
}

/** `createBlob(source, options)` of the module. */
export function createBlob(source: any, options: BlobOptions = {}): any {
  const type = options.type ?? (source instanceof Blob ? source.type : typeof source === "string" ? "text/plain" : "");
  const StoredBlob = storedBlob();
  const bytes = bytesOf(source);
  if (bytes) return StoredBlob.stored(op_kora_blob_of(bytes, type), type, bytes.byteLength);
  const chunks = chunksOf(source);
  const number = op_kora_blob_begin();
  const blob = StoredBlob.stored(number, type, options.size);
  const saved = pump(number, chunks, type).then(
    (size) => StoredBlob.saved(blob, size),
    (error) => StoredBlob.failed(blob, error),
  ).finally(() => saving.delete(blob));
  saving.set(blob, saved);
  return blob;
}

function bytesOf(source: any): Uint8Array | undefined {
  if (typeof source === "string") return new TextEncoder().encode(source);
  if (source instanceof ArrayBuffer) return new Uint8Array(source);
  if (ArrayBuffer.isView(source)) {
    return new Uint8Array(source.buffer, source.byteOffset, source.byteLength);
  }
  return undefined;
}

/** What can be iterated for chunks: streams of the web and of Node, iterables, other blobs. */
function chunksOf(source: any): AsyncIterable<any> | Iterable<any> {
  if (source instanceof Blob) return source.stream() as any;
  if (source !== null && typeof source === "object") {
    if (source[Symbol.asyncIterator] || source[Symbol.iterator]) return source;
    if (typeof source.next === "function") return { [Symbol.asyncIterator]: () => source };
  }
  throw new TypeError(
    "createBlob needs a Uint8Array, a string, a stream or an iterable of such as its source",
  );
}

async function pump(number: number, chunks: any, type: string): Promise<number> {
  for await (const chunk of chunks) {
    const bytes = bytesOf(chunk);
    if (!bytes) throw new TypeError("A blob's chunks must be bytes or strings");
    // Views may be reused by who made them: the op copies before it returns.
    await op_kora_blob_append(number, bytes.slice());
  }
  return op_kora_blob_finish(number, type);
}

/**
 * What to wait for before `value` can be written or sent: the blobs in it that are still being saved.
 * `undefined` where there is nothing to wait for.
 */
export function unsaved(value: any): Promise<void> | undefined {
  if (saving.size === 0) return undefined;
  const blobs: any[] = [];
  collect(value, DEPTH, blobs);
  return blobs.length > 0 ? Promise.all(blobs.map((blob) => blob.save())).then(() => {}) : undefined;
}

function collect(value: any, depth: number, blobs: any[]): void {
  if (value === null || typeof value !== "object") return;
  if (value instanceof Blob) {
    // A blob whose saving failed is told too: `save` throws what went wrong.
    if (blobNumber(value) !== undefined) blobs.push(value);
    return;
  }
  if (depth === 0) return;
  for (const item of Array.isArray(value) ? value : Object.values(value)) {
    collect(item, depth - 1, blobs);
  }
}
