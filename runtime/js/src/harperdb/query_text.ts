// The text of a query, changed by the names of its parameters while everything else in it stays as it
// was written (harper-rest.md section 3).

/** `limit(5)`: a part that is no parameter. */
export function callOf(segment: string): string | undefined {
  return /^(select|limit|sort|group-by)\(/.exec(segment)?.[1];
}

/** Cuts at `&` outside of parentheses, brackets and braces. */
function segmentsOf(text: string): string[] {
  const segments: string[] = [];
  let depth = 0;
  let from = 0;
  for (let at = 0; at < text.length; at++) {
    const character = text[at];
    if ("([{".includes(character)) depth++;
    else if (")]}".includes(character)) depth--;
    else if (character === "&" && depth === 0) {
      segments.push(text.slice(from, at));
      from = at + 1;
    }
  }
  if (text !== "") segments.push(text.slice(from));
  return segments;
}

/** The name before the operator, decoded; the whole of a call. */
function nameOf(segment: string): string {
  const raw = callOf(segment) ? segment : segment.split(/[=<>!]/, 1)[0];
  try {
    return decodeURIComponent(raw.replaceAll("+", " "));
  } catch {
    return raw;
  }
}

function written(name: string, value: string): string {
  return callOf(name) && value === ""
    ? name
    : `${encodeURIComponent(name)}=${encodeURIComponent(value)}`;
}

export class QueryText {
  #segments: string[];

  constructor(text: string) {
    this.#segments = segmentsOf(text);
  }

  append(name: string, value: string): void {
    this.#segments.push(written(name, value));
  }

  delete(name: string): void {
    this.#segments = this.#segments.filter((segment) => nameOf(segment) !== name);
  }

  set(name: string, value: string): void {
    const at = this.#segments.findIndex((segment) => nameOf(segment) === name);
    if (at < 0) return this.append(name, value);
    const later = this.#segments.slice(at + 1).filter((segment) => nameOf(segment) !== name);
    this.#segments = [...this.#segments.slice(0, at), written(name, value), ...later];
  }

  toString(): string {
    return this.#segments.join("&");
  }
}
