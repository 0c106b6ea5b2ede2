import { randomUUID } from 'node:crypto';

/** Every answer says which request it answers; while the shop is closed there is only one answer. */
server.http(async (request, next) => {
	const id = request.headers.get('x-request-id') ?? randomUUID();
	if (process.env.SHOP_CLOSED) {
		return new Response('We are closed', { status: 503, headers: { 'Retry-After': '3600', 'X-Request-Id': id } });
	}
	const response = await next(request);
	response.headers.set('X-Request-Id', id);
	return response;
});
