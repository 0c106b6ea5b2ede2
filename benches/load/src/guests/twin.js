// What ../../guest/src/lib.rs does in Rust, as classes.
class Public extends Resource {
	static loadAsInstance = false;
	allowRead() {
		return true;
	}
	allowCreate() {
		return true;
	}
}

export class ClassReader extends Public {
	get(target) {
		return tables.Item.get(target.id);
	}
}

export class ClassTransform extends Public {
	async post(target, data) {
		const lines = await data;
		return lines.filter((line) => line.quantity > 0).map((line) => ({
			label: line.name.toUpperCase(),
			total: line.price * line.quantity,
			first: line.tags[0] ?? null,
		}));
	}
}

const SIZE = 192;

export class ClassCompute extends Public {
	get() {
		const fill = (factor) => Float64Array.from({ length: SIZE * SIZE }, (_, at) => at * factor % 97);
		const a = fill(31), b = fill(57);
		const product = new Float64Array(SIZE * SIZE);
		for (let row = 0; row < SIZE; row++) {
			for (let k = 0; k < SIZE; k++) {
				const factor = a[row * SIZE + k];
				for (let column = 0; column < SIZE; column++) {
					product[row * SIZE + column] += factor * b[k * SIZE + column];
				}
			}
		}
		return product.reduce((sum, value) => sum + value, 0);
	}
}

export class ClassLoop extends Public {
	get() {
		for (;;);
	}
}
