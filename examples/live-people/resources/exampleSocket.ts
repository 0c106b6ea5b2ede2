import {
	type IterableEventQueue,
	RequestTarget,
	Resource,
	tables,
} from 'harperdb';

export class ExampleSocket extends Resource {
	async *connect(
		target: RequestTarget,
		incomingMessages: IterableEventQueue<any>,
	): AsyncIterable<any> {
		// Subscribe to changes in a specific table
		const subscription = await tables.ExamplePeople.subscribe(target);

		if (!incomingMessages) {
			// Server-Sent Events (SSE) mode: only outgoing messages
			return subscription;
		}

		// Handle incoming messages from the client
		for await (let message of incomingMessages) {
			// Process message and optionally yield responses
			yield { received: message };
		}
	}
}
