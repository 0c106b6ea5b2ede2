import { RequestTarget, Resource, tables } from "harperdb";

/** What a method got, wherever it stood. */
function told(data: any, target: any, self?: any) {
  const resolved = data && typeof data.then === "function" ? "promise" : data;
  return {
    data: resolved ?? null,
    target: target instanceof RequestTarget,
    id: target?.id ?? null,
    q: target?.get?.("q") ?? null,
    own: self?.getId?.() ?? null,
  };
}

export class DataFirst extends Resource {
  get(target: any) {
    return told(null, target, this);
  }
  put(data: any, target: any) {
    return told(data, target, this);
  }
  patch(data: any, target: any) {
    return told(data, target, this);
  }
  post(data: any, target: any) {
    return told(data, target, this);
  }
  delete(target: any) {
    return told(null, target, this);
  }
  search(data: any, target: any) {
    return told(data, target, this);
  }
}

export class TargetFirst extends Resource {
  static loadAsInstance = false;
  get(target: any) {
    return told(null, target, this);
  }
  put(target: any, data: any) {
    return told(data, target, this);
  }
  patch(target: any, data: any) {
    return told(data, target, this);
  }
  async post(target: any, data: any) {
    return told(data, target, this);
  }
  delete(target: any) {
    return told(null, target, this);
  }
  search(target: any, data: any) {
    return told(data, target, this);
  }
}

/** Neither flag: the names of the parameters tell. */
export class ByName extends Resource {
  async post(target: any, data: any) {
    return told(data, target, this);
  }
  put(query: any, body: any = {}) {
    return told(body, query, this);
  }
  patch(changes: any, target: any) {
    return told(changes, target, this);
  }
}

/** The flag decides against the names. */
export class Flagged extends Resource {
  static loadAsInstance = true;
  post(target: any, data: any) {
    return told(target, data, this);
  }
}

export class Statics extends Resource {
  static get(target: any, context: any) {
    return { ...told(null, target), method: context.method };
  }
  static async post(target: any, data: any, context: any) {
    const promise = typeof data.then === "function";
    return { ...told(await data, target), promise, user: context.user.username };
  }
  static async put(target: any, data: any) {
    return told(await data, target);
  }
  static async delete(target: any) {
    return told(null, target);
  }
}

/** Static overrides of a table that go on with the table's own. */
export class StaticDog extends tables.Dog {
  static async get(target: any) {
    const found = await super.get(target);
    return found && !target.isCollection ? { ...found, wrapped: true } : found;
  }
  static async put(target: any, data: any) {
    return super.put(target, { ...(await data), breed: "static" });
  }
  static async patch(target: any, data: any) {
    return super.patch(target, await data);
  }
  static post(target: any, data: any) {
    return super.post(target, data);
  }
  static delete(target: any) {
    return super.delete(target);
  }
}

/** Instance methods without a target. */
export class BareDog extends tables.Dog {
  get() {
    return super.get();
  }
  put(data: any) {
    data.breed = "bare";
    return super.put(data);
  }
  patch(data: any) {
    return super.patch(data);
  }
  post(data: any) {
    return super.post({ ...data, breed: "bare" });
  }
  delete() {
    return super.delete();
  }
}

/** Instance methods that hand the target on. */
export class PassingDog extends tables.Dog {
  async get(query: any) {
    const found = await super.get(query);
    return this.isCollection ? found : found && { ...found, name: this.name, loud: this.name.toUpperCase() };
  }
  async put(data: any, query: any) {
    await super.put({ ...data, breed: "passing" }, query);
    return { written: this.getId() };
  }
  patch(data: any, query: any) {
    return super.patch(data, query);
  }
  post(data: any, query: any) {
    return super.post(data, query);
  }
  delete(query: any) {
    return super.delete(query);
  }
}

export class TargetDog extends tables.Dog {
  static loadAsInstance = false;
  async get(target: any) {
    const found = await super.get(target);
    return target.isCollection ? found : found && { ...found, mode: "target" };
  }
  put(target: any, data: any) {
    return super.put(target, { ...data, breed: "target" });
  }
  patch(target: any, data: any) {
    return super.patch(target, data);
  }
  post(target: any, data: any) {
    return super.post(target, data);
  }
  delete(target: any) {
    return super.delete(target);
  }
}

/** Target first without the flag, for the super call too. */
export class NamedDog extends tables.Dog {
  put(target: any, data: any) {
    return super.put(target, { ...data, breed: "named" });
  }
  post(target: any, data: any) {
    return super.post(target, data);
  }
}

/** What v4 code does with its instance. */
export class LiveDog extends tables.Dog {
  get(query: any) {
    if (query?.isCollection) return super.get(query);
    this.extra = this.age + 1;
    return super.get(query);
  }
}

export class Self extends tables.Dog {
  get() {
    return {
      id: this.getId(),
      name: this.name,
      user: this.getCurrentUser()?.username,
      method: this.getContext().method,
      url: this.getContext().url,
      exists: this.doesExist(),
      updated: typeof this.getUpdatedTime?.(),
    };
  }
}

/** Only what it has can be asked for. */
export class GetOnly extends Resource {
  get() {
    return 1;
  }
}
export class PostOnly extends Resource {
  post() {
    return 1;
  }
}
