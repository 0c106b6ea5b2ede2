import { Resource } from "harperdb";

const hex = (buffer: ArrayBuffer) =>
  [...new Uint8Array(buffer)].map((byte) => byte.toString(16).padStart(2, "0")).join("");

const checks: Record<string, (context: any) => unknown> = {
  url: () => {
    const url = new URL("../b?x=1#h", "http://h.test/a/c");
    url.searchParams.append("y", "2");
    return [url.href, new URLSearchParams("a=1&a=2").getAll("a"), URL.canParse("nope")];
  },
  text: () => {
    const bytes = new TextEncoder().encode("žluť");
    return [bytes.length, new TextDecoder().decode(bytes), atob(btoa("base"))];
  },
  streams: async () => {
    const source = new ReadableStream({
      start(controller) {
        controller.enqueue("a");
        controller.enqueue("b");
        controller.close();
      },
    });
    const upper = new TransformStream({
      transform: (chunk: any, controller: any) => controller.enqueue(chunk.toUpperCase()),
    });
    return Array.fromAsync(source.pipeThrough(upper) as any);
  },
  compression: async () => {
    const packed = new Blob(["x".repeat(1000)]).stream().pipeThrough(new CompressionStream("gzip"));
    const size = (await new Response(packed).arrayBuffer()).byteLength;
    return size < 100;
  },
  abort: async () => {
    const controller = new AbortController();
    const seen = new Promise((done) =>
      controller.signal.addEventListener("abort", () => done(controller.signal.reason))
    );
    controller.abort("enough");
    const timeout = AbortSignal.timeout(1);
    const name = await new Promise((done) => timeout.onabort = () => done(timeout.reason.name));
    return [await seen, name];
  },
  crypto: async () => [
    hex(await crypto.subtle.digest("SHA-256", new TextEncoder().encode("abc"))).slice(0, 16),
    /^[0-9a-f-]{36}$/.test(crypto.randomUUID()),
    crypto.getRandomValues(new Uint8Array(8)).length,
  ],
  hmac: async () => {
    const algorithm = { name: "HMAC", hash: "SHA-256" };
    const key = await crypto.subtle.importKey("raw", new Uint8Array(32), algorithm, false, ["sign"]);
    return (await crypto.subtle.sign("HMAC", key, new Uint8Array(1))).byteLength;
  },
  clone: () => {
    const value: any = { at: new Date(1), map: new Map([[1, { a: 1 }]]), bytes: new Uint8Array(2) };
    value.self = value;
    const copy = structuredClone(value);
    return [copy !== value, copy.self === copy, +copy.at, copy.map.get(1).a, copy.bytes.length];
  },
  timers: async () => {
    const order: unknown[] = [];
    const cancelled = setTimeout(() => order.push("never"), 1);
    clearTimeout(cancelled);
    await new Promise<void>((done) => {
      let ticks = 0;
      const interval = setInterval(() => {
        order.push("tick");
        if (++ticks === 2) {
          clearInterval(interval);
          done();
        }
      }, 1);
      queueMicrotask(() => order.push("micro"));
    });
    await new Promise((done) => setImmediate(done));
    return order;
  },
  events: () => {
    const target = new EventTarget();
    const seen: string[] = [];
    target.addEventListener("x", (event: any) => seen.push(event.detail));
    target.dispatchEvent(new CustomEvent("x", { detail: "d" }));
    return seen;
  },
  form: async () => {
    const form = new FormData();
    form.set("a", "1");
    form.set("file", new File(["f"], "f.txt"));
    const again = await new Response(form).formData();
    return [again.get("a"), (again.get("file") as File).name];
  },
  request: async () => {
    const request = new Request("http://h.test/", { method: "POST", body: "b", headers: { "x-a": "1" } });
    return [request.method, request.headers.get("X-A"), await request.text()];
  },
  fetchTable: async (context) => {
    const answer = await fetch(`http://${context.host}/Dog/a`);
    return [answer.status, answer.ok, (await answer.json()).name];
  },
  fetchClass: async (context) => {
    const answer = await fetch(`http://${context.host}/Web/echo`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-own": "1" },
      body: JSON.stringify({ a: [1] }),
    });
    return [await answer.json(), answer.headers.get("content-type")];
  },
  fetchStream: async (context) => {
    const answer = await fetch(`http://${context.host}/Dog/`);
    let size = 0;
    for await (const chunk of answer.body as any) size += chunk.length;
    return size > 10;
  },
  fetchFails: async () => {
    try {
      await fetch("http://127.0.0.1:1/");
      return "no";
    } catch (error) {
      return error instanceof TypeError;
    }
  },
  webSocket: async (context) => {
    const seen: unknown[] = [];
    const socket = new WebSocket(`ws://${context.host}/Chat/`);
    await new Promise<void>((done, fail) => {
      socket.onerror = (event: any) => fail(event.error ?? new Error(event.message));
      socket.onopen = () => {
        seen.push(socket.readyState === WebSocket.OPEN);
        socket.send(JSON.stringify({ n: 1 }));
      };
      socket.onmessage = ({ data }) => {
        seen.push(JSON.parse(data));
        if (seen.length === 3) socket.close();
      };
      socket.onclose = ({ wasClean }) => done(void seen.push(wasClean));
    });
    return seen;
  },
  webSocketFails: () =>
    new Promise((done) => {
      new WebSocket("ws://127.0.0.1:1/").onerror = (event) => done(event instanceof ErrorEvent);
    }),
  intl: () => [new Date(0).toISOString(), (1234.5).toFixed(1), typeof performance.now()],
  console: () => {
    console.log("from console.log", { deep: [1] }, "%s", 5);
    console.error("from console.error");
    logger.info("from logger.info", { a: 1 });
    logger.withTag("tagged")?.warn?.("from a tagged logger");
    logger.error(new Error("from logger.error"));
    return true;
  },
};

export class Web extends Resource {
  get(target: any) {
    return checks[target.id](this.getContext());
  }
  post(data: any) {
    return [data, this.getContext().headers.get("x-own")];
  }
}

export class Chat extends Resource {
  async *connect(incoming: any) {
    yield { hello: true };
    for await (const message of incoming) yield { echo: message };
  }
}
