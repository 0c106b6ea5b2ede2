// The application of ../guest as classes. The suite of the server asks both the same questions.
import { type RequestTarget, Resource, tables, transaction } from 'harperdb';

interface Dog {
	id: string;
	name: string;
	age: number;
	breed?: string;
}

function fail(status: number, code: string, message: string): never {
	throw Object.assign(new Error(message), { statusCode: status, code });
}

function wanted(target: RequestTarget): string {
	return (target.id as string) ?? fail(400, 'NoDog', 'which dog?');
}

/** Public, as its resources in Rust are. */
class Public extends Resource {
	static loadAsInstance = false;
	allowRead() { return true; }
	allowCreate() { return true; }
	allowUpdate() { return true; }
	allowDelete() { return true; }
}

export class Birthday extends Public {
	async get(target: RequestTarget): Promise<Dog | undefined> {
		const dog = await tables.Dog.get(wanted(target));
		return dog && { ...dog };
	}

	async post(target: RequestTarget): Promise<Dog> {
		const id = wanted(target);
		const dog = await tables.Dog.get(id) ?? fail(404, 'UnknownDog', `there is no dog ${id}`);
		const older = { ...dog, age: dog.age + 1 };
		await tables.Dog.put(id, older);
		return older;
	}
}

export class Kennel extends Public {
	async get(target: RequestTarget): Promise<any> {
		if (target.id != null) {
			const dog = await tables.Dog.get(target.id);
			return dog && { ...dog };
		}
		const conditions: any[] = [];
		const over = target.get('over');
		if (over !== null) {
			if (!/^-?\d+$/.test(over)) fail(400, 'BadQuery', `over is no number: ${over}`);
			conditions.push({ attribute: 'age', comparator: 'greater_than', value: Number(over) });
		}
		const found = tables.Dog.search({ conditions, sort: { attribute: 'name' } });
		return (async function* () {
			for await (const dog of found) yield { name: dog.name, years: dog.age };
		})();
	}

	async post(_target: RequestTarget, data: Promise<Dog>): Promise<any> {
		const dog = await data;
		if (dog.name === '') fail(422, 'Nameless', 'a dog needs a name');
		const created: any = await tables.Dog.create(dog);
		const context: any = this.getContext();
		const id = created?.id ?? created;
		context.createdResource = true;
		context.newLocation = id;
		return id;
	}

	async put(target: RequestTarget, data: Promise<Dog>): Promise<void> {
		await tables.Dog.put(wanted(target), await data);
	}

	async patch(target: RequestTarget, data: Promise<Partial<Dog>>): Promise<void> {
		const id = wanted(target);
		await tables.Dog.get(id) ?? fail(404, 'UnknownDog', `there is no dog ${id}`);
		const { name, breed } = await data;
		const changes: Partial<Dog> = {};
		if (name !== undefined) changes.name = name;
		if (breed !== undefined) changes.breed = breed;
		await tables.Dog.patch(id, changes);
	}

	async delete(target: RequestTarget): Promise<boolean> {
		const id = wanted(target);
		const existed = await tables.Dog.get(id) != null;
		await tables.Dog.delete(id);
		return existed;
	}
}

async function give(
	{ from, to, years }: { from: string; to: string; years: number },
	context?: any,
): Promise<number[]> {
	const add = (value: number) => ({ age: { __op__: 'add', value } });
	await tables.Dog.patch(to, add(years), context);
	await tables.Dog.patch(from, add(-years), context);
	const ages = [(await tables.Dog.get(from, context))!.age, (await tables.Dog.get(to, context))!.age];
	if (ages[0] < 0) fail(422, 'TooYoung', "a dog can't be younger than nothing");
	return ages;
}

export class Trade extends Public {
	async post(_target: RequestTarget, data: Promise<any>): Promise<number[]> {
		const trade = await data;
		if (trade.mode !== 'own') return give(trade);
		const own: any = {};
		const given = await transaction(own, () => give(trade, own));
		if (trade.years === 0) fail(422, 'NoTrade', 'nothing was given');
		return given;
	}
}

export class Answers extends Public {
	get(target: RequestTarget): any {
		const context: any = this.getContext();
		switch (target.get('kind')) {
			case 'number': return 42;
			case 'text': return 'a text';
			case 'list': return [1.5, 2, -3];
			case 'raw': return { contentType: 'image/svg+xml', data: '<svg/>' };
			case 'status':
				context.response.status = 202;
				return 'accepted';
			case 'header':
				context.responseHeaders.set('x-dog', 'rex');
				return 'with a header';
			case 'who':
				return { header: context.headers.get('x-asked') ?? null, method: context.method, url: context.url };
			case 'pieces':
				return new Response(new Blob(['in ', 'three ', 'parts']).stream(), {
					headers: { 'content-type': 'text/plain' },
				});
			case 'items':
				return (function* () {
					for (let n = 0; n < 300; n++) yield n;
				})();
			case 'teapot': return fail(418, 'Teapot', 'short and stout');
			case 'broken': return fail(500, 'Broken', 'broken');
			default: return undefined;
		}
	}
}

export class Echo extends Public {
	async *connect(_target: RequestTarget, incoming: AsyncIterable<{ say: string }>): AsyncIterable<any> {
		yield 'hello';
		if (!incoming) return;
		for await (const { say } of incoming) yield { heard: say };
	}
}

export class Watch extends Public {
	async *connect(target: RequestTarget): AsyncIterable<any> {
		for await (const event of await tables.Dog.subscribe({ id: wanted(target) })) {
			yield { kind: event.type, id: event.id, name: event.value?.name ?? null };
		}
	}

	async post(target: RequestTarget, data: Promise<Dog>): Promise<void> {
		await tables.Dog.publish(wanted(target), await data);
	}

	async publish(target: RequestTarget, data: Promise<Dog>): Promise<void> {
		await this.post(target, data);
	}

	/** What an MQTT client subscribes to. */
	subscribe(target: RequestTarget): AsyncIterable<any> {
		return this.connect(target);
	}
}
