import { createBlob, tables } from 'harperdb';

/** `PUT /Covers/<book>` with an image, `GET /Covers/<book>` shows it. */
export class Covers extends tables.Cover {
	static loadAsInstance = false;

	async put(target, data) {
		const { contentType, data: bytes } = await data;
		if (!contentType?.startsWith('image/')) {
			return { status: 415, headers: {}, data: { error: 'A cover is an image' } };
		}
		return super.put(target, { id: target.id, type: contentType, image: createBlob(bytes) });
	}

	async get(target) {
		target.checkPermission = false;
		const cover = await super.get(target);
		if (!cover) return undefined;
		return new Response(cover.image, { headers: { 'Content-Type': cover.type } });
	}
}
