import { Resource, tables } from "harperdb";

class Teapot extends Error {
  statusCode = 418;
}

function throwing(thrown: unknown): never {
  throw thrown;
}

const bytes = () => new TextEncoder().encode("bytes");

const answers: Record<string, (this: Answers) => unknown> = {
  undefined: () => undefined,
  null: () => null,
  promised: async () => null,
  string: () => "text",
  empty: () => "",
  number: () => 5.5,
  zero: () => 0,
  false: () => false,
  big: () => 2n ** 64n,
  array: () => [1, undefined, () => 1, "x"],
  object: () => ({ a: 1, gone: undefined, f() {}, nested: { b: [true] }, nan: NaN }),
  dates: () => ({ at: new Date(0), never: new Date(NaN), big: 123n }),
  maps: () => ({ map: new Map([["a", 1]]), set: new Set([1]) }),
  getter: () => ({ get shown() { return "by a getter"; } }),
  toJSON: () => ({ toJSON: () => ({ as: "json" }) }),
  instance: () => new (class Point { x = 1; #y = 2; get z() { return this.#y; } })(),
  set: () => new Set([1, 2]),
  generator: () => (function* () { yield 1; yield { two: 2 }; })(),
  asyncGenerator: () => (async function* () {
    for (let n = 0; n < 300; n++) {
      if (n % 100 === 0) await new Promise((done) => setTimeout(done, 1));
      yield n;
    }
  })(),
  searched: () => tables.Dog.search({ conditions: [{ attribute: "name", value: "Ann" }] }),
  mapped: () => tables.Dog.search({ conditions: [{ attribute: "name", value: "Ann" }] })
    .map((dog: any) => dog.id),
  statusAndData: () => ({ status: 201, data: { a: 1 } }),
  withData: () => ({ status: 202, headers: { "x-a": "1" }, data: { a: 1 } }),
  withBody: () => ({ status: 203, headers: { "content-type": "text/x" }, body: "raw" }),
  withBytes: () => ({ status: 200, headers: new Headers({ "content-type": "text/y" }), body: bytes() }),
  withNothing: () => ({ status: 302, headers: { location: "/elsewhere" } }),
  cookies: () => ({ status: 200, headers: { "set-cookie": ["a=1", "b=2"] }, data: 1 }),
  response: () => new Response("made", { status: 206, headers: { "x-made": "yes" } }),
  responseJson: () => Response.json({ a: 1 }),
  responseEmpty: () => new Response(null, { status: 204 }),
  responseStream: () => new Response(new Blob(["in ", "parts"]).stream()),
  responseCookies: () => {
    const headers = new Headers();
    headers.append("set-cookie", "a=1");
    headers.append("set-cookie", "b=2");
    return new Response("x", { headers });
  },
  bytes,
  buffer: () => bytes().buffer,
  blob: () => new Blob(["blob"], { type: "text/plain" }),
  typed: () => ({ contentType: "image/svg+xml", data: "<svg/>" }),
  typedBytes: () => ({ contentType: "image/x", data: bytes() }),
  status: function () {
    this.getContext().response.status = 299;
    return "with a status";
  },
  headers: function () {
    const context = this.getContext();
    context.responseHeaders.set("x-set", "1");
    context.responseHeaders.append("set-cookie", "a=1");
    context.responseHeaders.append("set-cookie", "b=2");
    return context.headers.get("x-asked");
  },
  record: () => tables.Dog.get("a"),

  thrown: () => throwing(new Error("just an error")),
  rejected: async () => throwing(new Error("later")),
  teapot: () => throwing(new Teapot("short and stout")),
  notFound: () => throwing(Object.assign(new Error("no such thing"), { statusCode: 404 })),
  coded: () => throwing(Object.assign(new Error("own code"), { statusCode: 422, code: "OWN" })),
  thrownObject: () => throwing({ statusCode: 403, message: "an object" }),
  thrownString: () => throwing("a string"),
  thrownNothing: () => throwing(undefined),
  strangeStatus: () => throwing(Object.assign(new Error("strange"), { statusCode: "many" })),
  lateItem: () => (async function* () { yield 1; throw new Error("in the middle"); })(),
  badHeader: () => ({ status: 200, headers: { "x-bad": "line\nbreak" }, data: 1 }),
  badStatus: () => ({ status: 5000, headers: {}, data: 1 }),
};

export class Answers extends Resource {
  get(target: any) {
    return answers[target.id].call(this);
  }
  put(_data: any, target: any) {
    return answers[target.id].call(this);
  }
  post(_data: any, target: any) {
    return answers[target.id].call(this);
  }
  delete(target: any) {
    return answers[target.id].call(this);
  }
}

export class Maker extends Resource {
  async post(data: any) {
    const created = await tables.Dog.create(data);
    return created.id;
  }
  put(_data: any, target: any) {
    const context: any = this.getContext();
    context.createdResource = true;
    context.newLocation = `${target.id}/made`;
    return "made";
  }
}
