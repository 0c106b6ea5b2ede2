// What Deno's Node scripts need of Deno itself: the namespace `Deno`, which components never see, and the
// loader of deferred scripts (node/scripts.rs). Evaluated with the isolate; all but this file is loaded when
// it is first used.
import { core, internals } from "ext:core/mod.js";
import {
  op_import_sync, op_kora_environment, op_kora_node, op_kora_package_of, op_kora_script,
} from "ext:core/ops";
import {
  addErrorListener, errors, keepingContext, lazyLoader, removeErrorListener,
} from "ext:kora/web/globals.js";

const host = op_kora_node();
core.setBuildInfo(host.target);
const quoted = (value) => JSON.stringify(String(value));

/** A property that is taken from a script of Deno's when it is read. */
const from = (specifier, name) => ({
  get: () => core.loadExtScript(specifier)[name],
  enumerable: true,
});
const value = (it) => ({ value: it, enumerable: true });
const unavailable = (what) =>
  value(() => {
    throw new errors.NotSupported(`${what} is not available in Kora`);
  });

let environment;
const variables = () => environment ??= new Map(Object.entries(op_kora_environment()));

const deno = Object.defineProperties({}, {
  build: { get: () => ({ ...core.build, standalone: false }), enumerable: true },
  errors: value({
    ...errors,
    BadResource: core.BadResource,
    Interrupted: core.Interrupted,
    NotCapable: core.NotCapable,
  }),
  env: value({
    get: (key) => variables().get(String(key)),
    set: (key, text) => void variables().set(String(key), String(text)),
    has: (key) => variables().has(String(key)),
    delete: (key) => void variables().delete(String(key)),
    toObject: () => Object.fromEntries(variables()),
  }),
  args: value([]),
  pid: value(host.pid),
  ppid: value(0),
  noColor: value(true),
  mainModule: value(`file://${host.directory}/`),
  version: value({ deno: "", v8: "", typescript: "" }),
  internal: value(Symbol("kora")),
  execPath: value(() => host.executable),
  exit: value((code) => {
    throw new errors.NotSupported(
      `process.exit(${code}) was called by component ${quoted(host.application)}: a component can't end the server`,
    );
  }),
  exitCode: { get: () => 0, set() {}, enumerable: true },
  // Signals are the server's; a component that listens for one simply never hears it.
  addSignalListener: value(() => {}),
  removeSignalListener: value(() => {}),
  consoleSize: value(() => ({ columns: 80, rows: 24 })),
  memoryUsage: value(() => core.memoryUsage()),
  cpuUsage: value(() => ({ user: 0, system: 0 })),
  inspect: from("ext:deno_web/01_console.js", "inspect"),
  resolveDns: from("ext:deno_net/01_net.js", "resolveDns"),
  connect: from("ext:deno_net/01_net.js", "connect"),
  watchFs: unavailable("fs.watch()"),
  serve: unavailable("Deno.serve()"),
});
const scripts = {
  "ext:deno_os/30_os.js": [
    "gid", "hostname", "loadavg", "networkInterfaces", "osRelease", "osUptime", "systemMemoryInfo", "uid",
  ],
  "ext:deno_fs/30_fs.js": [
    "chdir", "chmod", "chmodSync", "chown", "chownSync", "copyFile", "copyFileSync", "cwd", "link",
    "linkSync", "lstat", "lstatSync", "makeTempDir", "makeTempDirSync", "mkdir", "mkdirSync", "open",
    "openSync", "readDir", "readDirSync", "readFile", "readFileSync", "readLink", "readLinkSync",
    "readTextFile", "readTextFileSync", "realPath", "realPathSync", "remove", "removeSync", "rename",
    "renameSync", "stat", "statSync", "symlink", "symlinkSync", "truncate", "truncateSync", "umask",
    "utime", "utimeSync", "writeFile", "writeFileSync", "writeTextFile", "writeTextFileSync",
  ],
};
for (const [specifier, names] of Object.entries(scripts)) {
  for (const name of names) Object.defineProperty(deno, name, from(specifier, name));
}
Object.defineProperty(deno, deno.internal, { value: internals });

/** Why something was refused, in the words of the component's configuration. */
function explained(message) {
  const denied = /^Requires (\w+) access(?: to (.+?))?, run again/.exec(message);
  if (denied === null) {
    return message.replace(/--allow-(read|write|net|run)\b/g, "permissions.$1 in config.yaml");
  }
  const [, access, what = "anything"] = denied;
  const doing = { read: "read", write: "write", net: "connect to", run: "run" }[access];
  const who = `component ${quoted(host.application)}`;
  if (doing === undefined) return `${who} may not use ${what} of the system`;
  return `${who} may not ${doing} ${what}: allow it with permissions.${access} in config.yaml`;
}
// `NotCapable` calls whatever its prototype is at the time: this is the only place where the wording of a
// refused permission can be ours.
Object.setPrototypeOf(core.NotCapable, class extends Error {
  constructor(message, options) {
    super(explained(String(message)), options);
    this.code = "ERR_ACCESS_DENIED";
  }
});

