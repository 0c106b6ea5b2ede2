// The errors of the host, as components see them (harper-resources.md section 10).
import { core } from "ext:core/mod.js";

export class ClientError extends Error {
  statusCode: number;
  constructor(message: string, statusCode = 400) {
    super(message);
    this.name = "ClientError";
    this.statusCode = statusCode;
  }
}

export class ServerError extends Error {
  statusCode: number;
  constructor(message: string, statusCode = 500) {
    super(message);
    this.name = "ServerError";
    this.statusCode = statusCode;
  }
}

export class AccessViolation extends Error {
  statusCode: number;
  constructor(user?: unknown) {
    super(user ? "Unauthorized access to resource" : "Must login");
    this.name = "AccessViolation";
    this.statusCode = user ? 403 : 401;
  }
}

// What ops throw by name. The engine sets `statusCode` after it is made, but only where there is none.
for (const Class of [ClientError, ServerError, AccessViolation]) {
  core.registerErrorBuilder(Class.name, (message: string) => {
    const error: any = new Class(message);
    error.message = message;
    delete error.statusCode;
    return error;
  });
}

/** Everything about a thrown value that a client or the log needs. */
export interface Failure {
  status: number;
  code: string;
  message: string;
  stack: string;
}

/** Reads whatever was thrown: an Error, an object with `statusCode`, a string, nothing. */
export function failure(thrown: any, context?: any): Failure {
  const fallback = context?.response?.status >= 400 ? context.response.status : 500;
  if (thrown === null || thrown === undefined) {
    return { status: fallback, code: "Error", message: "Unknown error occurred", stack: "" };
  }
  if (typeof thrown !== "object") {
    return { status: fallback, code: "Error", message: String(thrown), stack: "" };
  }
  const status = Number(thrown.statusCode ?? thrown.status) || fallback;
  const code = String(thrown.code ?? className(thrown));
  const message = isOutOfMemory(thrown)
    ? "out of memory: limits.memory bounds what the component's code may hold"
    : thrown.message === undefined
    ? "Unknown error occurred"
    : String(thrown.message);
  const stack = status >= 500 ? ownFrames(String(thrown.thrownAt ?? thrown.stack ?? "")) : "";
  return { status, code, message, stack };
}

/** QuickJS refuses a piece of memory that is too large by an error; V8's code is stopped for it. */
function isOutOfMemory(thrown: any): boolean {
  return thrown.name === "InternalError" && thrown.message === "out of memory";
}

/** What kind of error it is: a subclass that gives itself no name is told by that of its class. */
function className(thrown: any): string {
  if (typeof thrown.name === "string" && thrown.name !== "Error") return thrown.name;
  return thrown instanceof Error ? thrown.constructor.name : "Error";
}

/** Whether a thrown value is an answer: a `Response`, or an object that has the form of one. */
export function isThrownResponse(thrown: any): boolean {
  if (thrown === null || typeof thrown !== "object") return false;
  if (thrown instanceof Response) return true;
  return !(thrown instanceof Error) && Boolean(thrown.headers) && Number(thrown.status) > 0;
}

/** A stack without the host's frames: what is left is in the files of the component. */
function ownFrames(stack: string): string {
  return stack.replace(/\n\s+at [^\n]*\bext:[^\n]*/g, "");
}

/** The message for a method that a class lacks. */
export function missingMethod(className: string, method: string): ClientError {
  return new ClientError(`The ${className} does not have a ${method} method implemented`, 405);
}
