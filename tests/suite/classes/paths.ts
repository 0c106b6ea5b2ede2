import { Resource, resources, tables } from "harperdb";

class Told extends Resource {
  get(target: any) {
    return { ...target.params, id: target.id ?? null, path: this.getContext()!.handlerPath };
  }
}

/** What the parameters of a path are on the target. */
const shown = (...names: string[]) =>
  class extends Resource {
    get(target: any) {
      return names.map((name) => target[name] ?? null);
    }
    connect(_incoming: any, target: any) {
      return names.map((name) => target[name] ?? null);
    }
  };

export class Widget extends shown("id") {
  static path = "/widget/:id";
}
export class Action extends shown("id", "action") {
  static path = "widget/:id/action/:action";
}
export const files = Object.assign(shown("rest"), { path: "/files/*rest" });
export const wild = Object.assign(shown("wildcard"), { path: "./wild/*" });
class Thing extends shown("id", "isCollection") {}
export { Thing as "/thing/:id" };
export { Thing as "nested/:group/:id" };
export class Typed extends tables.Count {
  static path = "/counted/:id";
}
/** A literal goes before a parameter, and any path without parameters before those with them. */
export const Fixed = Object.assign(class Fixed extends Told {}, { path: "/widget/fixed" });
export const Query = Object.assign(
  class Query extends Resource {
    get(target: any) {
      return [target.name, target.get("q"), target.conditions];
    }
  },
  { path: "/query/:name" },
);

export const deep = { a: { b: { c: Told }, list: { get: () => "object" } } };
(deep as any).self = deep;
export const Alias = Told;
export const PlainObject = {
  get: (target: any) => ["get", target.id],
  put: async (target: any, data: any) => ["put", target.id, await data],
  post: async (_target: any, data: any) => ["post", await data],
  delete: (target: any) => ["delete", target.id],
};
/** A class that has the verbs and extends nothing. */
export class Foreign {
  static async patch(target: any, data: any) {
    return ["patch", target.id, await data];
  }
  static get(target: any) {
    return target.id;
  }
}
export const number = 5;
export const nothing = null;
export class NoResource {}

resources.set("/by/hand", Told);
server.resources.set("rest-only", Told, { rest: true, ws: false, sse: false });
resources.set("no-rest", Told, { rest: false });
// Two that can't share a path, and one that insists.
resources.set("twice", Told);
resources.set("twice", tables.Count);
resources.set("insists", Told);
resources.set("insists", tables.Count, undefined, true);
/** The table of another class has this path already. */
export class Dog extends Resource {}

export class Register extends Resource {
  post(data: any) {
    resources.set(data.path, class Late extends Resource {
      get(target: any) {
        return ["late", data.version, target.id ?? null, resources.has(data.path)];
      }
    }, undefined, data.force);
    return [...resources.keys()].includes(data.path);
  }
}

export class Matches extends Resource {
  get() {
    const match = (url: string, type?: string) => {
      const found: any = resources.getMatch(url, type);
      return found ? [found.path, found.relativeURL, found.params] : null;
    };
    return [
      match("by/hand/5?x=1"), match("/widget/7"), match("files/a/b"), match("none/at/all"),
      match("no-rest/", "rest"), match("no-rest/", "ws"), match("Alias.json"),
      resources.get("Alias")!.Resource === Told,
    ];
  }
}

export class Broken extends Resource {
  get() {
    try {
      resources.set("nothing", 5 as any);
    } catch (error: any) {
      return error.message;
    }
  }
}
