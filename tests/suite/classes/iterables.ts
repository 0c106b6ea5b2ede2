import { Resource, tables } from "harperdb";

const { Dog } = tables;
const dogs = () => Dog.search({ conditions: [{ attribute: "breed", value: "Pug" }], sort: { attribute: "name" } });
const ids = (found: any) => Array.fromAsync(found, (dog: any) => dog.id ?? dog);
const later = async (value: unknown) => value;

const iterables: Record<string, () => unknown> = {
  map: async () => [
    [...dogs().map((dog: any, at: number) => `${at}${dog.id}`)],
    await Array.fromAsync(dogs().map((dog: any) => later(dog.id))),
  ],
  filter: async () => [
    [...dogs().filter((dog: any) => dog.age > 1)].length,
    await ids(dogs().filter((dog: any) => later(dog.age === 1))),
  ],
  flatMap: async () => [
    [...dogs().flatMap((dog: any) => [dog.id, dog.age])],
    [...dogs().flatMap((dog: any) => dog.id)],
    await Array.fromAsync(dogs().flatMap((dog: any) => later([dog.age]) as any)),
  ],
  concat: async () => [
    [...dogs().map((dog: any) => dog.id).concat(["x"])],
    await ids(dogs().concat((async function* () { yield "async"; })() as any)),
  ],
  slice: async () => [
    [...dogs().slice(1, 2)].length, [...dogs().slice(2)].length, [...dogs().slice(0, 0)].length,
    await ids(dogs().slice(1)),
  ],
  forEach: async () => {
    const seen: unknown[] = [];
    const sync = dogs().forEach((dog: any, at: number) => seen.push([dog.id, at]));
    await dogs().forEach(async (dog: any) => {
      seen.push(await later(dog.age));
    });
    return [sync ?? null, seen];
  },
  mapError: async () => {
    const picky = (dog: any) => {
      if (dog.id === "b") throw new Error(`no ${dog.name}`);
      return dog.id;
    };
    return [
      [...dogs().map(picky).mapError((error: any) => error.message)],
      await Array.fromAsync(dogs().map(async (dog: any) => picky(dog)).mapError((error: any) => later(error.message))),
    ];
  },
  asArray: async () => [
    Array.isArray(dogs().asArray), (await dogs().asArray).length,
    (await dogs().concat((async function* () { yield 1; })() as any).asArray).length,
    JSON.parse(JSON.stringify(dogs().map((dog: any) => dog.id))),
  ],
  done: async () => {
    let ended = 0;
    const whole = dogs();
    whole.onDone = () => ended++;
    for await (const _ of whole);
    const partly = dogs();
    partly.onDone = () => ended++;
    for (const _ of partly) break;
    return [ended, whole.selectApplied];
  },
  columns: () => [
    dogs().getColumns(), Dog.search({ select: ["id", "age"] }).getColumns(), Dog.search({ select: "name" }).getColumns(),
  ],
  once: () => {
    const found = dogs();
    return [[...found].length, [...found].length];
  },
  times: async () => {
    const [row] = dogs();
    const [selected] = Dog.search({ select: ["id"], limit: 1 });
    return [
      row.getUpdatedTime() === (await Dog.get(row.id)).getUpdatedTime(), row.getExpiresAt() ?? null,
      Object.keys(row), typeof selected.getUpdatedTime,
    ];
  },
  syncOnly: () => {
    try {
      return [...dogs().concat((async function* () {})() as any)];
    } catch (error: any) {
      return error.constructor.name;
    }
  },
};

export class Iterables extends Resource {
  get(target: any) {
    return iterables[target.id]();
  }
}

/** Sequences as answers. */
export class Sequences extends Resource {
  get(target: any) {
    if (target.id === "mapped") return dogs().map((dog: any) => dog.id);
    if (target.id === "asyncMapped") return dogs().map((dog: any) => later(dog.id));
    if (target.id === "filtered") return dogs().filter((dog: any) => later(dog.age > 1)).map((dog: any) => dog.id);
    if (target.id === "mapError") {
      return dogs().map((dog: any) => {
        if (dog.id === "b") throw new Error("b fails");
        return dog.id;
      }).mapError((error: any) => ({ error: error.message }));
    }
    return dogs().map((dog: any) => {
      if (dog.id === "c") throw new Error("c fails");
      return dog.id;
    });
  }
}
