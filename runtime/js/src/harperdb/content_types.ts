// `contentTypes`: media types that a component brings (harper-realtime.md section 7). The host
// answers in JSON, and the innermost listener turns that into the type that the client prefers; a body
// of such a type becomes JSON on its way in.
import type { HostResponse } from "ext:kora/harperdb/response.ts";
import type { RequestContext } from "ext:kora/harperdb/request.ts";

interface Handler {
  serialize?(data: any, response?: any): any;
  serializeStream?(iterable: any, response?: any): any;
  deserialize?(bytes: any): any;
  q?: number;
  type?: string;
}

/** The weights of the types that the host has itself. */
const OWN: Record<string, number> = {
  "application/cbor": 1,
  "application/x-msgpack": 0.9,
  "application/json": 0.8,
  "text/event-stream": 0.8,
  "text/yaml": 0.7,
  "application/x-ndjson": 0.7,
  "application/ndjson": 0.7,
  "*/*": 0.5,
  "text/plain": 0.2,
  "text/csv": 0.1,
};

export const contentTypes = new Map<string, Handler>();

/** The media types that the component has brought. */
export function customTypes(): string[] {
  return [...contentTypes.keys()].map((type) => type.toLowerCase());
}

function handlerOf(mediaType: string): Handler | undefined {
  for (const [type, handler] of contentTypes) if (type.toLowerCase() === mediaType) return handler;
  return undefined;
}

/** What reads a body of this type, if the component brings it. */
export function deserializerOf(mediaType: string): ((bytes: any) => any) | undefined {
  const handler = handlerOf(mediaType);
  return handler?.deserialize && ((bytes) => handler.deserialize!(asBuffer(bytes)));
}

/** Bytes as Node's code expects them, where there is a `Buffer`. */
function asBuffer(bytes: Uint8Array): any {
  const { Buffer } = globalThis as any;
  return Buffer ? Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length) : bytes;
}

/** The type of the component's that the client likes best; `undefined` if one of the host's wins. */
function preferred(accept: string): string | undefined {
  let best: { weight: number; type: string | undefined } = { weight: 0, type: undefined };
  for (const entry of accept.split(",")) {
    const [type, ...parameters] = entry.split(";").map((part) => part.trim());
    const q = parameters.find((parameter) => parameter.startsWith("q="));
    const client = q ? Number(q.slice(2)) || 0 : 1;
    const name = type.toLowerCase();
    const own = handlerOf(name);
    const server = own?.serialize || own?.serializeStream ? own.q ?? 1 : OWN[name] ?? 0;
    const weight = client * server;
    if (weight > best.weight) {
      best = { weight, type: own?.serialize || own?.serializeStream ? name : undefined };
    }
  }
  return best.type;
}

/** The innermost listener. */
export async function transcode(
  request: RequestContext,
  next: () => Promise<HostResponse>,
): Promise<HostResponse> {
  const sent = (request.headers.get("content-type") ?? "").split(";", 1)[0].trim().toLowerCase();
  if (deserializerOf(sent)) {
    const data = await request.data;
    request.headers.set("content-type", "application/json");
    request.body = JSON.stringify(data) ?? "";
  }
  const type = preferred(request.headers.get("accept") ?? "");
  if (!type) return await next();
  request.headers.set("accept", "application/json");
  const response = await next();
  const answered = (response.headers.get("content-type") ?? "").split(";", 1)[0];
  if (answered !== "application/json") return response;
  const handler = handlerOf(type)!;
  const data = await response.json();
  response.headers.set("content-type", handler.type ?? type);
  response.body = handler.serializeStream && (Array.isArray(data) || !handler.serialize)
    ? await handler.serializeStream(data, response)
    : await handler.serialize!(data, response);
  return response;
}
