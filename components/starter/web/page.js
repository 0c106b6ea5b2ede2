// The live table: one WebSocket to the collection /Message/. The server sends every current record first, as
// `put` events, and then each change: {id, localTime, value, version, type}.

const badge = document.querySelector('#connection');
const rows = document.querySelector('#messages');
const empty = document.querySelector('#empty');
const problem = document.querySelector('#problem');
const form = document.querySelector('#add');

const rowOf = new Map();

function cell(content) {
	const td = document.createElement('td');
	td.append(content);
	return td;
}

function row({ id, text, author, createdAt }) {
	const remove = document.createElement('button');
	remove.type = 'button';
	remove.textContent = '✕';
	remove.setAttribute('aria-label', `Delete the message: ${text}`);
	remove.onclick = () => ask(`/Message/${encodeURIComponent(id)}`, { method: 'DELETE' });

	const tr = document.createElement('tr');
	tr.dataset.created = new Date(createdAt).toISOString();
	tr.append(cell(text), cell(author ?? ''), cell(new Date(createdAt).toLocaleTimeString()), cell(remove));
	return tr;
}

/** Newest on top: the place is found by the time of creation, whatever order events come in. */
function place(tr) {
	const older = [...rows.children].find((other) => other.dataset.created < tr.dataset.created);
	rows.insertBefore(tr, older ?? null);
}

function apply({ id, type, value }, isNews) {
	if (type !== 'put' && type !== 'delete') return;
	rowOf.get(id)?.remove();
	rowOf.delete(id);
	if (type === 'put') {
		const tr = row(value);
		if (isNews) tr.className = 'fresh';
		rowOf.set(id, tr);
		place(tr);
	}
	empty.hidden = rowOf.size > 0;
}

function forgetAll() {
	rows.replaceChildren();
	rowOf.clear();
}

function show(state, text) {
	badge.dataset.state = state;
	badge.textContent = text;
}

const QUIET = 250; // ms without an event: the records that were there before us have all arrived
const LONGEST_WAIT = 15_000;
let failures = 0;

function connect() {
	const socket = new WebSocket(new URL('/Message/', location.href.replace(/^http/, 'ws')));
	let isNews = false;
	let quiet;
	const restartQuiet = () => {
		clearTimeout(quiet);
		quiet = setTimeout(() => {
			isNews = true;
			empty.hidden = rowOf.size > 0;
		}, QUIET);
	};

	socket.onopen = () => {
		failures = 0;
		forgetAll(); // what was deleted while we were away is not told
		show('live', 'live');
		restartQuiet();
	};
	socket.onmessage = (event) => {
		apply(JSON.parse(event.data), isNews);
		if (!isNews) restartQuiet();
	};
	socket.onclose = () => {
		clearTimeout(quiet);
		const wait = Math.min(LONGEST_WAIT, 250 * 2 ** failures++) * (0.75 + Math.random() / 2);
		show('waiting', 'reconnecting');
		setTimeout(connect, wait);
	};
}

async function ask(url, options) {
	problem.hidden = true;
	try {
		const response = await fetch(url, options);
		if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
		return response;
	} catch (error) {
		problem.textContent = `That did not work: ${error.message}`;
		problem.hidden = false;
	}
}

form.onsubmit = async (event) => {
	event.preventDefault();
	const { text, author } = Object.fromEntries(new FormData(form));
	const body = JSON.stringify(author ? { text, author } : { text });
	const saved = await ask('/Message/', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body });
	if (saved) form.elements.text.value = '';
	form.elements.text.focus();
};

async function greet() {
	const response = await ask('/Greeting');
	if (response) document.querySelector('#greeting').textContent = (await response.json()).greeting;
}

connect();
greet();