function refuseListening() {
  throw new core.NotCapable(
    `component ${quoted(host.application)} may not open a port: allow it with permissions.listen in config.yaml`,
  );
}
function refuse(prototype, methods) {
  for (const method of methods) prototype[method] = refuseListening;
}

/** What is changed in a script's exports once it has run. */
const after = {
  "ext:deno_node/_process/process.ts"({ versions }) {
    // Packages take a runtime with these for another platform.
    delete versions.deno;
    delete versions.typescript;
  },
  "ext:deno_node/internal_binding/tcp_wrap.ts"({ TCP }) {
    if (!host.listen) refuse(TCP.prototype, ["bind", "bind6", "bindWithFlags", "listen"]);
  },
  "ext:deno_node/internal_binding/pipe_wrap.ts"({ Pipe }) {
    if (!host.listen) refuse(Pipe.prototype, ["bind", "listen"]);
  },
};

const scriptCore = Object.freeze({ __proto__: core, createLazyLoader: lazyLoader });

/** Runs a deferred script; gives what it exports. */
function load(specifier, bootstrap) {
  const [run, error] = core.compileFunction(op_kora_script(specifier), specifier, undefined, [
    "__bootstrap",
    "Deno",
  ]);
  if (error) throw error.thrown;
  const exports = run({ ...bootstrap, core: scriptCore }, deno);
  after[specifier]?.(exports);
  return exports;
}

/** The finders of compiled addons: they fail in ways that tell nobody why. */
const ADDON_FINDERS = new Set([
  "bindings", "node-gyp-build", "node-pre-gyp", "@mapbox/node-pre-gyp", "node-gyp-build-optional-packages",
]);

/** Makes Node's `process` that of a component: it writes to the log and can't end the server. */
function takeProcess(process) {
  process.exit = process.reallyExit = deno.exit;
  const output = (level) => {
    let stream;
    return {
      get() {
        if (stream !== undefined) return stream;
        const { Writable } = lazyLoader("node:stream")();
        stream = new Writable({
          decodeStrings: false,
          write(chunk, _encoding, done) {
            core.ops.op_kora_console(String(chunk), level);
            done();
          },
        });
        return stream;
      },
      set(replacement) {
        stream = replacement;
      },
      enumerable: true,
      configurable: true,
    };
  };
  let input;
  Object.defineProperties(process, {
    stdout: output(1),
    stderr: output(3),
    stdin: {
      get: () => input ??= lazyLoader("node:stream")().Readable.from([]),
      enumerable: true,
      configurable: true,
    },
  });
}

/** Lets `require` find the host's module, and fail clearly where an addon is wanted. */
function takeModule(Module) {
  delete globalThis.nodeBootstrap;
  const { _load, _resolveFilename } = Module;
  const isHost = (request) => internals.kora.hostNames.has(request);
  Module._load = function (request, parent, isMain) {
    if (isHost(request)) return internals.kora.hostModule;
    if (ADDON_FINDERS.has(request)) {
      const name = op_kora_package_of(parent?.filename ?? "") ?? parent?.filename;
      throw new Error(
        `package ${quoted(name)} needs a native addon (it requires "${request}"), which Kora can't load: ` +
          "use a package in plain JavaScript or WebAssembly instead",
      );
    }
    return _load.call(this, request, parent, isMain);
  };
  Module._resolveFilename = function (request, ...rest) {
    return isHost(request) ? request : _resolveFilename.call(this, request, ...rest);
  };
}

/** What `require` gives of an ES module on QuickJS, and why not what deno_core's op gives: node/linked.rs. */
function requireModule(url, code) {
  if (code !== undefined) {
    throw new errors.NotSupported("module hooks can't give require() the source of an ES module on this engine");
  }
  const load = (specifier) => keepingContext(() => op_import_sync(specifier));
  const { namespace } = load(`kora:require/${url}`);
  const isPlain = !Object.hasOwn(namespace, "default") || Object.hasOwn(namespace, "__esModule");
  return isPlain ? namespace : load(`kora:require/wrapped/${url}`);
}

// Node's half of Deno's bootstrap runs when the first of its modules is loaded, with these arguments.
internals.__nodeBootstrapArgs = {
  argv0: "kora",
  denoArgs: [],
  denoVersion: { kora: host.version },
  nodeDebug: "",
  runningOnMainThread: true,
  usesLocalNodeModulesDir: true,
};

internals.kora = {
  deno,
  lazyLoader,
  load,
  requireModule,
  takeModule,
  takeProcess,
  addErrorListener,
  removeErrorListener,
  hostNames: new Set(host.hostNames),
};
