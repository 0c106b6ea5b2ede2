import { databases, RequestTarget, Resource, tables } from "harperdb";

const { Dog, Count, Note } = tables;
const names = async (found: any) => (await Array.fromAsync(await found)).map((dog: any) => dog.name);
const where = (attribute: string, value: unknown, comparator?: string) => ({ attribute, value, comparator });
const byName = { sort: { attribute: "name" } };

async function failing(work: () => unknown) {
  try {
    return { returned: await work() };
  } catch (error: any) {
    return [error.statusCode, error.message];
  }
}

const shapes: Record<string, (this: Shapes) => unknown> = {
  getId: () => Dog.get("a"),
  getObject: async () => (await Dog.get({ id: "a" })).name,
  getSelect: () => Dog.get({ id: "a", select: ["name", "age"] }),
  getTarget: async () => (await Dog.get(new RequestTarget("/b"))).name,
  getTargetSelect: () => Dog.get(new RequestTarget("/b?select(name)")),
  getInContext: async function () {
    return [(await Dog.get("a", this)).name, (await Dog.get("a", this.getContext())).name];
  },
  getQuery: () => names(Dog.get({ conditions: [where("name", "Bob")] })),
  getParams: () => names(Dog.get(new URLSearchParams("name=Bob"))),
  getAll: () => names(Dog.get()),
  getMissing: async () => (await Dog.get("none")) == null,
  getIsPromise: () => Dog.get("a") instanceof Promise && Dog.put({ id: "p" }) instanceof Promise,
  private: async () => {
    const dog = await Dog.get("a");
    dog.name = "Changed";
    const again = await Dog.get("a");
    return [again.name, Object.keys(again), typeof again.getUpdatedTime(), { ...again }.age];
  },
  put: async function () {
    const results = [
      await Dog.put({ id: "p1", name: "P1" }),
      await Dog.put("p2", { name: "P2" }),
      await Dog.put({ id: "p3", name: "P3" }, this),
      await Dog.put("p4", { name: "P4" }, this),
      await Dog.put(new RequestTarget("/p5"), { name: "P5" }),
      await Dog.put("p6", { id: "p6", name: "P6" }, this.getContext()),
    ];
    return [results.every((result) => result === undefined), await names(Dog.search(
      { conditions: [where("name", "P", "starts_with"), where("id", "p1", "ge")], ...byName },
    ))];
  },
  putReplaces: async () => {
    await Dog.put({ id: "q", name: "Q", age: 1 });
    await Dog.put({ id: "q", name: "Q2" });
    return Dog.get("q");
  },
  patch: async function () {
    await Dog.put({ id: "r", name: "R", age: 1 });
    await Dog.patch("r", { age: 20 });
    await Dog.patch({ id: "r", breed: "X" });
    await Dog.patch("r", { name: "R2" }, this);
    return Dog.get("r");
  },
  post: async () => {
    const id = await Dog.post({ name: "Posted", age: 7 });
    return [typeof id, (await Dog.get(id)).age];
  },
  create: async () => {
    const created = await Dog.create({ name: "Created" });
    const given = await Dog.create({ id: "given", name: "Given" });
    const named = await Dog.create("named", { name: "Named" });
    return [(await Dog.get(created.id)).name, given.id, given.name, named.id];
  },
  conflict: async () => {
    const failed = await failing(() => Dog.create({ id: "a", name: "Again" }));
    return [failed, (await Dog.get("a")).name];
  },
  delete: async function () {
    await Dog.put({ id: "d1", name: "D" });
    await Dog.put({ id: "d2", name: "D" });
    await Dog.put({ id: "d3", name: "D" });
    await Dog.put({ id: "d4", name: "D" });
    const results = [
      await Dog.delete("d1"),
      await Dog.delete({ id: "d2" }),
      await Dog.delete("d3", this),
      await Dog.delete(new RequestTarget("/d4")),
      await Dog.delete("never"),
    ];
    return [results, await names(Dog.search([where("name", "D")]))];
  },
  deleteQuery: async () => {
    await Dog.put({ id: "e1", name: "E" });
    await Dog.put({ id: "e2", name: "E" });
    await Dog.delete({ conditions: [where("name", "E")] });
    return [await names(Dog.search({ conditions: where("name", "E") })), (await Dog.get("a")).name];
  },
  publish: async () => [await Dog.publish("a", { any: "message" }) ?? null, (await Dog.get("a")).name],
  search: () => names(Dog.search({ conditions: [where("age", 2, "equals")] })),
  searchList: () => names(Dog.search([where("age", 1, "greater_than"), where("age", 4, "lt")])),
  searchPairs: () => names(Dog.search({ conditions: [["name", "Cy"]] as any })),
  searchOr: () =>
    names(Dog.search({
      operator: "or",
      conditions: [where("name", "Ann"), where("name", "Cy")],
      ...byName,
    })),
  searchNested: () =>
    names(Dog.search({
      conditions: [where("breed", "Pug"), {
        operator: "or",
        conditions: [where("age", 1), where("age", 3)],
      }],
      ...byName,
    })),
  searchComparators: async () => [
    await names(Dog.search([where("age", [1, 2], "between")])),
    await names(Dog.search([where("name", "nn", "contains")])),
    await names(Dog.search([where("name", "ob", "ends_with"), where("breed", "Pug")])),
    await names(Dog.search([where("name", "Ann", "not_equal"), where("breed", "Pug")])),
    await names(Dog.search([where("age", ["1", "3"] as any, "in")])),
  ],
  searchSort: async () => [
    await names(Dog.search({ conditions: [where("breed", "Pug")], sort: { attribute: "age", descending: true } })),
    await names(Dog.search({ conditions: [where("breed", "Pug")], ...byName, limit: 1, offset: 1 })),
  ],
  searchSelect: async () => [
    await Array.fromAsync(Dog.search({ conditions: [where("name", "Ann")], select: ["id", "age"] })),
    await Array.fromAsync(Dog.search({ conditions: [where("breed", "Pug")], select: "name" })),
  ],
  searchTarget: () => names(Dog.search(new RequestTarget("/?breed=Pug&sort(-age)&limit(2)"))),
  searchErrors: async () => [
    await failing(() => Array.fromAsync(Dog.search([where("nothing", 1)]))),
    (await failing(() => Array.fromAsync(Dog.search([where("age", 1, "resembles")]))) as any)[0],
  ],
  iterate: async () => {
    const seen: unknown[] = [];
    const query = { conditions: [where("breed", "Pug")], ...byName };
    for await (const dog of Dog.search(query)) seen.push(dog.name);
    for (const dog of Dog.search(query)) {
      seen.push(dog.age);
      if (dog.age === 2) break;
    }
    for await (const dog of await Dog.search(query)) {
      await new Promise((done) => setTimeout(done, 1));
      seen.push(dog.id);
    }
    return seen;
  },
  extended: async () => {
    const pugs = () => Dog.search({ conditions: [where("breed", "Pug")], ...byName });
    const each: unknown[] = [];
    await pugs().forEach((dog: any) => each.push(dog.id));
    return [
      (await pugs().asArray).length,
      [...pugs().map((dog: any) => dog.age)],
      await Array.fromAsync(pugs().filter((dog: any) => dog.age > 1).map((dog: any) => dog.id)),
      [...pugs().slice(1, 2)].length,
      [...pugs().concat([1, 2] as any)].length,
      [...pugs().flatMap((dog: any) => [dog.id, dog.id])].length,
      each,
    ];
  },
  abandoned: () => {
    for (let n = 0; n < 5_000; n++) {
      const rows = Dog.search({})[Symbol.iterator]();
      if (n % 2) rows.next();
      Dog.search({ limit: 1 });
    }
    return Dog.search({ limit: 1 }).asArray.length;
  },
  badSearch: () => Dog.search([where("nothing", 1)]),
  many: async () => {
    for (let n = 1; n <= 250; n++) await Count.put({ id: n, n: n % 5 });
    let sum = 0;
    for await (const { id } of Count.search({ limit: 240, offset: 5 })) sum += id;
    return [sum, (await Count.get(7)).n, (await Count.get(new RequestTarget("/7"))).n];
  },
  generated: async () => {
    const id = await Count.post({ n: 1 });
    return [typeof id, (await Count.get(id)).n];
  },
  statics: () => [
    Dog.name, Dog.tableName, Dog.databaseName, Dog.primaryKey, Dog.attributes.map(({ name }: any) => name),
    databases.data.Dog === Dog, databases.data === tables,
  ],
  arrayIds: async () => {
    const { Loose } = tables;
    await Loose.put(["a", 1], { n: 1 });
    await Loose.put({ id: ["a", 2], n: 2 });
    await Loose.patch(["a", 1], { n: 3 });
    const found = await Loose.get(["a", 1]);
    const deleted = await Loose.delete(["a", 2]);
    return [found, deleted, await Loose.get(["a", 2]) ?? null, (await Loose.get({ id: ["a", 1] })).n];
  },
  bigIds: async () => {
    const { Loose } = tables;
    await Loose.put(2n ** 60n, { n: 1 });
    return [(await Loose.get(2n ** 60n)).n, (await Loose.get(2n ** 60n + 1n)) ?? null];
  },
  contexts: async function () {
    const txn = (this.getContext() as any).transaction;
    await Dog.put({ id: "c1", name: "C" }, { transaction: txn } as any);
    await Dog.put("c2", { name: "C" }, txn);
    await Dog.delete("c2", this);
    return [(await Dog.get("c1", { transaction: txn } as any)).name, await Dog.get("c2") ?? null];
  },
  longId: async () => (await failing(() => Dog.put("x".repeat(2000), {})) as any)[0],
  nullId: async () => [
    (await failing(() => Dog.patch(null as any, { name: "x" })) as any)[0],
    (await failing(() => Dog.update(undefined)) as any)[0],
  ],
  copyMove: async () => [
    (await failing(() => (Dog as any).copy("a", "b")) as any), (await failing(() => (Dog as any).move("a", "b")) as any)[0],
  ],
  invalid: () => failing(() => Dog.put({ id: "z", age: "old" })),
  noData: async () => (await failing(() => (Dog as any).put("lonely")) as any)[0],
  typed: async () => {
    const at = new Date(1.7e12);
    await Note.put({ id: "n", at, big: 2n ** 63n, bytes: new Uint8Array([1, 2, 255]), any: { at, list: [1, null] } });
    const note = await Note.get("n");
    return [
      note.at instanceof Date && +note.at === +at, String(note.big), note.bytes instanceof Uint8Array,
      [...note.bytes], note.any.at instanceof Date, note.any.list,
    ];
  },
  targets: () => {
    const target = new RequestTarget("/x%20y?name=Ann&limit(5)");
    const collection = new RequestTarget("/?a=1");
    return [
      target.id, target.get("name"), target instanceof URLSearchParams, String(target),
      collection.isCollection, collection.id, [...collection],
    ];
  },
};

export class Shapes extends Resource {
  get(target: RequestTarget) {
    return shapes[String(target.id)].call(this);
  }
}
