// `server.mqtt`: what code sees of the MQTT broker (harper-realtime.md section 8). To the host it is one
// more resource, under a path that no URL can name, registered once code looks here. The broker connects
// each of its clients to it: one stream a client, so that one worker sees all of it.
import { type User, userOf } from "ext:kora/harperdb/context.ts";
import { Emitter } from "ext:kora/harperdb/emitter.ts";
import { register } from "ext:kora/harperdb/exports.ts";

/** Known to Rust as well (`generation.rs`). */
const MQTT_PATH = "\0mqtt";

type Handler = (...args: any[]) => any;
type Authorize = (packet: ConnectPacket, user: User | undefined) => unknown;

/** CONNECT, with the names of the package `mqtt-packet`. */
interface ConnectPacket {
  cmd: "connect";
  clientId: string;
  username: string | null;
  password: Uint8Array | null;
  [property: string]: unknown;
}

/** What the broker says of one client, in this order; its going away is the end of the stream. */
type Told =
  | { type: "connection"; socket: MqttSocket }
  | { type: "authorize"; packet: ConnectPacket; user: User | null }
  | { type: "connected"; packet: ConnectPacket; user: User | null; sessionPresent: boolean }
  | { type: "auth-failed"; packet: ConnectPacket; code: number; message: string }
  | { type: "error"; message: string };

/** The client's connection. */
interface MqttSocket {
  remoteAddress: string;
  remotePort: number;
}

interface MqttSession {
  sessionId: string;
  user: User | undefined;
  socket: MqttSocket | undefined;
  keepalive: unknown;
  sessionWasPresent: boolean;
}

let authorizeClient: Authorize | undefined;
let watching = false;

function watch(): void {
  if (watching) return;
  watching = true;
  register(MQTT_PATH, MqttWatcher);
}

class MqttEvents extends Emitter {
  override on(event: string, handler: Handler): this {
    watch();
    return super.on(event, handler);
  }

  override addListener(event: string, handler: Handler): this {
    return this.on(event, handler);
  }

  /** Calls the handlers; what one throws is said in the log and is nobody else's trouble. */
  tell(event: string, ...args: unknown[]): void {
    if (event === "error" && this.listenerCount(event) === 0) return;
    try {
      this.emit(event, ...args);
    } catch (error) {
      console.error(error);
    }
  }
}

const events = new MqttEvents();
const sessions = new Set<MqttSession>();

export const mqtt = {
  events,
  get sessions(): Set<MqttSession> {
    watch();
    return sessions;
  },
  get authorizeClient(): Authorize | undefined {
    return authorizeClient;
  },
  set authorizeClient(authorize: Authorize | undefined) {
    if (authorize !== undefined && typeof authorize !== "function") {
      throw new TypeError("server.mqtt.authorizeClient must be a function");
    }
    authorizeClient = authorize;
    watch();
  },
};

/** What the host connects the broker's clients to. */
class MqttWatcher {
  static async *connect(_target: unknown, told: AsyncIterable<Told>): AsyncGenerator<unknown> {
    let socket: MqttSocket | undefined;
    let session: MqttSession | undefined;
    try {
      for await (const message of told) {
        switch (message.type) {
          case "connection":
            socket = message.socket;
            events.tell("connection", socket);
            break;
          case "authorize":
            yield await authorize(message.packet, userOf(message.user ?? undefined));
            break;
          case "connected":
            session = {
              sessionId: message.packet.clientId,
              user: userOf(message.user ?? undefined),
              socket,
              keepalive: message.packet.keepalive,
              sessionWasPresent: message.sessionPresent,
            };
            sessions.add(session);
            events.tell("connected", session, socket);
            break;
          case "auth-failed": {
            const error = Object.assign(new Error(message.message), { code: message.code });
            events.tell("auth-failed", message.packet, socket, error);
            break;
          }
          case "error":
            events.tell("error", new Error(message.message), socket);
        }
      }
    } finally {
      if (session) {
        sessions.delete(session);
        events.tell("disconnected", session, socket);
      }
    }
  }
}

/** The component's word on a client: an error's `code` is the reason code of CONNACK. */
async function authorize(packet: ConnectPacket, user: User | undefined): Promise<unknown> {
  try {
    await authorizeClient?.(packet, user);
    return { allowed: true };
  } catch (error: any) {
    return { allowed: false, code: error?.code, message: String(error?.message ?? error) };
  }
}
