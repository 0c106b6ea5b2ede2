import { performance } from 'node:perf_hooks';
import querystring from 'node:querystring';
import { DEFAULT_STATUS, findRule, recordUse } from './rules.js';

export default class CheckRedirect extends Resource {
	allowRead() {
		return true;
	}

	async get(query) {
		const started = performance.now();
		const { headers } = this.getContext();
		const path = query?.get('path') ?? headers.get('path');
		if (!path) throw { statusCode: 400, message: 'Name a path by ?path= or by a header' };
		const [bare, search = ''] = path.split('?');
		const rule = await findRule(bare, query?.get('h') ?? headers.get('host').split(':')[0]);
		server.recordAnalytics(performance.now() - started, 'redirect', bare, 'GET', rule ? 'hit' : 'miss');
		if (!rule) return { status: 404, headers: { 'Cache-Control': 'no-store' }, data: { path: bare } };
		recordUse(rule.id);
		const parameters = querystring.stringify(querystring.parse(search));
		const location = parameters ? `${rule.redirectURL}?${parameters}` : rule.redirectURL;
		return {
			status: 200,
			headers: { 'Cache-Control': 'max-age=60' },
			data: { location, statusCode: rule.statusCode ?? DEFAULT_STATUS },
		};
	}
}
