import { getContext, Resource, tables, transaction } from "harperdb";

const { Dog } = tables;
const pause = (ms = 1) => new Promise((done) => setTimeout(done, ms));
const exists = async (id: string) => (await Dog.get(id)) != null;

let atLoad: unknown[] = [];
await transaction(async () => {
  await Dog.put({ id: "load1", name: "L" });
  await pause();
  await Dog.put({ id: "load2", name: "L" });
});
try {
  await transaction(async (open: any) => {
    await Dog.put({ id: "load3", name: "L" });
    await pause();
    throw new Error("no");
  });
} catch (error: any) {
  atLoad = [error.message, await exists("load1"), await exists("load2"), await exists("load3")];
}

const works: Record<string, (this: Works, data: any) => unknown> = {
  async both() {
    await Dog.put({ id: "t1", name: "T" });
    await pause();
    Dog.put({ id: "t2", name: "T" });
    await pause();
  },
  async failing() {
    await Dog.put({ id: "f1", name: "F" });
    await Dog.patch("a", { age: 99 });
    await Dog.delete("b");
    await pause();
    await Dog.create({ id: "f2", name: "F" });
    throw Object.assign(new Error("undo"), { statusCode: 409 });
  },
  throwingAtOnce() {
    Dog.put({ id: "f3", name: "F" });
    throw new Error("undo");
  },
  async failingAnswer() {
    await Dog.put({ id: "f4", name: "F" });
    return Promise.reject({ statusCode: 400, message: "undo" });
  },
  async own() {
    await Dog.put({ id: "o1", name: "Own" });
    const read = (await Dog.get("o1")).name;
    await pause();
    const found = await Array.fromAsync(Dog.search([{ attribute: "name", value: "Own" }]));
    await Dog.patch("o1", { name: "Owned" });
    const renamed = (await Dog.get("o1")).name;
    const old = await Array.fromAsync(Dog.search([{ attribute: "name", value: "Own" }]));
    await Dog.delete("o1");
    return [read, found.length, renamed, old.length, await exists("o1")];
  },
  async versions() {
    const found = await Promise.all([Dog.get("t1"), Dog.get("t2")]);
    return found[0].getUpdatedTime() === found[1].getUpdatedTime();
  },
  async explicit() {
    const inner = await transaction(async () => {
      await Dog.put({ id: "e1", name: "E" });
      return "inner";
    });
    return [inner, await exists("e1")];
  },
  async explicitContext() {
    return transaction(this.getContext(), () => Dog.put({ id: "e2", name: "E" })).then(() => "done");
  },
  async caught() {
    try {
      await Dog.create({ id: "a", name: "Again" });
    } catch {
      await Dog.put({ id: "c1", name: "Caught" });
    }
    return exists("c1");
  },
  async ambient(data) {
    const own = this.getContext();
    await pause(data.wait);
    const later = getContext() === own;
    const nested = await Inner.get("x");
    await Promise.all([pause(data.wait), pause(1)]);
    queueMicrotask(() => {});
    return [later, nested === own.url, getContext() === own, own.url];
  },
  async increment() {
    const { age } = await Dog.get("a");
    await pause(5);
    await Dog.patch("a", { age: age + 1 });
    return age + 1;
  },
  load: () => atLoad,
  async after() {
    setTimeout(async () => {
      await Dog.put({ id: "late", name: "Late" });
    }, 1);
    return "at once";
  },
};

class Inner extends Resource {
  async get() {
    await pause();
    return getContext().url;
  }
}

export class Works extends Resource {
  post(data: any, target: any) {
    return works[target.id].call(this, data);
  }
}
