import { RequestTarget, Resource, tables } from "harperdb";

const { Dog } = tables;
const names = async (found: any) => (await Array.fromAsync(await found)).map((dog: any) => dog.name);

async function failing(work: () => unknown) {
  try {
    return ["returned", await work()];
  } catch (error: any) {
    return [error.statusCode, error.message];
  }
}

const targets: Record<string, (this: Targets) => unknown> = {
  fields: () => {
    const target = new RequestTarget("/a%20b?name=Ann&age=gt=1&select(name,age)&sort(-age)&limit(2,7)");
    return [
      target.id, target.pathname, target.search, target.url === String(target), target.isCollection ?? null,
      target.conditions, target.operator, target.select, target.sort, target.limit, target.offset,
      target.parseError ?? null,
    ];
  },
  plain: () => {
    const target = new RequestTarget("/?a=1&b=x%20y");
    return [target.isCollection, target.id, target.get("b"), [...target], target.conditions];
  },
  or: () => {
    const target = new RequestTarget("/?a==1|(b=ct=x&c.d<5)");
    return [target.operator, target.conditions];
  },
  resource: () => {
    const target = new RequestTarget("");
    return [target.id ?? null, target.isCollection ?? null, target.url, target.conditions ?? null];
  },
  prefix: () => {
    const target = new RequestTarget("/a/");
    return [target.id, target.isCollection];
  },
  mutated: () => {
    const target = new RequestTarget("/?name=Ann&select(name,age)&age=gt=1");
    target.set("name", "Bob & Co");
    target.append("breed", "Pug");
    target.delete("age");
    return [String(target), target.search, target.get("name"), target.conditions, target.select];
  },
  mutatedParts: () => {
    const target = new RequestTarget("/?name=Ann");
    target.conditions.push({ attribute: "age", value: 1 });
    target.append("breed", "Pug");
    target.set("name", "Bob");
    target.set("limit(5)", "");
    return [target.conditions, target.limit, target.url];
  },
  searchText: () => names(Dog.search(new RequestTarget("/?breed=Pug&sort(name)&age=gt=1"))),
  searchParts: () => {
    const target = new RequestTarget("/?breed=Pug&age=gt=1");
    target.conditions = [...target.conditions, { attribute: "name", value: "Cy" }];
    target.limit = 5;
    return names(Dog.search(target));
  },
  searchReplaced: () => {
    const target = new RequestTarget("/?name=Nobody&sort(name)");
    target.conditions = [{ attribute: "breed", value: "Pug" }];
    target.sort = { attribute: "age", descending: true };
    return names(Dog.get(target));
  },
  searchAppended: () => {
    const target = new RequestTarget("/?breed=Pug");
    target.append("name", "Bob");
    return names(Dog.search(target));
  },
  parseError: async () => {
    const target = new RequestTarget("/?a=1&b|c=(");
    return [(target.parseError as any)?.statusCode, (await failing(() => Dog.search(target).asArray))[0]];
  },
  checkPermission: async () => {
    const target = new RequestTarget("/a");
    target.checkPermission = {};
    const refused = await failing(() => TargetMode.get(target));
    target.checkPermission = { super_user: true };
    const allowed = await TargetMode.get(target);
    target.checkPermission = false;
    return [refused, allowed.name, (await TargetMode.get(target)).name];
  },
  objects: async () => [
    await names(Dog.get({ conditions: { attribute: "name", value: "Cy" } as any })),
    (await Dog.get({ id: "a" })).name,
    await Dog.get({ id: "a", select: "name" }),
    await names(Dog.search({ conditions: [["breed", "Pug"]] as any, limit: 1, sort: { attribute: "name" } })),
    await names(Dog.search(new Set([{ attribute: "name", value: "Bob" }]) as any)),
  ],
};

class TargetMode extends tables.Dog {
  static loadAsInstance = false;
}

export class Targets extends Resource {
  get(target: RequestTarget) {
    return targets[String(target.id)].call(this);
  }
}

/** What REST hands over. */
export class Shown extends Resource {
  get(target: RequestTarget) {
    return {
      id: target.id ?? null,
      collection: target.isCollection ?? null,
      url: target.url,
      search: target.search,
      conditions: target.conditions ?? null,
      limit: target.limit ?? null,
      property: target.property ?? null,
    };
  }
}

/** Narrows whatever is asked for. */
export class Pugs extends tables.Dog {
  search(target: any) {
    const conditions = target.conditions ?? [];
    target.conditions = [...conditions, { attribute: "age", comparator: "gt", value: 1 }];
    return super.search(target);
  }
}
