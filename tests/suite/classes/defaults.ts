import { Resource, server, tables } from "harperdb";

const { Dog, Loose } = tables;

async function failing(work: () => unknown) {
  try {
    return ["returned", await work()];
  } catch (error: any) {
    return [error.statusCode, error.message];
  }
}

/** Has what a POST is made of, and no `post` of its own. */
export class Creates extends Resource {
  create(data: any, target: any) {
    return { id: `made of ${data.name}`, collection: target.isCollection };
  }
}

export class TargetCreates extends Resource {
  static loadAsInstance = false;
  static primaryKey = "key";
  create(_target: any, data: any) {
    return { key: `made of ${data.name}` };
  }
}

export class Nothing extends Resource {}

/** A table's stream, without what the table says by itself. */
export class Quiet extends tables.Dog {
  connect(_incoming: any, target: any) {
    target.subscribe = false;
    const queue = super.connect(target);
    queue.send({ only: "this" });
    return queue;
  }
}

server.registerOperation({
  name: "count_dogs",
  requiresSuperUser: true,
  execute: async ({ breed, hdb_user }: any) => {
    const found = await Dog.search([{ attribute: "breed", value: breed }]).asArray;
    return { count: found.length, user: hdb_user?.username ?? null };
  },
});

let loads = 0;
const source = {
  name: "source",
  get: (id: string, context: any) => {
    loads++;
    const { value, version } = context.replacingEntry ?? {};
    return { id, loads, replaced: value ? [value.loads, version === context.replacingVersion] : null };
  },
};

/** A class of a table that is a cache. */
export class Cached extends Loose.sourcedFrom(source, { expiration: 3600 }) {
  static async get(target: any) {
    const { replaced, loads } = await super.get(target);
    return { loads, replaced, loaded: target.loadedFromSource };
  }
}

const checks: Record<string, (this: Checks) => unknown> = {
  plain: async () => {
    const plain: any = new Nothing("5");
    return [
      plain.getId(), plain.getContext() ?? null, plain.getCurrentUser() ?? null, plain.isCollection,
      plain.doesExist(), plain.wasLoadedFromSource() ?? null, (await failing(() => plain.addTo("n", 1)))[0],
      typeof plain.subscribe().send, typeof plain.get, typeof plain.put,
    ];
  },
  async operations() {
    const request = { operation: "count_dogs", breed: "Pug" };
    const nobody = { user: { role: { permission: {} } } };
    return [
      await server.operation(request), await server.operation(request, this.getContext(), true),
      (await failing(() => server.operation(request, nobody, true)))[0],
      (await failing(() => server.operation(request, {}, true)))[0],
      (await failing(() => (server as any).registerOperation({ name: "no_code" })))[1],
    ];
  },
  everything: async () => {
    await Loose.put({ id: "gone1" });
    await Loose.put({ id: "gone2" });
    const target = { isCollection: true } as any;
    return [await Loose.delete(target), await Loose.search({}).asArray];
  },
};

export class Checks extends Resource {
  get(target: any) {
    return checks[target.id].call(this);
  }
}
