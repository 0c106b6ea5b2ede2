const dogId = '341';
const find = (selector) => document.querySelector(selector);

function renderDogProfile(dog) {
	find('#title').textContent = dog?.name ?? `Dog ${dogId}`;
	find('#name').textContent = dog?.name ?? 'no record yet';
	find('#breed').textContent = dog?.breed ?? '';
	find('#weight').textContent = dog?.weight == null ? '' : `${dog.weight} kg`;
}

function appendNote(id, note) {
	const item = document.createElement('li');
	item.textContent = `${id}: ${note}`;
	find('#notes').append(item);
}

function setConnectionBadge(status) {
	find('#badge').textContent = status;
}

function open(path) {
	const ws = new WebSocket(new URL(path, location.href.replace(/^http/, 'ws')));

	ws.onopen = () => {
		console.log(`connected to ${path}`);
	};

	ws.onmessage = (event) => {
		const msg = JSON.parse(event.data);

		if (msg.note) {
			appendNote(msg.dogId, msg.note);
			return;
		}

		if (msg.status) {
			setConnectionBadge(msg.status);
			return;
		}

		// A table's socket sends the event around the record: {id, localTime, value, version, type}.
		renderDogProfile(msg.value);
	};

	ws.onerror = (err) => {
		console.error('websocket error', err);
	};

	ws.onclose = () => setConnectionBadge('disconnected: reload the page');

	addEventListener('pagehide', () => ws.close(1000, 'leaving dog profile'));
	return ws;
}

open(`/dog/${dogId}`);
const status = open(`/DogStatus/${dogId}`);

find('#profile').onsubmit = async (event) => {
	event.preventDefault();
	const { name, breed, weight } = Object.fromEntries(new FormData(event.target));
	const dog = { id: dogId, name, breed: breed || null, weight: weight ? Number(weight) : null };
	const response = await fetch(`/dog/${dogId}`, {
		method: 'PUT',
		headers: { 'Content-Type': 'application/json' },
		body: JSON.stringify(dog),
	});
	if (!response.ok) setConnectionBadge(`not saved: ${response.status}`);
};

find('#note').onsubmit = (event) => {
	event.preventDefault();
	status.send(JSON.stringify({ dogId, note: event.target.elements.note.value }));
	event.target.reset();
};
