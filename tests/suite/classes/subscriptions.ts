import { Resource, tables, transaction } from "harperdb";

const { Dog, Note } = tables;
const acknowledged: unknown[] = [];

const options: Record<string, any> = {
  transactions: { omitCurrent: true, supportsTransactions: true },
  children: { id: "top/", isCollection: true, omitCurrent: true, onlyChildren: true },
  rows: { omitCurrent: true, rowFilter: (record: any, context: any) => record.age > 5 && context.url !== "" },
  events: { omitCurrent: true, eventFilter: (event: any) => event.type === "delete" },
  filteredCurrent: { rowFilter: (record: any) => record.name === "Bob" },
};

/** The events of a subscription with these options. */
export class Feed extends Resource {
  async *connect(_incoming: any, target: any) {
    const subscription = await Dog.subscribe({ ...options[target.id] });
    yield ["ready"];
    for await (const event of subscription) {
      yield [event.type, event.id, event.beginTxn ?? false];
    }
  }
}

/** The same, given to the client as it is. */
export class Untouched extends Resource {
  connect(_incoming: any, target: any) {
    return Dog.subscribe({ ...options[target.id] });
  }
}

export class Work extends Resource {
  async post(data: any) {
    for (const record of data.put ?? []) await Dog.put(record);
    for (const id of data.delete ?? []) await Dog.delete(id);
  }
}

/** Reads one event, then hands the rest over while large ones come. */
export class Partly extends Resource {
  async connect() {
    const subscription = await Note.subscribe({ omitCurrent: true });
    const events = subscription[Symbol.asyncIterator]();
    setTimeout(async () => {
      for (let n = 0; n < 40; n++) {
        await transaction({ transaction: undefined } as any, () => Note.put({ id: `n${n}`, any: "x".repeat(50_000) }));
      }
    }, 1);
    await events.next();
    return subscription;
  }
}

export class Acknowledging extends Resource {
  async *connect() {
    for (let n = 0; n < 3; n++) yield { n, acknowledge: () => acknowledged.push(n) };
  }
  get() {
    return acknowledged;
  }
}
