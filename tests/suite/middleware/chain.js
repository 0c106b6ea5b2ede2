// Everything that a listener may do, by path.
const seen = [];

server.http(async (request, next) => {
  if (request.pathname === "/own") return { status: 203, headers: { "x-a": "1" }, body: "own body" };
  if (request.pathname === "/data") return { status: 200, headers: {}, data: { a: [1] } };
  if (request.pathname === "/response") {
    return new Response("told", { status: 418, headers: [["set-cookie", "a=1"], ["set-cookie", "b=2"]] });
  }
  if (request.pathname === "/nothing") return undefined;
  if (request.pathname === "/throw") throw Object.assign(new Error("no way"), { statusCode: 451 });
  if (request.pathname === "/stream") {
    return { status: 200, headers: { "content-type": "text/x" }, body: (async function* () {
      for (let n = 0; n < 3; n++) yield `part ${n};`;
    })() };
  }
  if (request.pathname === "/view") {
    const { method, url, pathname, protocol, host, hostname, ip, isWebSocket } = request;
    return { status: 200, headers: {}, data: {
      method, url, pathname, protocol, hasPort: host !== hostname, ip, isWebSocket,
      header: request.headers.get("x-test"), asObject: request.headers.asObject["x-test"],
      user: request.user?.username,
    } };
  }
  if (request.pathname === "/body") {
    let text = "";
    for await (const chunk of request.body) text += new TextDecoder().decode(chunk);
    return { status: 200, headers: {}, data: { text } };
  }
  if (request.pathname === "/parsed") return { status: 200, headers: {}, data: await request.data };
  if (request.pathname.startsWith("/rewrite")) request.url = request.url.replace("/rewrite", "/Note");
  if (request.pathname === "/header") request.headers.set("x-test", "by middleware");
  if (request.pathname === "/peeked") {
    const data = await request.data;
    request.pathname = "/Echo";
    request.sawData = data.n;
  }
  if (request.pathname === "/nobody") {
    request.user = null;
    request.pathname = "/Note/";
  }
  request.custom = "set by middleware";
  const response = await next(request);
  response.headers.set("x-passed", "yes");
  response.headers.append("set-cookie", "m=1");
  if (request.pathname === "/Teapot") response.status = 418;
  if (request.headers.has("x-change")) {
    response.body = `${response.body}!`;
    response.headers.set("content-type", "text/plain");
  }
  if (request.headers.has("x-handler")) response.headers.set("x-handler", request.handlerPath);
  if (request.headers.has("x-twice")) response.headers.set("x-second", String((await next(request)).status));
  return response;
}, { name: "main" });

server.http((request, next) => {
  request.order = [...request.order ?? [], "second"];
  return next();
}, { name: "second" });
server.http((request, next) => {
  request.order = [...request.order ?? [], "first"];
  return next(request);
}, { runFirst: true });
server.http((request, next) => {
  request.order = [...request.order ?? [], "between"];
  return next(request);
}, { before: "second" });
server.http((request, next) => {
  return { status: 200, headers: {}, data: { url: request.url } };
}, { urlPath: "/below/this" });
server.http((request, next) => {
  request.url = request.url + "?changed";
  return next(request);
}, { urlPath: "moved" });
server.http(() => ({ status: 200, headers: {}, body: "for the host" }), { host: "special.example" });

export class Echo extends Resource {
  static loadAsInstance = false;
  post(target, data) {
    const context = this.getContext();
    return { data, custom: context.custom, saw: context.sawData };
  }
  get() {
    const context = this.getContext();
    return { custom: context.custom, order: context.order, url: context.url, search: context.search };
  }
}
export class header extends Resource {
  get() {
    return { header: this.getContext().headers.get("x-test") };
  }
}
export class Teapot extends Resource {
  get() {
    return { short: true };
  }
}
export class moved extends Resource {
  get() {
    return { url: this.getContext().url };
  }
}
