// A source without an origin: it counts what it is asked and remembers what it is told, and by whom.
import { Resource, tables } from 'harperdb';

const asked: Record<string, number> = {};
let told: any[] = [];
let gone = false;

const who = (context: any) => [context.user, context.requestContext.user].map((user) => user?.username ?? null);

tables.Maybe.sourcedFrom({
  get(id: string, context: any) {
    asked[id] = (asked[id] ?? 0) + 1;
    if (id.startsWith('none') || gone) return id.endsWith('?') ? undefined : null;
    switch (id) {
      case 'scalar': return 5;
      case 'refused': return new Response('not you', { status: 403 });
      case 'absent': return new Response('nothing here', { status: 404, headers: { 'x-own': '1' } });
      case 'page': return new Response('<p>text</p>', { headers: { 'content-type': 'text/html', 'x-own': '2' } });
      case 'data': return { status: 410, headers: { 'x-own': '3' }, data: { why: 'over' } };
    }
    return { name: id, by: who(context)[0] };
  },
  put(id: string, record: any, context: any) { told.push(['put', id, record.name, ...who(context)]); },
  patch(id: string, changes: any, context: any) { told.push(['patch', id, changes.name, ...who(context)]); },
  delete(id: string, context: any) { told.push(['delete', id, null, ...who(context)]); },
});

export class Ask extends Resource {
  static loadAsInstance = false;
  async get(target: any) {
    switch (target.id) {
      case 'asked': return asked;
      case 'told': {
        const all = told;
        told = [];
        return all;
      }
      case 'leave': gone = true; return true;
      case 'come': gone = false; return true;
      case 'twice': return [await tables.Maybe.get('none-code') ?? 'nothing', await tables.Maybe.get('none-code') ?? 'nothing'];
    }
  }
  async put(target: any, data: any) {
    await tables.Maybe.put({ id: target.id, ...data });
  }
  async patch(target: any, data: any) {
    await tables.Maybe.patch(target.id, data);
  }
  async delete(target: any) {
    return tables.Maybe.delete(target.id);
  }
}
