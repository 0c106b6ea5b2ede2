// `scope.options`: what the component's configuration file says of a plugin, and its changes
// (harper-components.md section 3).
import { Emitter } from "ext:kora/harperdb/emitter.ts";

/** Puts the environment's values in the place of `${NAME}`; a name that is not set stays as it is. */
export function withEnvironment(value: any): any {
  if (typeof value === "string") {
    const env = (globalThis as any).process?.env;
    return env ? value.replace(/\$\{(\w+)\}/g, (text, name) => env[name] ?? text) : value;
  }
  if (Array.isArray(value)) return value.map(withEnvironment);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, withEnvironment(one)]));
}

interface Change {
  key: string[];
  value: any;
}

function isMapping(value: any): boolean {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}

/** The innermost keys at which two configurations differ. */
function differences(before: any, after: any, key: string[] = []): Change[] {
  if (!isMapping(before) || !isMapping(after)) {
    return JSON.stringify(before) === JSON.stringify(after) ? [] : [{ key, value: after }];
  }
  const names = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...names].flatMap((name) => differences(before[name], after[name], [...key, name]));
}

export class Options extends Emitter {
  #name: string;
  #root: any;
  #own: any;

  constructor(name: string, root: any, own: any) {
    super();
    this.#name = name;
    this.#root = root;
    this.#own = withEnvironment(own);
  }

  /** One option: `get(['a', 'b'])`, or `get('a')`. */
  get(key: string | string[]): any {
    return (Array.isArray(key) ? key : [key]).reduce((value, name) => value?.[name], this.#own);
  }

  getAll(): any {
    return this.#own;
  }

  /** The whole configuration file. */
  getRoot(): any {
    return this.#root;
  }

  /** The file has changed: tells the listeners. False if nobody listens to what has changed. */
  update(root: any): boolean {
    this.#root = root;
    const own = withEnvironment(root?.[this.#name]);
    if (own === undefined || own === null || own === false) {
      return this.emit("remove");
    }
    const changes = differences(this.#own, own);
    this.#own = own;
    let handled = true;
    for (const { key, value } of changes) handled = this.emit("change", key, value, own) && handled;
    return handled;
  }
}
