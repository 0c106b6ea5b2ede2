import { type RequestTarget, Resource } from 'harperdb';

function spin(): never {
	for (;;);
}

const pause = (milliseconds: number) => new Promise<void>((done) => setTimeout(done, milliseconds));

export class Bad extends Resource {
	static loadAsInstance = false;

	allowRead(): boolean {
		return true;
	}

	get(target: RequestTarget): any {
		switch (target.get('how')) {
			case 'loop': return spin();
			case 'later': return pause(1).then(spin);
			case 'timer': return new Promise(() => setTimeout(spin, 1));
			case 'promises': return (async () => {
				for (;;) await null;
			})();
			case 'regex': return /^(a+)+$/.test('a'.repeat(80) + 'b');
			case 'memory': {
				const hoard: unknown[] = [];
				for (;;) hoard.push(new Array(10_000).fill(hoard.length));
			}
			case 'recursion': {
				const deeper = (n: number): number => deeper(n + 1) + 1;
				return deeper(1);
			}
			case 'sleep': return new Promise(() => {});
			case 'soon': return pause(300).then(() => 'fine');
			case 'items': return (async function* () {
				for (let n = 0; n < 10; n++) yield n;
				await pause(1);
				spin();
			})();
			default: return 'fine';
		}
	}

	async *connect(): AsyncIterable<string> {
		yield 'first';
		await pause(1);
		spin();
	}
}
