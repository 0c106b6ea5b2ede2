import { Resource, tables, transaction } from "harperdb";

const { Count, Dog, Note, Typed } = tables;
const pause = (ms = 1) => new Promise((done) => setTimeout(done, ms));

async function failing(work: () => unknown) {
  try {
    return ["returned", await work()];
  } catch (error: any) {
    return [error.statusCode, error.message];
  }
}

const records: Record<string, (this: Records) => unknown> = {
  async update() {
    await Dog.put({ id: "u1", name: "U", age: 1, breed: "X" });
    const dog = await Dog.update("u1");
    dog.name = "Updated";
    dog.set("age", 2);
    return [dog.name, dog.get("age"), dog.getProperty("breed"), await Dog.get("u1")];
  },
  async updateWithChanges() {
    await Dog.put({ id: "u2", name: "U", age: 1 });
    const dog = await Dog.update("u2", { age: 5 });
    const again = await Dog.update({ id: "u2" }, this);
    return [dog.age, again.age, (await Dog.get("u2")).age];
  },
  async updateOutside() {
    // Not in a transaction of the request: each batch of changes is stored by itself.
    const done = new Promise((resolve) =>
      setTimeout(async () => {
        await Count.put({ id: 1, n: 1 });
        const count = await Count.update(1);
        count.addTo("n", 2);
        await pause(20);
        const first = (await Count.get(1)).n;
        count.n = 10;
        await count.save();
        resolve([first, (await Count.get(1)).n]);
      }, 1)
    );
    return done;
  },
  async updateInTransaction() {
    const inside = await transaction(async () => {
      const dog = await Dog.update("u3", { name: "New" });
      dog.age = 3;
      return Dog.get("u3");
    });
    return [inside, await Dog.get("u3")];
  },
  async aborted() {
    await Dog.put({ id: "u4", name: "Kept" });
    const failed = await new Promise((resolve) =>
      setTimeout(async () => {
        resolve(await failing(() =>
          transaction({ transaction: undefined } as any, async () => {
            (await Dog.update("u5")).name = "Lost";
            throw Object.assign(new Error("no"), { statusCode: 418 });
          })
        ));
      }, 1)
    );
    return [failed, await Dog.get("u5") ?? null];
  },
  async nested() {
    await Note.put({ id: "n1", any: { list: [1], deep: { a: { b: 1 } }, same: { x: 1 } } });
    const note = await Note.update("n1");
    note.any.list.push(2);
    note.any.deep.a.b = 2;
    const unchanged = (await note.getRecord()).any.deep.a.b;
    const read = await Note.get("n1");
    // What code holds goes on counting after it was saved once.
    note.any.list.push(3);
    return [unchanged, read.any, (await Note.get("n1")).any.list];
  },
  async nestedUntouched() {
    await Note.put({ id: "n2", any: { a: [1] } });
    const note = await Note.update("n2");
    void note.any.a.length;
    const changes = note.getChanges() ?? null;
    note.any.a.push(2);
    return [changes, note.getChanges()];
  },
  async dates() {
    const note = await Note.update("n3", { at: "2024-01-02T03:04:05Z", big: 5, any: 1 });
    const kinds = [note.at instanceof Date, typeof note.big];
    return [kinds, (await Note.get("n3")).at, String((await Note.get("n3")).big)];
  },
  async rounding() {
    const typed = await Typed.update("t1");
    typed.int = 1.6;
    typed.long = -2.4;
    const { int, long } = await Typed.get("t1");
    return [typed.int, typed.long, [int, long]];
  },
  async types() {
    const typed = await Typed.update("t2");
    const wrong: [string, unknown][] = [
      ["int", "1"], ["int", 2 ** 31], ["long", {}], ["float", "1"], ["text", 1], ["flag", 1],
      ["at", "soon"], ["big", "x"], ["list", 1], ["id", "other"],
    ];
    const told = [];
    for (const [name, value] of wrong) {
      told.push(await failing(() => {
        typed[name] = value;
      }));
    }
    typed.text = null;
    return told;
  },
  async sealed() {
    const sealed = await tables.Sealed.update("s1");
    return [
      await failing(() => { sealed.extra = 1; }),
      await failing(() => { sealed.set("extra", 1); }),
    ];
  },
  async undeclared() {
    await Dog.put({ id: "x1", name: "X", colour: "red", tags: ["a"] });
    const dog = await Dog.update("x1");
    dog.size = 3;
    dog.tags.push("b");
    return [dog.colour, dog.nothing ?? null, JSON.parse(JSON.stringify(dog)), await Dog.get("x1")];
  },
  async deleted() {
    await Dog.put({ id: "x2", name: "X", age: 1, colour: "red" });
    const dog = await Dog.update("x2");
    dog.deleteProperty("colour");
    dog.deleteProperty("age");
    return [dog.colour ?? null, await Dog.get("x2")];
  },
  async increments() {
    await Count.put({ id: 2, n: 5 });
    const count = await Count.update(2);
    count.addTo("n", 3);
    count.addTo("n", 1);
    count.subtractFrom("n", 2);
    count.addTo("fresh", 1);
    const missing = await Count.update(3);
    missing.subtractFrom("n", 4);
    return [count.n, await Count.get(2), await Count.get(3)];
  },
  async incrementsAreNumbers() {
    const count = await Count.update(4);
    return [
      await failing(() => count.addTo("n", "1")),
      await failing(() => count.subtractFrom("n", "1")),
      await failing(() => count.addTo("n", NaN)),
    ];
  },
  async crdt() {
    await Count.put({ id: 5, n: 1 });
    await Count.patch(5, { n: { __op__: "add", value: 4 } });
    const updated = await Count.update(5, { n: { __op__: "add", value: 2 } });
    return [updated.n, (await Count.get(5)).n];
  },
  async members() {
    await Dog.put({ id: "m1", name: "M" });
    const dog = await Dog.update("m1");
    const [updated, expires] = [dog.getUpdatedTime(), dog.getExpiresAt()];
    return [
      dog.getId(), dog.doesExist(), typeof updated, expires ?? null, dog.isCollection,
      dog.wasLoadedFromSource() ?? null, (await dog.ensureLoaded()) === dog, dog.toJSON(),
      dog.getCurrentUser()?.username, dog.getContext() === this.getContext(),
      (await failing(() => dog.lock()))[0], (await Dog.update("none")).doesExist(),
    ];
  },
  async validate() {
    const dog = await Dog.update("m2");
    return [
      await failing(() => dog.validate({ id: "m2", age: 1 })),
      (await failing(() => dog.validate({ age: "old" }, true)))[0],
      (await failing(() => tables.Sealed.update("s2").then((sealed: any) => sealed.validate({ id: "s2" }))))[0],
    ];
  },
  async unchanged() {
    await Dog.update("never");
    return await Dog.get("never") ?? null;
  },
  async wrongUpdate() {
    return [
      (await failing(() => Dog.update()))[0], (await failing(() => Dog.update("u9", 5)))[0],
    ];
  },
};

