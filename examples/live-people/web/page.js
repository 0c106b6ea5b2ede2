const find = (selector) => document.querySelector(selector);

// One way: without incoming messages the class returns its subscription to ExamplePeople.
const items = new Map();
const people = new EventSource('/ExampleSocket');

// After a reconnection every record comes again, and what was deleted meanwhile is not told.
people.onopen = () => {
	items.clear();
	find('#people').replaceChildren();
};

people.onmessage = (event) => {
	const { id, type, value } = JSON.parse(event.data);
	if (type === 'delete') {
		items.get(id)?.remove();
		items.delete(id);
	} else if (type === 'put') {
		if (!items.has(id)) items.set(id, find('#people').appendChild(document.createElement('li')));
		items.get(id).textContent = value.city ? `${value.name}, ${value.city}` : value.name;
	}
};

// Both ways: each message is answered.
const socket = new WebSocket(new URL('/ExampleSocket', location.href.replace(/^http/, 'ws')));
socket.onmessage = (event) => {
	const data = JSON.parse(event.data);
	console.log('Real-time update:', data);
	find('#answers').append(`${event.data}\n`);
};
socket.onopen = () => socket.send(JSON.stringify({ type: 'ping' }));

find('#send').onsubmit = (event) => {
	event.preventDefault();
	socket.send(JSON.stringify({ text: event.target.elements.text.value }));
	event.target.reset();
};

find('#add').onsubmit = async (event) => {
	event.preventDefault();
	const { name, city } = Object.fromEntries(new FormData(event.target));
	await fetch('/ExamplePeople/', {
		method: 'POST',
		headers: { 'Content-Type': 'application/json' },
		body: JSON.stringify(city ? { name, city } : { name }),
	});
	event.target.reset();
};
