import { type RequestTarget, Resource } from 'harperdb';

function spin(): never {
	for (;;);
}

const pause = (milliseconds: number) => new Promise<void>((done) => setTimeout(done, milliseconds));

/** Calls that wait, in this isolate. */
let begun = 0;

export class Bad extends Resource {
	static loadAsInstance = false;

	allowRead(): boolean {
		return true;
	}

	allowCreate(): boolean {
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
			// More than there may be, at once and in pieces.
			case 'buffer': return new ArrayBuffer(512 << 20).byteLength;
			case 'buffers': {
				const hoard: ArrayBuffer[] = [];
				for (;;) hoard.push(new ArrayBuffer(4 << 20));
			}
			// As much, but nothing of it is kept.
			case 'garbage': {
				let bytes = 0;
				for (let n = 0; n < 64; n++) bytes += new Uint8Array(16 << 20).length;
				return bytes === 1 << 30 ? 'fine' : bytes;
			}
			case 'patient':
				begun++;
				return pause(2000).then(() => 'fine');
			case 'begun': return begun;
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

	post(): Promise<string> {
		begun++;
		return pause(2000).then(() => 'fine');
	}

	async *connect(): AsyncIterable<string> {
		yield 'first';
		await pause(1);
		spin();
	}
}
