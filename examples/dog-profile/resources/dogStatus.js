export class DogStatus extends Resource {
	connect(incomingMessages) {
		const outgoing = super.connect();

		const timer = setInterval(() => {
			outgoing.send({ dogId: '341', status: 'connection active' });
		}, 1000);

		incomingMessages.on('data', (message) => {
			outgoing.send({ dogId: message.dogId, note: message.note });
		});

		outgoing.on('close', () => {
			clearInterval(timer);
		});

		return outgoing;
	}
}
