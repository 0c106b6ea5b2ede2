// What a table's class tells of its table, and its administration (harper-resources.md section 4).
import {
  op_kora_change_table,
  op_kora_delete_history,
  op_kora_history,
  op_kora_history_next,
  op_kora_table_size,
} from "ext:core/ops";
import type { AttributeInfo, TableInfo } from "ext:kora/harperdb/attributes.ts";
import { ClientError } from "ext:kora/harperdb/errors.ts";
import type { Id } from "ext:kora/harperdb/target.ts";

/** How long a count goes on before it is only an estimate, in milliseconds. */
const COUNT_TIME = 1_000;

function cannot(what: string, why: string): ClientError {
  return new ClientError(`${what} is not available in Kora: ${why}`, 501);
}

/** What `GET /T` shows (harper-rest.md section 1.3). */
export function describe(info: TableInfo): unknown {
  return {
    records: "./",
    name: info.table,
    database: info.database,
    attributes: info.attributes.map(({ name, type, isPrimaryKey, indexed, nullable }) => ({
      name,
      type,
      ...(isPrimaryKey ? { isPrimaryKey } : {}),
      ...(indexed ? { indexed } : {}),
      ...(nullable ? {} : { nullable }),
    })),
  };
}

/** How long records live, in seconds. */
interface Lifetime {
  expiration?: number;
  eviction?: number;
  scanInterval?: number;
}

/** A time in whichever form code has it, as milliseconds; `otherwise` where it has none. */
function time(value: unknown, otherwise: number): number {
  return value === undefined || value === null ? otherwise : Number(value);
}

/** The changes of a table, or of one record, oldest first. */
async function* history(table: number, id: Id | undefined, start: unknown, end: unknown) {
  const reading = op_kora_history(table, id ?? null, time(start, 0), time(end, Infinity));
  for (;;) {
    const events = await op_kora_history_next(reading);
    if (events.length === 0) return;
    yield* events;
  }
}

/** Gives `Table` its statics. */
export function addStatics(Table: any, number: number, info: TableInfo): void {
  const statics = {
    tableName: info.table,
    databaseName: info.database,
    attributes: info.attributes,
    sealed: info.sealed,
    audit: info.audit,
    createdTimeProperty: info.createdTimeProperty ?? undefined,
    updatedTimeProperty: info.updatedTimeProperty ?? undefined,
    expirationMS: info.expiration === null ? undefined : info.expiration * 1000,
    indices: indicesOf(info),

    /** Counts the records; stops at a second (or `timeLimit` ms) unless the count must be exact. */
    async getRecordCount(options: { exactCount?: boolean; timeLimit?: number } = {}) {
      const limit = options.exactCount ? Infinity : options.timeLimit ?? COUNT_TIME;
      const [recordCount, , upTo] = await op_kora_table_size(number, limit);
      return upTo === recordCount
        ? { recordCount }
        : { recordCount, estimatedRange: [recordCount, upTo] };
    },

    /** The bytes of the records with their keys. */
    async getSize(): Promise<number> {
      const [, bytes] = await op_kora_table_size(number, Infinity);
      return bytes;
    },

    getHistory: (start?: unknown, end?: unknown) => history(number, undefined, start, end),

    async getHistoryOfRecord(id: Id) {
      if (id === null || id === undefined) throw new ClientError("A primary key is required");
      return Array.fromAsync(history(number, id, undefined, undefined));
    },

    /** Forgets the changes up to a time; the records stay. */
    async deleteHistory(until?: unknown) {
      await op_kora_delete_history(number, time(until, 0));
    },

    async setTTLExpiration(options: number | Lifetime) {
      const lifetime = typeof options === "object" ? options : { expiration: options };
      const { expiration } = lifetime;
      if (typeof expiration !== "number" || !(expiration >= 0)) {
        throw new ClientError("expiration must be a number of seconds");
      }
      const { eviction, scanInterval } = lifetime;
      await op_kora_change_table(number, { expiration, eviction, scanInterval });
      Table.expirationMS = expiration * 1000;
    },

    async addAttributes(attributes: { name: string; type?: string; indexed?: boolean }[]) {
      const added = attributes.map(({ name, type, indexed }) => ({
        name,
        type: type ?? "Any",
        indexed: Boolean(indexed),
      }));
      changeAttributes(await op_kora_change_table(number, { added }));
    },

    async removeAttributes(names: string[]) {
      changeAttributes(await op_kora_change_table(number, { removed: names }));
    },

    dropTable() {
      throw cannot("dropTable", "tables are what the schema files say; take it out of them");
    },

    /** An operation of the operations API on this table. */
    operation(operation: object, context?: unknown) {
      const { server } = globalThis as any;
      const named = { schema: info.database, database: info.database, table: info.table };
      return server.operation({ ...operation, ...named }, context);
    },
  };

  function changeAttributes(attributes: AttributeInfo[]): void {
    info.attributes.splice(0, info.attributes.length, ...attributes);
    Table.indices = indicesOf(info);
  }

  for (const [name, value] of Object.entries(statics)) {
    Object.defineProperty(Table, name, { value, writable: true, configurable: true, enumerable: true });
  }
}

function indicesOf(info: TableInfo): Record<string, object> {
  const indexed = info.attributes.filter(({ indexed }) => indexed);
  return Object.fromEntries(indexed.map(({ name }) => [name, {}]));
}
