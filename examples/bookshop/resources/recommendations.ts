import { setTimeout } from 'node:timers/promises';
import { tables } from 'harperdb';

/** What goes with a tag. Whoever asks next within a minute gets what was computed for the first. */
class Recommender extends Resource {
	async get() {
		await setTimeout(20);
		const tag = this.getId();
		const titles = [];
		for await (const book of tables.Book.search({ conditions: [{ attribute: 'tags', value: tag }] })) {
			titles.push(book.title);
		}
		return { titles: titles.sort(), computedAt: Date.now() };
	}
}

tables.Recommendation.sourcedFrom(Recommender);
