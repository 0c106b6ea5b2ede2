// One listener on each side of authentication, and what both make of the request.
server.http((request, next) => {
  request.before = { user: request.user?.username ?? null };
  if (request.headers.get("x-key") === "secret") {
    request.user = { username: "by key", role: { permission: { super_user: true } }, extra: "own" };
  }
  if (request.headers.get("x-ticket")) {
    request.headers.delete("authorization");
    request.headers.set("x-seen", "changed before authentication");
  }
  return next(request);
}, { runFirst: true });

server.http(async (request, next) => {
  if (request.pathname === "/enter") {
    await request.login("admin", request.headers.get("x-password"));
    return { status: 200, headers: { "content-type": "text/plain" }, body: request.user.username };
  }
  if (request.pathname === "/long") {
    return { status: 200, headers: { "content-type": "text/plain" }, body: "long ".repeat(1000) };
  }
  if (request.pathname === "/refused") return { status: 401, headers: {}, body: "" };
  request.behind = { user: request.user?.username ?? null, seen: request.headers.get("x-seen") };
  const response = await next(request);
  if (request.headers.has("x-count")) {
    response.headers.set("x-length", String(response.body.length));
    response.headers.set("x-type", typeof response.body);
  }
  return response;
});

export class Who extends Resource {
  static loadAsInstance = false;
  allowRead() {
    return true;
  }
  get() {
    const { before, behind, user, pathname } = this.getContext();
    return { before, behind, user: user?.username ?? null, extra: user?.extra ?? null, pathname };
  }
}
