// The live host module and the globals (harper-resources.md section 1), and what Rust takes from here.
import "ext:kora/web/globals.js";
import { op_kora_host, op_kora_settings, op_kora_tables } from "ext:core/ops";
import { contentTypes } from "ext:kora/harperdb/content_types.ts";
import "ext:kora/node/scripts.js";
import { internals } from "ext:core/mod.js";
import { createBlob } from "ext:kora/harperdb/blob.ts";
import { getContext } from "ext:kora/harperdb/context.ts";
import { call, connect } from "ext:kora/harperdb/dispatch.ts";
import { ServerError } from "ext:kora/harperdb/errors.ts";
import { IterableEventQueue } from "ext:kora/harperdb/event_queue.ts";
import { addTable, finishExports, resources, walkExports } from "ext:kora/harperdb/exports.ts";
import { logger, setLogLevel } from "ext:kora/harperdb/logger.ts";
import { finishListeners, handleRequest, http } from "ext:kora/harperdb/middleware.ts";
import {
  changed,
  closePlugins,
  setSurroundings,
  startPlugin,
} from "ext:kora/harperdb/plugins.ts";
import { mqtt } from "ext:kora/harperdb/mqtt.ts";
import { ws } from "ext:kora/harperdb/sockets.ts";
import { source, subscribeToSources } from "ext:kora/harperdb/source.ts";
import { resume } from "ext:kora/harperdb/request.ts";
import { Resource } from "ext:kora/harperdb/resource.ts";
import { operation, registerOperation } from "ext:kora/harperdb/operations.ts";
import { authenticateUser, getUser } from "ext:kora/harperdb/session.ts";
import { makeTable, type TableInfo } from "ext:kora/harperdb/table.ts";
import { RequestTarget } from "ext:kora/harperdb/target.ts";
import { transaction } from "ext:kora/harperdb/transaction.ts";

const DEFAULT_DATABASE = "data";

/** Something that a later version brings: says so when it is called, not when it is imported. */
function unavailable(name: string): (...args: unknown[]) => never {
  return () => {
    throw new ServerError(`${name} is not available in this version of Kora`, 501);
  };
}

/** A registration that has no effect yet: components that make it still load, and the log says so. */
function ignored(name: string): (...args: unknown[]) => void {
  return () => logger.warn(`${name} is not available in this version of Kora and was ignored`);
}

/** Tells the host what the loaded component has registered. */
function finish(): void {
  finishExports();
  finishListeners();
  subscribeToSources();
}

const EXPORTS = [
  "Resource", "tables", "databases", "server", "logger", "contentTypes", "transaction",
  "RequestTarget", "IterableEventQueue", "resources", "getContext", "getUser", "getResponse",
  "authenticateUser", "createBlob", "operation", "config", "threads",
];
/** Names of types that code imports without `type`: they exist as `undefined` (section 1). */
const TYPE_NAMES = [
  "Context", "User", "Session", "Query", "Table", "Attribute", "Scope", "Logger", "RecordObject",
  "ResourceInterface", "SourceContext", "SubscriptionRequest", "RequestTargetOrId", "Config",
  "ConfigValue", "FilesOption", "FilesOptionObject", "FileAndURLPathConfig",
];
const GLOBALS = [
  "Resource", "tables", "databases", "server", "logger", "contentTypes", "transaction",
  "RequestTarget", "resources", "createBlob", "operation", "authenticateUser", "threads",
];

/** Makes the module's values and the globals; gives the source of the module that exports them. */
function start(): string {
  const host = op_kora_host();
  const settings = op_kora_settings();
  setLogLevel(settings.logLevel);
  const databases: Record<string, Record<string, unknown>> = { [DEFAULT_DATABASE]: {} };
  op_kora_tables().forEach((info: TableInfo, number: number) => {
    (databases[info.database] ??= {})[info.table] = makeTable(number, info);
  });
  for (const [path, database, table] of settings.exportedTables) {
    addTable(path, databases[database]?.[table]);
  }
  const module: Record<string, unknown> = {
    Resource,
    databases,
    tables: databases[DEFAULT_DATABASE],
    logger,
    contentTypes,
    transaction,
    RequestTarget,
    IterableEventQueue,
    resources,
    getContext,
    getUser: () => getContext().user,
    getResponse: () => getContext().response,
    authenticateUser,
    createBlob,
    operation,
    // The application's own file; the host's is `server.config`.
    config: settings.componentConfig ?? {},
    threads: [],
    server: {
      resources,
      contentTypes,
      workerIndex: host.workerIndex,
      hostname: settings.hostname ?? host.hostname,
      config: settings.config ?? {},
      nodes: [],
      shards: new Map(),
      http,
      // In Harper, too, the two are one chain.
      request: http,
      ws,
      mqtt,
      upgrade: ignored("server.upgrade"),
      socket: unavailable("server.socket"),
      recordAnalytics: () => {},
      knownGraphQLDirectives: [],
      // Nobody keeps users for longer than a request, so there is nothing to be told of.
      onInvalidatedUser: () => {},
      getUser,
      authenticateUser,
      operation,
      registerOperation,
    },
  };
  const surroundings = {
    appName: host.application,
    directory: settings.directory,
    server: module.server,
    resources,
    root: settings.componentConfig,
  };
  setSurroundings(surroundings, host.workerIndex === 0);
  for (const name of GLOBALS) {
    Object.defineProperty(globalThis, name, {
      value: module[name],
      writable: true,
      configurable: true,
      enumerable: false,
    });
  }
  (globalThis as any).__kora.module = module;
  internals.kora.hostModule = module;
  return [
    "const host = globalThis.__kora.module;",
    ...EXPORTS.map((name) => `export const ${name} = host.${name};`),
    ...TYPE_NAMES.map((name) => `export const ${name} = undefined;`),
    "export default host;",
  ].join("\n");
}

/** Takes the host's own names out of the component's sight. */
function seal(): void {
  for (const name of ["__kora", "Deno", "__bootstrap"]) delete (globalThis as any)[name];
}

(globalThis as any).__kora = {
  start,
  seal,
  call,
  connect,
  source,
  walkExports,
  finishExports: finish,
  handleRequest,
  resume,
  startPlugin,
  changed,
  closePlugins,
};
