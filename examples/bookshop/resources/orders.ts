import { createHash } from 'node:crypto';
import { tables } from 'harperdb';
import { HttpError } from './errors.ts';

interface Wanted {
	bookId: string;
	quantity: number;
}

/** `POST /Checkout {items}`: one transaction. Whoever is late for the last copy gets 409, and nothing is sold. */
export class Checkout extends Resource {
	allowCreate() {
		return true;
	}

	async post(data: { items: Wanted[] }) {
		if (!Array.isArray(data?.items) || data.items.length === 0) throw new HttpError(400, 'The cart is empty');
		const lines = [];
		let total = 0;
		for (const { bookId, quantity } of data.items) {
			const book = await tables.Book.get(bookId);
			if (!book) throw new HttpError(404, `There is no book ${bookId}`);
			if (book.stock < quantity) throw new HttpError(409, `Only ${book.stock} of ${book.title} left`);
			await tables.Book.patch(bookId, { stock: book.stock - quantity });
			lines.push({ bookId, quantity, price: book.price });
			total += book.price * quantity;
		}
		if (total < Number(process.env.FREE_SHIPPING_FROM)) total += 3.5;
		const customer = this.getContext().user?.username ?? 'guest';
		const order = await tables.Order.create({ customer, lines, total, status: 'placed' });
		const receipt = createHash('sha256').update(order.id).digest('hex').slice(0, 12);
		return { status: 201, headers: { 'X-Receipt': receipt }, data: { id: order.id, total } };
	}
}

/** One's own orders; a shopkeeper, whose role may read the table, sees all. */
export class Orders extends tables.Order {
	allowRead(user, target) {
		return Boolean(user);
	}

	get(query) {
		const user = this.getCurrentUser();
		if (this.getId() !== null) {
			const isOwn = this.customer === user.username || super.allowRead(user, query);
			return isOwn ? super.get(query) : undefined;
		}
		if (super.allowRead(user, query)) return super.get(query);
		return this.search({ conditions: [{ attribute: 'customer', value: user.username }] });
	}

	/** Orders as they are placed, on a WebSocket or as an event stream. */
	async *connect(incoming) {
		for await (const event of await tables.Order.subscribe({ omitCurrent: true })) {
			if (event.type === 'put') yield { order: event.id, total: event.value.total };
		}
	}
}
