export function handleApplication(scope) {
	let limit = scope.options.get(['limit']);
	scope.options.on('change', (key, value) => {
		if (key[0] === 'limit') limit = value;
	});
	const seen = new Map();
	scope.server.http((request, next) => {
		const client = request.headers.get('x-client') ?? request.ip;
		const count = (seen.get(client) ?? 0) + 1;
		seen.set(client, count);
		server.recordAnalytics(count > limit, 'request-limit', client);
		if (count > limit) {
			scope.logger.warn(`${client} has asked ${count} times`);
			return { status: 429, headers: { 'Retry-After': '60' }, body: 'Too many requests' };
		}
		request.remaining = limit - count;
		return next(request);
	});
}
