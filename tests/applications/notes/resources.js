// An application without config.yaml and without imports: what Harper's documentation begins with.
const { Note } = tables;

if (server.workerIndex === 0) {
	const count = await Note.getRecordCount();
	if (count.recordCount === 0) Note.put({ id: 'welcome', title: 'Welcome', likes: 0 });
}

export class Greeting extends Resource {
	allowRead() {
		return true;
	}

	get() {
		return { greeting: 'Hello, ' + (this.getId() ?? 'you') };
	}
}

// Replaces the exported table: the same path with more to it.
export class TitledNote extends Note {
	get(query) {
		this.shout = this.title?.toUpperCase();
		return super.get(query);
	}

	async post(data, target) {
		if (data.action === 'like') {
			const note = await this.update();
			note.addTo('likes', 1);
			return { liked: true };
		}
		return super.post(data, target);
	}
}

export const tools = {
	stats: class extends Resource {
		allowRead() {
			return true;
		}

		async get() {
			let open = 0;
			let done = 0;
			for await (const note of Note.search({ select: ['done'] })) note.done ? done++ : open++;
			return { open, done };
		}
	},
	find: class extends Resource {
		async get(query) {
			const text = query.get('text') ?? '';
			const found = Note.search({
				operator: 'and',
				conditions: [
					{ attribute: 'done', comparator: 'not_equal', value: true },
					{
						operator: 'or',
						conditions: [
							{ attribute: 'title', comparator: 'contains', value: text },
							{ attribute: 'body', comparator: 'contains', value: text },
						],
					},
				],
				sort: { attribute: 'title' },
			});
			return Array.fromAsync(found, ({ title }) => title);
		}
	},
	clean: class extends Resource {
		static loadAsInstance = false;

		async post(target, data) {
			target.checkPermission = false;
			const { olderThan } = await data;
			if (typeof olderThan !== 'number') {
				const error = new Error('olderThan must be a number');
				error.statusCode = 400;
				throw error;
			}
			let removed = 0;
			for await (const { id } of Note.search([{ attribute: 'done', value: true }])) {
				await Note.delete(id);
				removed++;
			}
			return { status: 200, headers: { 'X-Removed': String(removed) }, data: { removed } };
		}
	},
};
