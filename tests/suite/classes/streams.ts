import { Readable } from "node:stream";
import { Resource, tables } from "harperdb";

const { Dog } = tables;
const pause = (ms: number) => new Promise((done) => setTimeout(done, ms));
const bytes = (text: string) => new TextEncoder().encode(text);
const html = { "content-type": "text/html" };
const log: string[] = [];
let release = () => {};
const released = new Promise<void>((done) => release = done);

function throwing(thrown: unknown): never {
  throw thrown;
}

/** What Node's streams look like to who reads them. */
function nodeStream(...chunks: unknown[]) {
  return {
    pipe() {},
    async *[Symbol.asyncIterator]() {
      yield* chunks;
    },
  };
}

function streamOf(pull: (controller: ReadableStreamDefaultController) => unknown, cancel?: () => void) {
  return new ReadableStream({ pull, cancel });
}

const answers: Record<string, () => unknown> = {
  slow: () => {
    let sent = 0;
    return new Response(
      streamOf(async (controller) => {
        if (sent++ === 0) return controller.enqueue(bytes("first"));
        await released;
        controller.enqueue(bytes(" second"));
        controller.close();
      }),
      { headers: { "content-type": "text/slow" } },
    );
  },
  endless: () =>
    new Response(streamOf(async (controller) => {
      await pause(1);
      controller.enqueue(new Uint8Array(10_000));
    }, () => log.push("cancelled"))),
  breaks: () =>
    new Response(streamOf(async (controller) => {
      controller.enqueue(bytes("begun"));
      await pause(60);
      controller.error(new Error("torn"));
    })),
  breaksAtOnce: () => new Response(streamOf((controller) => controller.error(new Error("torn")))),
  node: () => ({ status: 200, headers: html, body: nodeStream(bytes("<p>"), "node", bytes("</p>")) }),
  typedNode: () => ({ contentType: "text/node", data: nodeStream("a", "b") }),
  readable: () => ({ status: 200, headers: html, body: Readable.from(["<p>", Buffer.from("readable"), "</p>"]) }),
  blobBody: () => ({ status: 200, headers: {}, body: new Blob(["blob"], { type: "text/blob" }) }),
  responseBlob: () => new Response(new Blob(["blob"], { type: "text/blob" })),
  large: () => new Response("x".repeat(300_000)),
  nullBody: () => new Response(null),
  dataIterable: () => ({ status: 201, headers: { "x-a": "1" }, data: (function* () { yield 1; yield 2; })() }),
  dataSearch: () => ({ status: 203, headers: { "x-a": "1" }, data: Dog.search({ select: "name" }) }),
  headersOnly: () => ({ status: 204, headers: { "x-a": "1" } }),
  headersAndMore: () => ({ headers: { "x-a": "1" }, name: "whole" }),
  noStatus: () => ({ headers: { "x-a": "1" }, data: { a: 1 } }),
  merged: function (this: Streams) {
    const { responseHeaders } = this.getContext()!;
    responseHeaders.set("x-a", "context");
    responseHeaders.set("x-b", "context");
    responseHeaders.setIfNone("x-b", "default");
    responseHeaders.setIfNone("x-c", "default");
    return new Response("x", { headers: { "x-a": "response" } });
  } as any,
  created: function (this: Streams) {
    this.getContext()!.createdResource = true;
    return { made: true };
  } as any,
  located: function (this: Streams) {
    this.getContext()!.newLocation = "/some/where else";
    return { moved: true };
  } as any,
  createdItems: function (this: Streams) {
    Object.assign(this.getContext()!, { createdResource: true, newLocation: ["a", 1] });
    return new Set([1]);
  } as any,
  modified: function (this: Streams) {
    this.getContext()!.lastModified = 1.7e12;
    return { a: 1 };
  } as any,
  spread: async () => ({ ...await SpreadDog.get("a"), more: 1 }),
  thrownResponse: () => throwing(new Response("tea", { status: 418, headers: { "x-a": "1" } })),
  thrownLike: () => throwing({ status: 402, headers: { "x-a": "1" }, data: { pay: "first" } }),
  thrownStatus: () => throwing({ status: 422, message: "just a status" }),
  thrownErrorStatus: () => throwing(Object.assign(new Error("an error's status"), { status: 423 })),
  thrownNumber: () => throwing(5),
  statusThenThrow: function (this: Streams) {
    this.getContext()!.response.status = 451;
    throw new Error("the context's status");
  } as any,
  log: () => log,
  release: () => {
    release();
    return "released";
  },
};

class SpreadDog extends tables.Dog {}

export class Streams extends Resource {
  get(target: any) {
    return answers[target.id].call(this);
  }
  /** What was written before a thrown answer is not. */
  async post() {
    await Dog.put({ id: "thrown", name: "T" });
    throw new Response("undone", { status: 409 });
  }
  put() {
    return null;
  }
  connect(_incoming: any, target: any) {
    if (target.id === "nothing") return undefined;
    if (target.id === "null") return null;
    return target.id === "once" ? { one: "frame" } : (function* () {})();
  }
  copy(destination: any, target: any) {
    return ["copied", target.id, destination];
  }
  move(destination: any, target: any) {
    return ["moved", target.id, destination];
  }
}
