import { Resource, tables } from 'harperdb';

const { Forecast } = tables;

class Origin extends Resource {
	async get() {
		const response = await fetch(`${process.env.ORIGIN}/Station/${this.getId()}`);
		if (response.status === 404) return null;
		if (!response.ok) {
			const error = new Error(`The origin answered ${response.status}`);
			error.statusCode = 502;
			throw error;
		}
		this.getContext().expiresAt = Date.now() + 600_000;
		return response.json();
	}
}

Forecast.sourcedFrom(Origin);

export class Refresh extends Resource {
	async post({ id }) {
		await Forecast.invalidate(id);
		return { invalidated: id };
	}
}
