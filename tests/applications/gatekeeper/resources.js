export class Hello extends Resource {
	allowRead() {
		return true;
	}

	get() {
		return { remaining: this.getContext().remaining };
	}
}
