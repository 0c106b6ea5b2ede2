import { findRule, recordUse } from './rules.js';

// Whoever comes with an old address is sent on before anything else looks at the request.
server.http(
	async (request, next) => {
		if (request.method !== 'GET' || request.pathname.startsWith('/redirect')) return next(request);
		const rule = await findRule(request.pathname, process.env.DEFAULT_HOST);
		if (!rule) return next(request);
		recordUse(rule.id);
		return { status: rule.statusCode, headers: { Location: rule.redirectURL } };
	},
	{ runFirst: true }
);
