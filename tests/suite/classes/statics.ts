import { Resource, tables } from "harperdb";

const { Dog, Count, Typed } = tables;

async function failing(work: () => unknown) {
  try {
    return ["returned", await work()];
  } catch (error: any) {
    return [error.statusCode, error.message];
  }
}

const statics: Record<string, () => unknown> = {
  fields: () => [
    Dog.name, Dog.tableName, Dog.databaseName, Dog.primaryKey, Object.keys(Dog.indices), Dog.isCaching,
    Dog.expirationMS ?? null, Dog.createdTimeProperty ?? null, Dog.audit, Dog.sealed, tables.Sealed.sealed,
    Typed.createdTimeProperty, Typed.updatedTimeProperty,
    Dog.attributes.find((attribute: any) => attribute.name === "age"),
  ],
  async counts() {
    for (let n = 1; n <= 20; n++) await Count.put({ id: n, n });
    return "put";
  },
  count: async () => [await Count.getRecordCount(), await Count.getRecordCount({ exactCount: true })],
  size: async () => [typeof await Count.getSize(), (await Count.getSize()) > 100],
  async history() {
    const before = Date.now() - 60_000;
    const all = await Array.fromAsync(Dog.getHistory(before));
    const none = await Array.fromAsync(Dog.getHistory(before, before + 1));
    const later = await Array.fromAsync(Dog.getHistory(all[1].version));
    return [all.map(({ id, type }: any) => [id, type]), none, later.length === all.length - 1];
  },
  async historyOfRecord() {
    const changes = await Dog.getHistoryOfRecord("a");
    return changes.map(({ type, value, version, localTime }: any) =>
      [type, value?.name ?? null, typeof version, typeof localTime]
    );
  },
  async deleteHistory() {
    await Dog.deleteHistory(Date.now() + 60_000);
    return [await Array.fromAsync(Dog.getHistory()), (await Dog.get("a")).name];
  },
  async unavailable() {
    return [
      (await failing(() => Dog.dropTable()))[0],
      (await failing(() => Dog.operation({ operation: "describe_table" })))[0],
    ];
  },
  async attributes() {
    await Typed.addAttributes([{ name: "extra", type: "Int", indexed: true }, { name: "loose" }]);
    const names = Typed.attributes.map((attribute: any) => attribute.name);
    const refused = await failing(() => Typed.put({ id: "x", extra: "no" }));
    const again = await failing(() => Typed.addAttributes([{ name: "extra" }]));
    const strange = await failing(() => Typed.addAttributes([{ name: "a b", type: "Int" }]));
    await Typed.removeAttributes(["loose"]);
    return [
      names.slice(-2), "extra" in Typed.indices, refused[0], again[0], strange[0],
      Typed.attributes.some((attribute: any) => attribute.name === "loose"),
      (await failing(() => Typed.removeAttributes(["id"])))[0],
    ];
  },
  async ttl() {
    await Typed.setTTLExpiration(3600);
    return [Typed.expirationMS, (await failing(() => Typed.setTTLExpiration("soon" as any)))[0]];
  },
  async ttlHolds() {
    await Typed.put({ id: "ttl" });
    return "put";
  },
  ttlSeen: async () => {
    const left = (await Typed.get("ttl")).getExpiresAt() - Date.now();
    return left > 3_500_000 && left <= 3_600_000;
  },
  ids: () => [
    typeof Dog.getNewId(), Dog.coerceId("5"), Count.coerceId("5"), Resource.coerceId("5"),
    Dog.isCollection({ isCollection: true }), Dog.isCollection({}),
  ],
  wrongId: () => failing(() => Count.coerceId("x")),
  parsing: () => {
    const parsed = Dog.parsePath("a/b");
    const query = Dog.parseQuery("age=gt=1&limit(3)");
    return [parsed.id, parsed.isCollection, query.limit, query.conditions];
  },
};

export class Statics extends Resource {
  get(target: any) {
    return statics[target.id]();
  }
}

/** The id is whatever the URL says. */
export class Direct extends Resource {
  static directURLMapping = true;
  get(target: any) {
    return [target.id, target.isCollection ?? null];
  }
}

export class Parsed extends Resource {
  static parsePath(path: string) {
    return path.split("-");
  }
  get(target: any) {
    return target.id;
  }
}

export class ParsedObject extends Resource {
  static parsePath(path: string, _context: any, query: any) {
    return { id: path.toUpperCase(), isCollection: false, query };
  }
  get(target: any) {
    return [target.id, target.get("q")];
  }
}
