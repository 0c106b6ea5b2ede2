import { activeVersion, DEFAULT_STATUS } from './rules.js';

const { Hit, Rule, Version } = databases.redirects;

export default class RedirectRules extends Rule {
	allowCreate(user) {
		return user?.role.permission.super_user === true;
	}

	async get(query) {
		if (query.isCollection) return super.get(query);
		const rule = await super.get(query);
		if (!rule) return;
		const hit = await Hit.get(this.getId());
		return { ...rule, uses: hit?.count ?? 0 };
	}

	async post(data) {
		if (data.activate !== undefined) {
			await Version.put({ id: 'active', activeVersion: data.activate });
			return { status: 200, headers: { 'X-Version': String(data.activate) }, data: { active: data.activate } };
		}
		const rules = Array.isArray(data) ? data : [data];
		const version = (await activeVersion()) + 1;
		const errors = [];
		for (const [n, rule] of rules.entries()) {
			try {
				await Rule.create({ host: '', statusCode: DEFAULT_STATUS, version, ...rule });
			} catch (error) {
				errors.push(`Rule ${n + 1}: ${error.message}`);
			}
		}
		const { username } = this.getCurrentUser();
		logger.info(`${username} has loaded ${rules.length - errors.length} rules`);
		return { loaded: rules.length - errors.length, version, errors };
	}

	async delete(query) {
		if (!query.isCollection) return super.delete(query);
		const version = Number(query.get('version'));
		if (version === (await activeVersion())) {
			const error = new Error(`Version ${version} is the active one`);
			error.statusCode = 409;
			throw error;
		}
		return Rule.delete({ conditions: [{ attribute: 'version', value: version }] });
	}
}
