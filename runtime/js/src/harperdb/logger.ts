// `logger` (harper-components.md section 4.3).
import { op_kora_log } from "ext:core/ops";

const LEVELS = ["trace", "debug", "info", "warn", "error", "fatal", "notify"] as const;

type Write = (...parts: unknown[]) => void;
export type Logger = Record<typeof LEVELS[number], Write> & { withTag(tag: string): Logger };

function text(part: unknown): string {
  if (typeof part === "string") return part;
  if (part instanceof Error) return part.stack ?? String(part);
  try {
    return JSON.stringify(part) ?? String(part);
  } catch {
    return String(part);
  }
}

function makeLogger(tag: string): Logger {
  const logger: any = { withTag: (inner: string) => makeLogger(inner) };
  for (const level of LEVELS) {
    logger[level] = (...parts: unknown[]) => op_kora_log(level, tag, parts.map(text).join(" "));
  }
  return logger;
}

export const logger = makeLogger("");
