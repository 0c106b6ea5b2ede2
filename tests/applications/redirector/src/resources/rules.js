const { Rule, Version } = databases.redirects;

export const DEFAULT_STATUS = 301;

/** The version whose rules hold. */
export async function activeVersion() {
	const version = await Version.get('active');
	return version?.activeVersion ?? 0;
}

/** The rule for a path: one of its host goes before one of all hosts. */
export async function findRule(path, host) {
	const found = Rule.search({
		operator: 'and',
		conditions: [
			{ attribute: 'version', comparator: 'equals', value: await activeVersion() },
			{
				operator: 'or',
				conditions: [
					{ attribute: 'host', comparator: 'equals', value: host },
					{ attribute: 'host', comparator: 'equals', value: '' },
				],
			},
			{ attribute: 'path', comparator: 'equals', value: path },
		],
		sort: { attribute: 'host', descending: true },
		limit: 1,
	});
	for await (const rule of found) return rule;
}

// Uses are counted in memory and written from time to time.
const uses = new Map();

export function recordUse(id) {
	uses.set(id, (uses.get(id) ?? 0) + 1);
}

const timer = setInterval(async () => {
	const counted = [...uses];
	uses.clear();
	for (const [id, count] of counted) {
		const hit = await databases.redirects.Hit.update(id);
		hit.addTo('count', count);
		await Rule.patch(id, { lastAccessed: new Date() });
	}
}, 20);
timer.unref();
