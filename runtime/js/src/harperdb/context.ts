// The context of a call: the request, the user, the response under way, the transaction
// (harper-resources.md section 7). Ambient: whatever a handler awaits finds it again.
import { core } from "ext:core/mod.js";
import { op_kora_request } from "ext:core/ops";
import { authenticateUser, frozen, Session } from "ext:kora/harperdb/session.ts";
import type { Transaction } from "ext:kora/harperdb/transaction.ts";

export interface User {
  username: string;
  active: boolean;
  role: { id: string; role: string; permission: { super_user: boolean; [database: string]: any } };
}

/** A user as the host gives one, or nobody. */
export function userOf(user: User | undefined): User | undefined {
  return frozen(user);
}

interface RequestView {
  method: string;
  url: string;
  headers: [string, string][];
  protocol: string;
  host: string | null;
  ip: string | null;
  httpVersion: string;
}

export class Context {
  user: User | undefined;
  /** Whether permissions are still to be checked; the first wrapped method clears it. */
  authorize = false;
  transaction: Transaction | undefined;
  /** The version of the record that was read: becomes the ETag. */
  lastModified: number | undefined;
  /** The id of a record that the call created: 201 and Location. */
  newLocation: any;
  createdResource = false;
  expiresAt: number | undefined;
  /** What to do when the client of a socket goes away. */
  onClose: (() => void)[] | undefined;
  /** The parsed body. */
  data: any;
  isWebSocket = false;
  #call: number;
  #view: RequestView | null | undefined;
  #headers: Headers | undefined;
  #responseHeaders: Headers | undefined;
  #session: Session | undefined;
  #response: { status: number | undefined; headers: Headers } | undefined;

  constructor(call = -1) {
    this.#call = call;
  }

  get #request(): RequestView | null {
    return this.#view ??= this.#call < 0 ? null : op_kora_request(this.#call);
  }

  /** Reads the request while the host still knows it: streams outlive their call. */
  keep(): void {
    void this.#request;
  }

  /** The call is answered: its number may name another one from now on. */
  answered(): void {
    this.#call = -1;
  }

  get method(): string | undefined {
    return this.#request?.method;
  }

  get url(): string | undefined {
    return this.#request?.url;
  }

  get pathname(): string | undefined {
    return this.url?.split("?", 1)[0];
  }

  get search(): string {
    const url = this.url ?? "";
    const mark = url.indexOf("?");
    return mark < 0 ? "" : url.slice(mark);
  }

  get protocol(): string | undefined {
    return this.#request?.protocol;
  }

  get host(): string | undefined {
    return this.#request?.host ?? undefined;
  }

  get hostname(): string | undefined {
    return this.host?.replace(/:\d+$/, "");
  }

  get ip(): string | undefined {
    return this.#request?.ip ?? undefined;
  }

  get httpVersion(): string | undefined {
    return this.#request?.httpVersion;
  }

  get headers(): Headers & { asObject: Record<string, string> } {
    if (!this.#headers) {
      this.#headers = new Headers(this.#request?.headers ?? []);
      Object.defineProperty(this.#headers, "asObject", {
        get(this: Headers) {
          return Object.fromEntries(this);
        },
      });
    }
    return this.#headers as any;
  }

  get responseHeaders(): Headers {
    return this.#responseHeaders ??= new Headers();
  }

  /** The headers that code has set for the response, if it has set any. */
  get setHeaders(): Headers | undefined {
    return this.#responseHeaders;
  }

  get response(): { status: number | undefined; headers: Headers } {
    return this.#response ??= { status: undefined, headers: this.responseHeaders };
  }

  /** The status that code has set, without making a response of it. */
  get setStatus(): number | undefined {
    return this.#response?.status;
  }

  /** What belongs to the client's browser; empty, without an id, until it is updated. */
  get session(): Session {
    return this.#session ??= new Session(this);
  }

  /** Makes the client the user of this name and remembers it in the session; rejects with 401. */
  async login(username: string, password: string): Promise<void> {
    const user = await authenticateUser(username, password);
    await this.session.update({ user: user.username });
    this.user = user;
  }

  toJSON(): unknown {
    return { method: this.method, url: this.url };
  }
}

const ambient = new core.AsyncVariable();

/** The context of the call that this code runs for, if it runs for one. */
export function ambientContext(): Context | undefined {
  return ambient.get();
}

/** `getContext()` of the module. */
export function getContext(): Context | Record<string, never> {
  return ambient.get() ?? {};
}

/** Runs `work` with `context` as the ambient one; what it awaits keeps it. */
export function runWith<T>(context: Context, work: () => T): T {
  const outer = core.getAsyncContext();
  ambient.enter(context);
  try {
    return work();
  } finally {
    core.setAsyncContext(outer);
  }
}
