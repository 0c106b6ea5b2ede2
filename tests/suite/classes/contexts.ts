import { getContext, getResponse, getUser, Resource, tables } from "harperdb";

const { Dog } = tables;
const pause = (ms = 1) => new Promise((done) => setTimeout(done, ms));
const seen: unknown[] = [];

const contexts: Record<string, (this: Contexts, context: any) => unknown> = {
  request: (context) => [
    context.method, context.url, context.pathname, context.search, context.protocol,
    context.hostname, context.host.startsWith(`${context.hostname}:`), context.ip, context.httpVersion,
    context.handlerPath, context.isWebSocket, context.requestedContentType ?? null, context.user.username,
  ],
  headers: (context) => {
    const { headers } = context;
    const before = headers.get("X-Asked");
    headers.set("x-own", "set");
    return [
      before, headers.has("x-asked"), headers.has("x-none"), headers.get("x-own"), headers.asObject["x-asked"],
      [...headers].some(([name]: string[]) => name === "x-asked"),
    ];
  },
  ambient: async function (context) {
    await pause();
    return [
      getContext() === context, this.getContext() === context, getUser()?.username,
      this.getCurrentUser()?.username, getResponse() === context.response,
    ];
  },
  response: (context) => {
    context.response.status = 207;
    context.response.headers.set("x-set", "by the context");
    return "with a head";
  },
  expires: async (context) => {
    context.expiresAt = Date.now() + 60_000;
    await Dog.put({ id: "e1", name: "E" });
    context.expiresAt = undefined;
    await Dog.put({ id: "e2", name: "E" });
    await Dog.put({ id: "e3", name: "E" }, { expiresAt: Date.now() + 30_000 } as any);
    await Dog.put("e4", { name: "E" }, { expiresAt: Date.now() + 30_000 } as any);
    await Dog.put({ id: "e5", name: "E" }, { expiresAt: Date.now() - 1 } as any);
    return "put";
  },
  expired: async () => {
    const left = async (id: string) => {
      const dog = await Dog.get(id);
      const expires = dog?.getExpiresAt();
      return expires === undefined ? dog?.name ?? "gone" : Math.round((expires - Date.now()) / 10_000);
    };
    return Promise.all(["e1", "e2", "e3", "e4", "e5"].map(left));
  },
  custom: (context) => {
    context.cacheKey = "own";
    return getContext().cacheKey;
  },
  transaction: (context) => [context.transaction.open, typeof context.transaction.timestamp],
  signal: (context) => [context.signal instanceof AbortSignal, context.signal.aborted],
  hints: (context) => {
    context.sendEarlyHints("</style.css>");
    return JSON.stringify(context);
  },
  outside: () =>
    new Promise((resolve) => {
      // The context of the call that set the timer.
      setTimeout(() => resolve(getContext() === undefined), 1);
    }),
  async aborts(context) {
    seen.push("began");
    context.signal.addEventListener("abort", () => seen.push("aborted"));
    await pause(30_000);
  },
  seen: () => seen,
};

export class Contexts extends Resource {
  get(target: any) {
    return contexts[String(target.id).split(".")[0]].call(this, this.getContext());
  }
  async delete() {
    return ["deleted with", await (this.getContext() as any).data];
  }
  async post(_data: any, target: any) {
    const { data } = this.getContext() as any;
    return [typeof data.then, await data, target.id];
  }
}

export class Streaming extends Resource {
  async *connect() {
    const context: any = this.getContext();
    yield [context.isWebSocket, context.handlerPath, context.url, getContext() === context];
    context.signal.addEventListener("abort", () => seen.push("stream aborted"));
    await pause(30_000);
  }
}

/** Nobody of a component's own code is asked for permission, and nobody has a request. */
let atLoad = [typeof getContext(), Object.keys(getContext()).length];
export class Loaded extends Resource {
  get() {
    return atLoad;
  }
}
