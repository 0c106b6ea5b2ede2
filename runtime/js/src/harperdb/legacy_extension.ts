// The older extension API (harper-components.md section 3): `start` and `startOnMainThread`, handlers
// of files and directories, `ready`. The "main thread" is the first worker.
import { op_kora_scan } from "ext:core/ops";
import { contentsOf } from "ext:kora/harperdb/entry_handler.ts";
import { ServerError } from "ext:kora/harperdb/errors.ts";

const STARTS = ["start", "startOnMainThread"] as const;
const HANDLERS = ["handleFile", "handleDirectory", "setupFile", "setupDirectory"] as const;

/** Whether a module is such an extension. */
export function isExtension(module: any): boolean {
  return [...STARTS, ...HANDLERS].some((name) => typeof module[name] === "function");
}

/** Starts an extension in this worker. */
export async function startExtension(
  module: any,
  config: any,
  server: any,
  isFirstWorker: boolean,
): Promise<void> {
  const options = {
    ...config,
    server,
    resources: server.resources,
    port: server.config?.http?.port,
    securePort: server.config?.http?.securePort,
    ensureTable(table: any) {
      throw new ServerError(
        `ensureTable(${table?.table ?? ""}) is not available in Kora: declare the table in a ` +
          "schema.graphql",
        501,
      );
    },
  };
  const onMain = isFirstWorker ? await module.startOnMainThread?.(options) : undefined;
  const onWorker = await module.start?.(options);
  const find = (name: typeof HANDLERS[number]) =>
    [onWorker, onMain, module].find((from) => typeof from?.[name] === "function");
  const run = async (name: typeof HANDLERS[number], ...args: any[]) => {
    const from = find(name);
    return from ? await from[name](...args) : undefined;
  };
  if (config?.files !== undefined && HANDLERS.some(find)) {
    const descended: string[] = [];
    const entries: any[] = op_kora_scan({ ...config, urlPath: config.path ?? config.urlPath });
    // A directory comes before what it holds, and may keep that to itself.
    for (const { entryType, absolutePath, urlPath } of entries) {
      if (descended.some((directory) => absolutePath.startsWith(`${directory}/`))) continue;
      if (entryType === "directory") {
        if (isFirstWorker) await run("setupDirectory", urlPath, absolutePath, server.resources);
        const done = await run("handleDirectory", urlPath, absolutePath, server.resources);
        if (done) descended.push(absolutePath);
        continue;
      }
      if (!find("handleFile") && !find("setupFile")) continue;
      const contents = contentsOf(absolutePath);
      if (isFirstWorker) await run("setupFile", contents, urlPath, absolutePath, server.resources);
      await run("handleFile", contents, urlPath, absolutePath, server.resources);
    }
  }
  const withReady = [onWorker, module].find((from) => typeof from?.ready === "function");
  await withReady?.ready();
}
