import { Resource, tables, transaction } from "harperdb";

const { Dog, Count } = tables;
const pause = (ms = 1) => new Promise((done) => setTimeout(done, ms));
let runs = 0;

export class Increment extends Resource {
  /** Read, wait, write: only a second run sees what others have written meanwhile. */
  async post(data: any) {
    const { n } = await Count.get(data.id) ?? { n: 0 };
    data.seen = (data.seen ?? 0) + 1;
    await pause(data.wait);
    await Count.put({ id: data.id, n: n + 1 });
    return data.seen;
  }
}

/** The same through an instance of the table's class. */
export class Stock extends tables.Count {
  async post(data: any, target: any) {
    if (target.isCollection) return super.post(data);
    const left = this.n ?? 10;
    await pause(2);
    if (left <= 0) throw Object.assign(new Error("sold out"), { statusCode: 409 });
    this.n = left - 1;
    return "sold";
  }
}

/** What a search found counts as read. */
export class Total extends Resource {
  async post() {
    let total = 0;
    for await (const { n } of Count.search({ conditions: [{ attribute: "id", comparator: "gt", value: 100 }] })) {
      total += n;
    }
    await pause(2);
    await Count.put({ id: 101, n: total + 1 });
  }
}

/** Somebody else is always quicker. */
export class Hopeless extends Resource {
  async post() {
    runs++;
    await Dog.get("a");
    await new Promise((done) =>
      setTimeout(async () => {
        // Not of this request: its own transaction, committed while this one is open.
        await transaction({ transaction: undefined } as any, () => Dog.patch("a", { age: runs }));
        done(undefined);
      }, 0)
    );
    await Dog.put({ id: "hopeless", name: "H" });
  }
  get() {
    return runs;
  }
}

export class Transactions extends Resource {
  async get(target: any) {
    return await checks[target.id].call(this);
  }
}

const checks: Record<string, (this: Transactions) => Promise<unknown>> = {
  async explicitCommit() {
    const result = await transaction(new Object() as any, async (txn: any) => {
      await Dog.put({ id: "x1", name: "X" }, { transaction: txn } as any);
      return typeof txn.timestamp;
    });
    return result;
  },
  async commitInside() {
    const context: any = this.getContext();
    await Dog.put({ id: "x2", name: "X" });
    await transaction.commit(context);
    await Dog.put({ id: "x3", name: "X" });
    return [context.transaction.open];
  },
  async abortInside() {
    await Dog.put({ id: "x4", name: "X" });
    transaction.abort(this as any);
    await Dog.put({ id: "x5", name: "X" });
    return "goes on";
  },
  async nested() {
    return transaction(async (outer: any) => transaction(async (inner: any) => outer === inner));
  },
  async twoDatabases() {
    await Dog.put({ id: "x6", name: "X" });
    await databases.other.Elsewhere.put({ id: "x6" });
    throw new Error("both are undone");
  },
  async snapshot() {
    const { transaction } = this.getContext() as any;
    return [transaction.resetReadSnapshot() ?? null, typeof transaction.timestamp, transaction.open];
  },
  async neighbours() {
    // One of many that are committed together fails; the others stand.
    const writes = [];
    for (let n = 0; n < 20; n++) {
      writes.push(new Promise((done) =>
        setTimeout(() =>
          transaction({ transaction: undefined } as any, async () => {
            if (n === 10) await Dog.get("a");
            if (n === 10) await new Promise((later) => setTimeout(later, 5));
            await Dog.put({ id: n === 10 ? "nb10" : `nb${n}`, name: "N" });
            if (n === 9) await Dog.patch("a", { age: 77 });
          }).then(() => done("ok"), (error: any) => done(error.statusCode)), 0)
      ));
    }
    const results = await Promise.all(writes);
    return [results.filter((result) => result === "ok").length, results[10]];
  },
};
