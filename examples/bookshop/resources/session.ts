import { HttpError } from './errors.ts';

/** `POST /Members {username, password}` makes a customer. */
export class Members extends Resource {
	static loadAsInstance = false;

	async post(target, data) {
		target.checkPermission = false;
		const { username, password } = await data;
		if (!username || !password) throw new HttpError(400, 'A username and a password are required');
		if (await server.getUser(username, null)) throw new HttpError(409, `There is a ${username} already`);
		await server.operation({ operation: 'add_user', username, password, role: 'customer', active: true });
		return { status: 201, headers: {}, data: { username } };
	}
}

/** `POST /Session {username, password}` begins one, `GET` tells whose it is, `DELETE` ends it. */
export class Session extends Resource {
	static loadAsInstance = false;

	get(target) {
		target.checkPermission = false;
		const { user } = this.getContext();
		return user ? { username: user.username, role: user.role.role } : { username: null };
	}

	async post(target, data) {
		target.checkPermission = false;
		const { username, password } = await data;
		await this.getContext().login(username, password);
		return { username };
	}

	async delete(target) {
		target.checkPermission = false;
		await this.getContext().session.delete();
		return true;
	}
}
