// `scope`: what a plugin's `handleApplication` gets (harper-components.md section 3).
import { Emitter } from "ext:kora/harperdb/emitter.ts";
import { EntryHandler, type EntryListener, isFilesOnly } from "ext:kora/harperdb/entry_handler.ts";
import { logger as rootLogger } from "ext:kora/harperdb/logger.ts";
import { Options } from "ext:kora/harperdb/options.ts";

/** Where a scope is, and what it shares with the component's own code. */
export interface Surroundings {
  appName: string;
  directory: string;
  server: any;
  resources: any;
  root: any;
}

export class Scope extends Emitter {
  name: string;
  appName: string;
  directory: string;
  resources: any;
  server: any;
  logger: any;
  options: Options;
  /** Changes of tables at run time; nothing of that kind happens to a loaded component here. */
  databaseEvents = new Emitter();
  #handlers: EntryHandler[] = [];
  /** Follows the `files` of the configuration. */
  #default: EntryHandler | undefined;
  #wantsRestart = false;

  constructor(name: string, own: any, surroundings: Surroundings) {
    super();
    const { appName, directory, server, resources, root } = surroundings;
    this.name = name;
    this.appName = appName;
    this.directory = directory;
    this.server = server;
    this.resources = resources;
    this.logger = rootLogger.withTag(name);
    this.options = new Options(name, root, own);
  }

  /** `handleEntry([files][, listener])`: without files, those of the configuration. */
  handleEntry(files?: any, listener?: EntryListener): EntryHandler {
    const given = typeof files === "function" ? undefined : files;
    const handle = typeof files === "function" ? files : listener;
    const config = this.options.getAll();
    const base = config !== null && typeof config === "object" ? config : {};
    if (given === undefined && (base.files ?? undefined) === undefined) {
      throw new TypeError(`handleEntry of ${this.name}: the configuration has no \`files\``);
    }
    const options = given === undefined
      ? base
      : isFilesOnly(given)
      ? { urlPath: base.urlPath, files: given }
      : given;
    const handler = new EntryHandler(this.name, this.directory, options, handle);
    handler.on("error", (error) => {
      if (!this.emitIfHeard("error", error)) throw error;
    });
    if (given === undefined) this.#default = handler;
    this.#handlers.push(handler);
    // Whoever starts the plugin waits for it, and hears of a failure there.
    handler.ready().catch(() => {});
    return handler;
  }

  /** Imports a module of the component. */
  import(specifier: string): Promise<any> {
    const isPath = /^\.{0,2}\//.test(specifier);
    const directory = this.directory.split("/").map(encodeURIComponent).join("/");
    const url = isPath ? new URL(specifier, `file://${directory}/`).href : specifier;
    return import(url);
  }

  /** Asks for the component to be loaded again; it is, with its next change. */
  requestRestart(): void {
    this.#wantsRestart = true;
    this.logger.info?.(`${this.name} wants to be loaded again`);
  }

  close(): void {
    for (const handler of this.#handlers) handler.close();
    this.emit("close");
    this.removeAllListeners();
  }

  /** Resolves when the files that are there were told to the plugin. */
  async settled(): Promise<void> {
    await Promise.all(this.#handlers.map((handler) => handler.ready()));
    this.emit("ready");
    this.options.emit("ready", this.options.getAll());
  }

  /** Files may have changed: tells, and gives the paths that somebody has heard of. */
  look(): Set<string> {
    const handled = new Set<string>();
    for (const handler of this.#handlers) {
      for (const path of handler.look().handled) handled.add(path);
    }
    return handled;
  }

  /** The configuration file says something else; false if that needs a reload. */
  reconfigure(root: any): boolean {
    const handled = this.options.update(root);
    const own = this.options.getAll();
    if (handled && this.#default && own?.files !== undefined) this.#default.update(own);
    return handled && !this.#wantsRestart;
  }

  get wantsRestart(): boolean {
    return this.#wantsRestart;
  }

  protected emitIfHeard(event: string, value: unknown): boolean {
    return this.listenerCount(event) > 0 && this.emit(event, value);
  }
}
