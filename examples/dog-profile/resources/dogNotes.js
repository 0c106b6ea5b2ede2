export class DogNotes extends Resource {
	async *connect(incomingMessages) {
		for await (const message of incomingMessages) {
			// relay user notes for this dog
			yield { dogId: message.dogId, note: message.note };
		}
	}
}
