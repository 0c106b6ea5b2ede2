import * as v1 from "harperdb/v1";
import * as v2 from "harperdb/v2";
import * as harper from "harper";
import * as scoped from "@harperfast/harper";
import host, { config, Context, IterableEventQueue, RequestTarget, Resource, tables, User } from "harperdb";
// The file is a TypeScript one; and what it exports besides is a type, imported as a value.
import { double, Shape } from "../lib/double.js";
import { half } from "../lib/half";
import settings from "../lib/settings.json" with { type: "json" };
// Nothing of it is used as a value, so it must never be loaded.
import { Missing } from "../lib/does-not-exist.ts";

const shape: Shape = { side: 2 };
let nothing: Missing | undefined;

const checks: Record<string, (this: Named) => unknown> = {
  sameObjects() {
    return [v1, v2, harper, scoped].every((other: any) =>
      other.tables === tables && other.Resource === Resource && other.databases.data === tables &&
      other.RequestTarget === RequestTarget && other.logger === host.logger
    );
  },
  globals() {
    const names = [
      "Resource", "tables", "databases", "server", "logger", "transaction", "RequestTarget",
      "resources", "contentTypes", "createBlob", "threads",
    ];
    return names.filter((name) => (globalThis as any)[name] !== (host as any)[name]);
  },
  hidden() {
    return ["Deno", "__kora", "__bootstrap"].filter((name) => name in globalThis);
  },
  helpers: () => [double(shape.side), half(8), settings.answer, nothing === undefined],
  queue: () => typeof new IterableEventQueue().send,
  generics: () => {
    const first = <T,>(items: T[]): T => items[0]!;
    return first<number>([1, 2]) satisfies number as number;
  },
  enums: () => [Colour.Red, Colour[1]],
  url: () => import.meta.url.endsWith("/resources/resources.ts"),
  dynamic: async () => (await import("../lib/half")).half(10),
  worker: () => [server.workerIndex, typeof server.hostname],
  config: () => [config.rest, (config as any).jsResource.files.length, config === server.config],
  strict() {
    return this instanceof Named;
  },
};

enum Colour {
  Red = 1,
}

export class Named extends Resource {
  private label: string = "named";
  readonly #secret = 7;

  constructor(id: any, public source: Context) {
    super(id, source);
  }

  get(target: RequestTarget): unknown {
    const check = checks[String(target.id)];
    const user = this.getCurrentUser() as User | undefined;
    return check ? check.call(this) : [this.label, this.#secret, user?.username];
  }
}

export const alias = Named;
export const version = "1.0";
export function helper() {}
export const api = { v1: { "a/b": Named, list: { get: () => ["plain object"] } } };

export class Moved extends Resource {
  static path = "over/there";
  get() {
    return "moved";
  }
}

export { Moved as "/renamed/here" };

/** Extends nothing, but has the verbs. */
export class Foreign {
  static get(target: RequestTarget) {
    return { foreign: target.id };
  }
}

class ByHand extends Resource {
  get() {
    return "by hand";
  }
}
server.resources.set("/by-hand", ByHand);

export class Dog extends tables.Dog {
  get(target: RequestTarget) {
    return target.isCollection ? super.get(target) : { ...super.get(target), replaced: true };
  }
}