export class Records extends Resource {
  get(target: any) {
    return records[target.id].call(this);
  }
}

/** What is assigned in `post` is stored, in `get` it is only shown, elsewhere `update` says so. */
export class Assigning extends tables.Dog {
  get(query: any) {
    if (query.isCollection) return super.get(query);
    this.shown = (this.age ?? 0) + 1;
    return super.get(query);
  }
  post(data: any, target: any) {
    if (target.isCollection) return super.post(data);
    this.name = data.name;
    this.posted = true;
    return this.name;
  }
  put(data: any) {
    this.ignored = true;
    return super.put(data);
  }
  patch(data: any) {
    this.update();
    this.age = data.age * 2;
  }
  delete() {
    return super.delete();
  }
}

/** `get` answers the instance itself. */
export class Mutable extends tables.Dog {
  static getReturnMutable = true;
  async get(query: any) {
    const found = await super.get(query);
    if (!query.isCollection && found) found.seen = found === this;
    return found;
  }
}

export class Counter extends tables.Count {
  static loadAsInstance = false;
  async post(target: any, data: any) {
    const count = await this.update(target);
    count.addTo("n", data.by);
    return "added";
  }
}

/** Increments many times over, each in a request of its own. */
export class Increment extends Resource {
  async post(data: any) {
    const count = await Count.update(data.id);
    await pause(2);
    count.addTo("n", 1);
  }
}
