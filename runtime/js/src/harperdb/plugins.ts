// Starting the packages that the configuration names, and telling them of changes
// (harper-components.md section 3).
import { op_kora_changed, op_kora_plugin, op_kora_plugin_failed } from "ext:core/ops";
import { withEnvironment } from "ext:kora/harperdb/options.ts";
import { isExtension, startExtension } from "ext:kora/harperdb/legacy_extension.ts";
import { Scope, type Surroundings } from "ext:kora/harperdb/scope.ts";

/** How long `handleApplication` may take, in milliseconds. */
const DEFAULT_TIMEOUT = 30_000;

const scopes: Scope[] = [];
let surroundings: Surroundings;
let isFirstWorker = true;

/** Says what plugins share, before the first of them is started. */
export function setSurroundings(given: Surroundings, isFirst: boolean): void {
  surroundings = given;
  isFirstWorker = isFirst;
}

/** Rust: starts plugin number `number`, whose module is loaded. Failures go back by an op. */
export async function startPlugin(number: number, namespace: any): Promise<void> {
  const { name, options, timeout, module } = op_kora_plugin(number);
  try {
    // What CommonJS exports as a whole is the default export.
    const exports = typeof namespace.default === "object" && namespace.default !== null
      ? { ...namespace.default, ...namespace }
      : namespace;
    const { handleApplication } = exports;
    const isPlugin = typeof handleApplication === "function";
    if (isPlugin && isExtension(exports)) {
      throw new TypeError(
        `${module} exports handleApplication as well as functions of the extension API; ` +
          "a package is one or the other",
      );
    }
    const limit = timeout ?? exports.defaultTimeout ?? DEFAULT_TIMEOUT;
    if (typeof limit !== "number") {
      throw new TypeError(`${module}: defaultTimeout must be a number of milliseconds`);
    }
    if (isPlugin) {
      const scope = new Scope(name, options, surroundings);
      scopes.push(scope);
      await within(limit, name, async () => {
        await handleApplication(scope);
        await scope.settled();
      });
    } else if (isExtension(exports)) {
      const config = withEnvironment(options);
      await within(
        limit,
        name,
        () => startExtension(exports, config, surroundings.server, isFirstWorker),
      );
    } else {
      throw new TypeError(
        `${module} exports neither handleApplication nor a function of the extension API ` +
          "(start, startOnMainThread, handleFile, handleDirectory)",
      );
    }
  } catch (error: any) {
    op_kora_plugin_failed(number, shown(error));
  }
}

/** An error with the places in the component's own code. */
function shown(error: any): string {
  const lines: string[] = String(error?.stack ?? error).split("\n");
  return lines.filter((line) => !/^\s+at .*\bext:/.test(line)).join("\n");
}

async function within(limit: number, name: string, work: () => Promise<void>): Promise<void> {
  let timer: any;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`the plugin ${name} did not load within ${limit} ms`)),
      limit,
    );
  });
  try {
    await Promise.race([work(), late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Rust: files have changed, and the configuration file if `root` is given. */
export function changed(paths: string[], root: any): void {
  let handled = true;
  try {
    const heard = new Set<string>();
    for (const scope of scopes) for (const path of scope.look()) heard.add(path);
    handled = paths.every((path) => heard.has(path));
    if (root !== undefined) {
      for (const scope of scopes) handled = scope.reconfigure(root) && handled;
    }
    if (scopes.some((scope) => scope.wantsRestart)) handled = false;
  } catch (error: any) {
    console.error(error);
    handled = false;
  }
  op_kora_changed(handled);
}

/** Rust: this worker ends. */
export function closePlugins(): void {
  for (const scope of scopes.splice(0)) {
    try {
      scope.close();
    } catch (error) {
      console.error(error);
    }
  }
}
