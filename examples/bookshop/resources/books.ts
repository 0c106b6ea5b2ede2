import { tables, type RequestTarget } from 'harperdb';
import { z } from 'zod';
import { HttpError } from './errors.ts';

const Book = z.object({
	id: z.string().optional(),
	title: z.string().min(1),
	price: z.number().positive(),
	stock: z.number().int().nonnegative().default(0),
	tags: z.array(z.string()).default([]),
	authorId: z.string().optional(),
});

/** Books as visitors see them: everybody may look, who adds one is checked by zod. */
export class Books extends tables.Book {
	static loadAsInstance = false;

	async get(target: RequestTarget) {
		target.checkPermission = false;
		const found = await super.get(target);
		if (target.isCollection || !found) return found;
		return { ...found, available: found.stock > 0, shop: process.env.SHOP_NAME };
	}

	async post(target: RequestTarget, data: unknown) {
		const checked = Book.safeParse(await data);
		if (!checked.success) {
			const [issue] = checked.error.issues;
			throw new HttpError(422, `${issue.path.join('.') || 'book'}: ${issue.message}`);
		}
		return super.post(target, checked.data);
	}
}

/** The cheapest books of a tag: `GET /Cheapest?tag=novel`. */
export class Cheapest extends Resource {
	allowRead() {
		return true;
	}

	async get(query: RequestTarget) {
		const tag = query.get('tag');
		const found = [];
		const wanted = {
			conditions: tag ? [{ attribute: 'tags', value: tag }] : [],
			sort: { attribute: 'price' },
			select: ['title', 'price', { name: 'author', select: ['name'] }],
			limit: 2,
		};
		for await (const book of tables.Book.search(wanted)) found.push(book);
		return found;
	}
}
