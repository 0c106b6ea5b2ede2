// Users for code: `server.getUser`, `authenticateUser`, and the session behind a browser's cookie
// (harper-resources.md sections 7 and 14, harper-rest.md section 9.2).
import {
  op_kora_authenticate,
  op_kora_session,
  op_kora_session_cookie,
  op_kora_session_delete,
  op_kora_session_find,
  op_kora_session_update,
  op_kora_user,
} from "ext:core/ops";
import type { Context, User } from "ext:kora/harperdb/context.ts";

/** Users are shared by all requests of a worker: nobody may change them for the others. */
export function frozen<T>(value: T): T {
  if (value !== null && typeof value === "object" && !Object.isFrozen(value)) {
    for (const inner of Object.values(value)) frozen(inner);
    Object.freeze(value);
  }
  return value;
}

/** The user, if the password is right; else rejects with 401. */
export async function authenticateUser(username: string, password: string): Promise<User> {
  return frozen(await op_kora_authenticate(String(username), String(password ?? "")));
}

/** The user of this name, or `undefined`; with a password, only if that is right. */
export async function getUser(
  username: string,
  password?: string | null,
): Promise<User | undefined> {
  if (password !== undefined && password !== null) return authenticateUser(username, password);
  return frozen(op_kora_user(String(username))) ?? undefined;
}

/** What a session holds, with the means to change it. */
export class Session {
  id: string | undefined;
  user: string | null | undefined;
  [name: string]: any;
  #context: Context;

  constructor(context: Context) {
    this.#context = context;
    const cookie = context.headers.get("cookie");
    if (!cookie) return;
    const id = op_kora_session_find(cookie, ...this.#site());
    const held = id ? op_kora_session(id) : null;
    if (held) Object.assign(this, held, { id });
  }

  #site(): [string, string] {
    return [this.#context.headers.get("origin") ?? "", this.#context.host ?? ""];
  }

  #tell(id: string): void {
    const isTls = this.#context.protocol === "https";
    const cookie = op_kora_session_cookie(id, ...this.#site(), isTls);
    this.#context.responseHeaders.append("Set-Cookie", cookie);
    if (isTls) {
      this.#context.responseHeaders.set("X-Hdb-Session", "Secure");
      this.#context.responseHeaders.append("Access-Control-Expose-Headers", "X-Hdb-Session");
    }
  }

  /** Merges `changes` into the session; begins one, with its cookie, where there is none. */
  async update(changes: Record<string, any>): Promise<void> {
    const { id: _, ...rest } = changes;
    const id = await op_kora_session_update(this.id ?? "", JSON.stringify(rest));
    if (id !== this.id) this.#tell(id);
    Object.assign(this, rest, { id });
  }

  /** Ends this session, or another one by its id. */
  async delete(id: string | undefined = this.id): Promise<boolean> {
    if (!id) return false;
    const existed = await op_kora_session_delete(id);
    if (id === this.id) {
      this.#tell("");
      for (const name of Object.keys(this)) delete (this as any)[name];
    }
    return existed;
  }
}
