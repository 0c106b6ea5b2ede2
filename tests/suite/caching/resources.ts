// What applications write to cache an API: a class as the source, a plain object, hooks, write-through.
import { Resource, tables } from 'harperdb';

const ORIGIN = 'http://ORIGIN_ADDRESS';

class ItemSource extends Resource {
  async get() {
    const context: any = this.getContext();
    const response = await fetch(`${ORIGIN}/items/${this.getId()}`);
    if (response.status === 404) return null;
    if (response.status >= 400) {
      throw Object.assign(new Error(`origin said ${response.status}`), { statusCode: response.status });
    }
    const record = await response.json();
    if (record.ttl !== undefined) context.expiresAt = Date.now() + record.ttl;
    if (record.modified !== undefined) context.lastModified = record.modified;
    if (record.private) context.noCacheStore = true;
    record.asked = context.requestContext?.url ?? null;
    record.replaces = context.replacingRecord?.name ?? null;
    return record;
  }
  async put(data: any) {
    const response = await fetch(`${ORIGIN}/items/${this.getId()}`, {
      method: 'PUT',
      body: JSON.stringify(data),
    });
    if (!response.ok) throw Object.assign(new Error('refused'), { statusCode: 422 });
  }
  async delete() {
    await fetch(`${ORIGIN}/items/${this.getId()}`, { method: 'DELETE' });
  }
}
tables.Item.sourcedFrom(ItemSource);

// A plain object, with its own times; the table's class is extended in one go.
const notes = {
  async get(id: string, context: any) {
    const response = await fetch(`${ORIGIN}/notes/${id}`);
    if (!response.ok) throw Object.assign(new Error('no note'), { statusCode: response.status });
    return { text: await response.text(), source: context.source === notes };
  },
};
export class Note extends tables.NoteCache.sourcedFrom(notes, { expiration: 0.05, eviction: 60 }) {
  allowStaleWhileRevalidate(entry: any, id: string) {
    return id.startsWith('swr') && typeof entry.version === 'number';
  }
  get(target: any) {
    return super.get(target);
  }
}

// Responses as records.
tables.Page.sourcedFrom({
  async get(id: string, context: any) {
    if (context.replacingRecord) return { status: 304, headers: {} };
    const response = await fetch(`${ORIGIN}/pages/${id}`);
    return response;
  },
});

// A source that tells of changes by itself.
let push: (event: any) => void;
tables.Pushed.sourcedFrom({
  get: (id: string) => ({ from: 'get' }),
  async *subscribe() {
    const waiting: any[] = [];
    let wake = () => {};
    push = (event) => {
      waiting.push(event);
      wake();
    };
    for (;;) {
      while (waiting.length) yield waiting.shift();
      await new Promise<void>((resolve) => wake = resolve);
    }
  },
});

export class Probe extends Resource {
  static loadAsInstance = false;
  async get(target: any) {
    switch (target.id) {
      case 'twice': {
        const both = await Promise.all([tables.Item.get('p'), tables.Item.get('p')]);
        return both.map((record: any) => [record.name, record.wasLoadedFromSource()]);
      }
      case 'again':
        return [(await tables.Item.get('p')).wasLoadedFromSource(), tables.Item.isCaching];
      case 'invalidate':
        await tables.Item.invalidate('p');
        return (await tables.Item.get('p')).name;
      case 'missing':
        return { found: (await tables.Item.get('nobody')) ?? 'nothing' };
      case 'own': {
        await tables.Item.put({ id: 'own', name: 'mine' });
        return (await tables.Item.get('own')).name;
      }
      case 'pushed': {
        const done = new Promise<void>((resolve) => {
          push({ type: 'put', id: 'a', value: { from: 'event' }, onCommit: resolve });
        });
        await done;
        const first = (await tables.Pushed.get('a')).from;
        await new Promise<void>((resolve) => push({ type: 'delete', id: 'a', onCommit: resolve }));
        return [first, (await tables.Pushed.get('a')).from];
      }
    }
  }
}
