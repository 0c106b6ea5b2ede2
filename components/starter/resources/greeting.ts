import { type RequestTarget, Resource, tables } from 'harperdb';

/** GET /Greeting, or /Greeting?name=Ada: change the text, save, and ask again. */
export class Greeting extends Resource {
	static loadAsInstance = false;

	allowRead() {
		return true;
	}

	async get(target: RequestTarget) {
		let messages = 0;
		for await (const _ of tables.Message.search({ select: ['id'] })) messages++;

		const name = target.get('name') ?? 'there';
		return { greeting: `Hello ${name}, this is resources/greeting.ts.`, messages };
	}
}
