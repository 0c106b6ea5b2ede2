// From a URL to one of a component's own resources, for code that asks (`resources.getMatch`,
// harper-resources.md section 2). What a client asks is matched in Rust, over all components.

interface Entry {
  path: string;
  exportTypes: Record<string, unknown> | undefined;
}

export interface Match<E> {
  entry: E;
  /** Empty, or beginning with `/` or `?`. */
  relativeURL: string;
  params: Record<string, string>;
}

function isPattern(path: string): boolean {
  return path.split("/").some((segment) => /^[:*]/.test(segment));
}

/** A literal segment goes before a parameter, and that before the rest. */
function rank(segment: string): number {
  return segment.startsWith("*") ? 2 : segment.startsWith(":") ? 1 : 0;
}

function precedence(a: string, b: string): number {
  const [left, right] = [a.split("/"), b.split("/")];
  for (let at = 0; at < Math.min(left.length, right.length); at++) {
    const order = rank(left[at]) - rank(right[at]);
    if (order !== 0) return order;
  }
  return right.length - left.length;
}

function paramsOf(pattern: string, path: string): Record<string, string> | undefined {
  const names = pattern.split("/");
  const parts = path.split("/");
  const params: Record<string, string> = {};
  for (let at = 0; at < names.length; at++) {
    const name = names[at];
    if (at >= parts.length) return undefined;
    if (name.startsWith("*") && at === names.length - 1) {
      params[name.slice(1) || "wildcard"] = decodeURIComponent(parts.slice(at).join("/"));
      return params;
    }
    if (name.startsWith(":") && parts[at] !== "") params[name.slice(1)] = decodeURIComponent(parts[at]);
    else if (name !== parts[at]) return undefined;
  }
  return names.length === parts.length ? params : undefined;
}

/** The longest path at a `/`, then the part before the first dot, then patterns, then the root. */
export function findMatch<E extends Entry>(
  entries: Map<string, E>,
  url: string,
  exportType: string | undefined,
): Match<E> | undefined {
  const visible = (path: string) => {
    const entry = isPattern(path) ? undefined : entries.get(path);
    return entry && (exportType === undefined || entry.exportTypes?.[exportType] !== false)
      ? entry
      : undefined;
  };
  const path = url.split("?", 1)[0];
  for (let end = path.length; end > 0; end = path.lastIndexOf("/", end - 1)) {
    const entry = visible(path.slice(0, end));
    if (entry) return { entry, relativeURL: url.slice(end), params: {} };
  }
  const entry = path.includes(".") ? visible(path.slice(0, path.indexOf("."))) : undefined;
  if (entry && entry.path !== "") return { entry, relativeURL: "", params: {} };
  const patterns = [...entries.values()].filter((entry) => isPattern(entry.path));
  for (const entry of patterns.sort((a, b) => precedence(a.path, b.path))) {
    if (exportType !== undefined && entry.exportTypes?.[exportType] === false) continue;
    const params = paramsOf(entry.path, path);
    if (params) return { entry, relativeURL: url.slice(path.length), params };
  }
  const root = visible("");
  return root && { entry: root, relativeURL: `/${url}`, params: {} };
}
