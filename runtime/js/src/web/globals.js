// Installs the web's global names from Deno's own extensions (timers, URL, streams, fetch, crypto,
// console, ...). Everything costly is loaded on first use: a worker that never streams never parses
// the streams polyfill. Follows Deno's own list in runtime/js/98_global_scope_shared.js.
import { core, internals } from "ext:core/mod.js";

/**
 * Runs `work`, which may evaluate modules, in the async context of now, and stays in it. QuickJS runs waiting
 * microtasks as part of an evaluation and forgets the context with the last of them: what first used a
 * module would go on outside of its request, and of its transaction.
 */
export function keepingContext(work) {
  const context = core.getAsyncContext();
  try {
    return work();
  } finally {
    core.setAsyncContext(context);
  }
}

/** `core.createLazyLoader`, which see; the loader keeps its caller's context. */
export function lazyLoader(specifier) {
  const load = core.createLazyLoader(specifier);
  let module;
  return () => module ??= keepingContext(load);
}

/** Errors that Deno's ops raise by name. */
export const errors = {};
for (
  const name of [
    "NotFound", "ConnectionRefused", "ConnectionReset", "ConnectionAborted", "NotConnected",
    "AddrInUse", "AddrNotAvailable", "BrokenPipe", "PermissionDenied", "AlreadyExists", "InvalidData",
    "TimedOut", "WouldBlock", "WriteZero", "UnexpectedEof", "Http", "Busy",
    "NotSupported", "FilesystemLoop", "IsADirectory", "NetworkUnreachable", "NotADirectory",
  ]
) {
  const ErrorClass = class extends Error {
    constructor(message, options) {
      super(message, options);
      this.name = name;
    }
  };
  Object.defineProperty(ErrorClass, "name", { value: name });
  core.registerErrorClass(name, ErrorClass);
  errors[name] = ErrorClass;
}

const { DOMException } = core.loadExtScript("ext:deno_web/01_dom_exception.js");
for (
  const [className, name] of [
    ["DOMExceptionOperationError", "OperationError"],
    ["DOMExceptionQuotaExceededError", "QuotaExceededError"],
    ["DOMExceptionNotSupportedError", "NotSupportedError"],
    ["DOMExceptionNetworkError", "NetworkError"],
    ["DOMExceptionAbortError", "AbortError"],
    ["DOMExceptionInvalidCharacterError", "InvalidCharacterError"],
    ["DOMExceptionDataError", "DataError"],
    ["DOMExceptionInvalidStateError", "InvalidStateError"],
    ["DOMExceptionSyntaxError", "SyntaxError"],
  ]
) {
  core.registerErrorBuilder(className, (message) => new DOMException(message, name));
}

const event = core.loadExtScript("ext:deno_web/02_event.js");
const consoles = core.loadExtScript("ext:deno_web/01_console.js");
// What components print goes to the log, which escapes the codes of colours.
consoles.setNoColorFns(() => true, () => true);
const url = core.loadExtScript("ext:deno_web/00_url.js");
const abortSignal = core.loadExtScript("ext:deno_web/03_abort_signal.js");

const lazy = (specifier) => () => core.loadExtScript(specifier);
const fromScript = {
  "ext:deno_web/05_base64.js": ["atob", "btoa"],
  "ext:deno_web/06_streams.js": [
    "ByteLengthQueuingStrategy", "CountQueuingStrategy", "ReadableStream",
    "ReadableStreamDefaultReader", "ReadableStreamBYOBReader", "ReadableStreamBYOBRequest",
    "ReadableStreamDefaultController", "ReadableByteStreamController", "TransformStream",
    "TransformStreamDefaultController", "WritableStream", "WritableStreamDefaultWriter",
    "WritableStreamDefaultController",
  ],
  "ext:deno_web/08_text_encoding.js": [
    "TextEncoder", "TextDecoder", "TextEncoderStream", "TextDecoderStream",
  ],
  "ext:deno_web/14_compression.js": ["CompressionStream", "DecompressionStream"],
  "ext:deno_web/01_urlpattern.js": ["URLPattern"],
  "ext:deno_web/09_file.js": ["Blob", "File"],
  "ext:deno_web/10_filereader.js": ["FileReader"],
  "ext:deno_web/13_message_port.js": ["MessageChannel", "MessagePort", "structuredClone"],
  "ext:deno_web/15_performance.js": [
    "performance", "Performance", "PerformanceEntry", "PerformanceMark", "PerformanceMeasure",
    "PerformanceObserver",
  ],
  "ext:deno_web/01_broadcast_channel.js": ["BroadcastChannel"],
  "ext:deno_fetch/20_headers.js": ["Headers"],
  "ext:deno_fetch/21_formdata.js": ["FormData"],
  "ext:deno_fetch/23_request.js": ["Request"],
  "ext:deno_fetch/23_response.js": ["Response"],
  "ext:deno_fetch/27_eventsource.js": ["EventSource"],
  "ext:deno_crypto/00_crypto.js": ["CryptoKey", "Crypto", "SubtleCrypto"],
};
for (const [specifier, names] of Object.entries(fromScript)) {
  for (const name of names) {
    core.defineGlobalProperties(globalThis, {
      [name]: core.propNonEnumerableLazyLoaded((script) => script[name], lazy(specifier)),
    });
  }
}

