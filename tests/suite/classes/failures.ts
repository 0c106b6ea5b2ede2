import { Resource, tables } from "harperdb";

interface Padding {
  // Types vanish, so that a place in the compiled code is not one in this file.
  a: string;
  b: string;
}

type More = Padding & {
  c: number;
};

const { Dog } = tables;

function deep(levels: number): any {
  let value: any = 1;
  while (levels-- > 0) value = [value];
  return value;
}

const failures: Record<string, (data?: More) => unknown> = {
  thrown: () => inner(),
  cyclic: () => {
    const value: any = { name: "self" };
    value.self = value;
    return value;
  },
  cyclicArray: () => {
    const list: any[] = [];
    list.push(list);
    return list;
  },
  deep: () => deep(100_000),
  stackless: () => failures.stackless(),
  getter: () => ({ get bad() { throw Object.assign(new Error("bad getter"), { statusCode: 409 }); } }),
  toJSON: () => ({ toJSON() { throw new Error("bad toJSON"); } }),
  proxy: () => new Proxy({}, { ownKeys() { throw new Error("bad proxy"); } }),
  huge: () => 2n ** 200n,
  symbol: () => Symbol("s"),
  reentrant: () => ({
    toJSON: () => ({
      read: Dog.search({}).asArray.length,
      get later() {
        Dog.put({ id: "from-a-getter", name: "G" });
        return Dog.search({ select: "name" }).asArray.length;
      },
    }),
  }),
  reentrantRecord: async () => {
    await Dog.put({
      id: "r",
      name: "R",
      get age() {
        return Dog.search({}).asArray.length;
      },
    });
    return (await Dog.get("r")).age > 0;
  },
  reentrantItems: () => (function* () {
    yield { get n() { return Dog.search({ limit: 2 }).asArray.length; } };
  })(),
  reentrantId: async () => (await Dog.get({ toString: () => "a", id: "a" })).name,
  reentrantQuery: async () => {
    const conditions = [{ attribute: "name", get value() { return Dog.search({}).asArray[0].name; } }];
    return Dog.search({ conditions }).asArray.length;
  },
  rejected: () => {
    Promise.reject(new Error("nobody catches this"));
    return "lives";
  },
  timer: () => {
    setTimeout(() => {
      throw new Error("thrown by a timer");
    }, 0);
    return "lives";
  },
  listener: () => {
    const target = new EventTarget();
    target.addEventListener("x", () => {
      throw new Error("thrown by a listener");
    });
    target.dispatchEvent(new Event("x"));
    globalThis.reportError(new Error("reported"));
    return "lives";
  },
  microtask: () => {
    queueMicrotask(() => {
      throw new Error("thrown by a microtask");
    });
    return "lives";
  },
  thenable: () => ({ then(resolve: (value: unknown) => void) { resolve("from a thenable"); } }),
};

function inner(): never {
  const value: string | undefined = undefined as unknown as string;
  throw new TypeError(`of this line ${value}`);
}

export class Failures extends Resource {
  get(target: any) {
    return failures[target.id]();
  }
}
