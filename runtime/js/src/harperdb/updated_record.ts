// The record of an instance and its way into the store (harper-resources.md section 9): once `update`
// was called, what code changes is saved with the transaction, or outside of one by itself.
import { Write, transact, writeIn } from "ext:kora/harperdb/table_writes.ts";
import { TrackedRecord } from "ext:kora/harperdb/tracked.ts";
import { openTransaction, type Pending, type Transaction } from "ext:kora/harperdb/transaction.ts";

export class UpdatedRecord extends TrackedRecord implements Pending {
  #isUpdated = false;
  /** The transaction that saves this at its end. */
  #updating: Transaction | undefined;
  #saveScheduled = false;

  /** Whether changes are stored. */
  get isUpdated(): boolean {
    return this.#isUpdated;
  }

  /** Has all changes stored, those from before too. */
  beginUpdate(): void {
    this.#isUpdated = true;
    const transaction = openTransaction(this.context());
    if (!transaction) {
      this.#updating = undefined;
      this.#scheduleSave();
    } else if (this.#updating !== transaction) {
      this.#updating = transaction;
      transaction.add(this);
    }
  }

  /** Something has changed: what is updated outside of a transaction is saved by itself. */
  touched(): void {
    if (this.#isUpdated && !this.#updating?.open) this.beginUpdate();
  }

  /** After the code that is running now has made all its changes. */
  #scheduleSave(): void {
    if (this.#saveScheduled) return;
    this.#saveScheduled = true;
    queueMicrotask(() => {
      this.#saveScheduled = false;
      // What fails here fails for nobody who waits: it is logged as any rejected promise is.
      this.save();
    });
  }

  saveInto(transaction: Transaction): void {
    const { change } = this;
    if (!change) return;
    const kind = change.whole ? Write.Put : Write.Patch;
    writeIn(transaction, this.context(), this.table, kind, this.id, change.value);
    this.saved();
  }

  /** Puts what was changed into the transaction; outside of one, stores it. */
  save(): Promise<void> {
    try {
      return Promise.resolve(transact(this.context(), (open) => this.saveInto(open)));
    } catch (error) {
      return Promise.reject(error);
    }
  }
}