// The client of WebSockets, which alone is an ES module. It connects where `fetch` may.
core.defineGlobalProperties(globalThis, {
  WebSocket: core.propNonEnumerableLazyLoaded(
    (module) => module.WebSocket,
    lazyLoader("ext:deno_websocket/01_websocket.js"),
  ),
});

// Node's own globals, its timers among them: applications call `unref()` on what `setTimeout` returns.
const fromModule = {
  "node:process": { process: "default" },
  "node:buffer": { Buffer: "Buffer" },
  "node:timers": {
    setTimeout: "setTimeout",
    setInterval: "setInterval",
    setImmediate: "setImmediate",
    clearTimeout: "clearTimeout",
    clearInterval: "clearInterval",
    clearImmediate: "clearImmediate",
  },
};
for (const [specifier, names] of Object.entries(fromModule)) {
  const load = lazyLoader(specifier);
  for (const [name, exported] of Object.entries(names)) {
    core.defineGlobalProperties(globalThis, {
      [name]: core.propWritableLazyLoaded((module) => module[exported], load),
    });
  }
}

Object.defineProperties(globalThis, {
  AbortController: core.propNonEnumerable(abortSignal.AbortController),
  AbortSignal: core.propNonEnumerable(abortSignal.AbortSignal),
  CloseEvent: core.propNonEnumerable(event.CloseEvent),
  CustomEvent: core.propNonEnumerable(event.CustomEvent),
  DOMException: core.propNonEnumerable(DOMException),
  ErrorEvent: core.propNonEnumerable(event.ErrorEvent),
  Event: core.propNonEnumerable(event.Event),
  EventTarget: core.propNonEnumerable(event.EventTarget),
  MessageEvent: core.propNonEnumerable(event.MessageEvent),
  ProgressEvent: core.propNonEnumerable(event.ProgressEvent),
  URL: core.propNonEnumerable(url.URL),
  URLSearchParams: core.propNonEnumerable(url.URLSearchParams),
  crypto: core.propGetterOnly(() => core.loadExtScript("ext:deno_crypto/00_crypto.js").crypto),
  console: core.propNonEnumerable(
    new consoles.Console((message, level) => core.ops.op_kora_console(message, level)),
  ),
  fetch: core.propWritable(function fetch(...args) {
    return core.loadExtScript("ext:deno_fetch/26_fetch.js").fetch(...args);
  }),
  reportError: core.propWritable((...args) => event.reportError.call(undefined, ...args)),
  global: core.propWritable(globalThis),
});

/** Who asked to hear of errors that nobody catches: `process.on("uncaughtException")`. */
const errorListeners = new Set();
export const addErrorListener = (listener) => void errorListeners.add(listener);
export const removeErrorListener = (listener) => void errorListeners.delete(listener);

function uncaught(error) {
  core.ops.op_kora_console(`uncaught ${error?.stack ?? error}`, 3);
}

// What nobody catches in a microtask or an event listener. Deno ends its process over it, by stopping all
// code of the isolate: other calls run here too, so it goes to the log and everything else goes on.
event.saveGlobalThisReference({
  dispatchEvent(raised) {
    for (const listener of errorListeners) listener(raised);
    if (!raised.defaultPrevented) uncaught(raised.error);
    return false;
  },
});
core.setReportExceptionCallback(event.reportException);

// The same for promises.
core.setUnhandledPromiseRejectionHandler((promise, reason) => {
  let handled = false;
  internals.nodeProcessUnhandledRejectionCallback?.({
    promise,
    reason,
    preventDefault() {
      handled = true;
    },
  });
  if (!handled) uncaught(reason);
  return true;
});
core.setHandledPromiseRejectionHandler((promise, reason) => {
  internals.nodeProcessRejectionHandledCallback?.({ promise, reason });
});
