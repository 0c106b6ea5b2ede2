// `logger` (harper-components.md section 4.3): levels, tags, and methods that are not there below the
// level that is logged.
import { op_kora_log } from "ext:core/ops";

/** From the least to the most important. */
const LEVELS = ["trace", "debug", "info", "warn", "error", "fatal", "notify"] as const;
type Level = typeof LEVELS[number];

type Write = (...parts: unknown[]) => void;
export type Logger = Record<Level, Write> & { withTag(tag: string): TaggedLogger };
/** Without the methods below the level: call them with `?.`. */
export type TaggedLogger = Partial<Record<Level, Write>> & { withTag(tag: string): TaggedLogger };

let least: number = LEVELS.indexOf("info");

/** Sets the least level that is logged; a name that is none leaves it. */
export function setLogLevel(level: string | null): void {
  const at = LEVELS.indexOf(level as Level);
  if (at >= 0) least = at;
}

function text(part: unknown): string {
  if (typeof part === "string") return part;
  if (part instanceof Error) return part.stack ?? String(part);
  try {
    return JSON.stringify(part) ?? String(part);
  } catch {
    return String(part);
  }
}

function write(level: Level, tag: string, parts: unknown[]): void {
  op_kora_log(level, tag, parts.map(text).join(" "));
}

function tagged(tag: string): TaggedLogger {
  const logger: any = { withTag: (inner: string) => tagged(inner) };
  LEVELS.forEach((level, at) => {
    if (at >= least) logger[level] = (...parts: unknown[]) => write(level, tag, parts);
  });
  return logger;
}

function root(): Logger {
  const logger: any = { withTag: tagged };
  LEVELS.forEach((level, at) => {
    logger[level] = (...parts: unknown[]) => {
      if (at >= least) write(level, "", parts);
    };
  });
  return logger;
}

export const logger = root();
