import {
  databases, getContext, getUser, operation, Resource, server, tables,
} from "harperdb";

/** Operations as this component's own code; with `?authorized` as the user who asks. */
export class Operate extends Resource {
  async post(request: any) {
    return await server.operation(request, this.getContext(), false);
  }
}
export class OperateAs extends Resource {
  static loadAsInstance = false;
  async post(_target: any, request: any) {
    return await operation(request, this.getContext(), true);
  }
}

/** A plain resource: for super users only. */
export class Plain extends Resource {
  get() { return "read"; }
  put() { return "put"; }
  post() { return "post"; }
  delete() { return "deleted"; }
  async *connect() { yield "connected"; }
}
/** In target mode nobody is asked. */
export class Open extends Resource {
  static loadAsInstance = false;
  get() { return "read"; }
}
export class Public extends Resource {
  allowRead() { return true; }
  get() { return "read"; }
}

/** Tables in instance mode, with the default permissions and with others. */
export class Instance extends tables.Dog {
  get(query: any) { return super.get(query); }
}
export class Everybody extends tables.Dog {
  allowRead() { return true; }
  get(query: any) { return super.get(query); }
}
/** The same in target mode. */
export class Target extends tables.Dog {
  static loadAsInstance = false;
  get(target: any) { return super.get(target); }
}
export class Unchecked extends tables.Dog {
  static loadAsInstance = false;
  get(target: any) {
    target.checkPermission = false;
    return super.get(target);
  }
}

export class Me extends Resource {
  static loadAsInstance = false;
  get() {
    const user = this.getCurrentUser();
    const same = user === getUserNow() && user === (getContext() as any).user;
    return user ? { name: user.username, role: user.role.role, active: user.active, same,
      super: user.role.permission.super_user, dog: user.role.permission.data?.tables?.Dog }
      : { name: null };
  }
}
function getUserNow() { return (getContext() as any).user; }

export class SignIn extends Resource {
  static loadAsInstance = false;
  async post(_target: any, data: any) {
    const context = this.getContext() as any;
    try {
      await context.login(data.username, data.password);
    } catch {
      return new Response("Please check your credentials", { status: 403 });
    }
    return new Response(`Welcome ${context.user.username}`, { status: 200 });
  }
}
export class Refusing extends Resource {
  static loadAsInstance = false;
  get() { return new Response("who are you?", { status: 401 }); }
}
export class SignOut extends Resource {
  static loadAsInstance = false;
  async post() {
    const context = this.getContext() as any;
    await context.session?.delete?.(context.session.id);
    return "bye";
  }
}
export class Session extends Resource {
  static loadAsInstance = false;
  get() { return (this.getContext() as any).session; }
  async post(_target: any, data: any) {
    await (this.getContext() as any).session.update(data);
    return "updated";
  }
}

const failure = (error: any) => ({ status: error.statusCode, message: error.message });
export const Lookup = {
  async get(target: any) {
    const name = target.id;
    const [found, right, wrong, wrong2] = await Promise.all([
      server.getUser(name, null),
      server.authenticateUser(name, [...name].reverse().join("")).catch(failure),
      server.authenticateUser(name, "wrong").catch(failure),
      server.getUser(name, "wrong").catch(failure),
    ]);
    let isFrozen = false;
    try { found.role.permission.super_user = true; } catch { isFrozen = true; }
    const same = (globalThis as any).authenticateUser === server.authenticateUser;
    return { found: found?.username ?? null, right: right.username ?? right, wrong, wrong2,
      isFrozen, same, ambient: getContext() ? typeof getUser : "" };
  },
};

/** What is stored of users. */
export const Stored = {
  get: (target: any) => databases.system.hdb_user.get(target.id),
};
