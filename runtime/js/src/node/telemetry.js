// Stands in for deno_telemetry, which fetch and node:http ask for tracing: there is none here, so they get
// the names that they read, switched off.
(function () {
const { internals } = __bootstrap;
internals.__telemetry = {
  TRACING_ENABLED: false,
  PROPAGATORS: [],
  DID_NOT_ENTER: Symbol("not traced"),
  builtinTracer() {},
  ContextManager: { active() {} },
  enterSpan() {},
  exitSpan() {},
  restoreSnapshot() {},
};
internals.__telemetryUtil = {
  updateSpanFromClientResponse() {},
  updateSpanFromError() {},
  updateSpanFromRequest() {},
  updateSpanFromServerResponse() {},
};
return {
  otelState: { TRACING_ENABLED: false, METRICS_ENABLED: false },
  SPAN_KEY: Symbol("span"),
  ...internals.__telemetry,
  ...internals.__telemetryUtil,
};
})();
