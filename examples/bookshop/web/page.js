const list = document.querySelector('#books');
const said = document.querySelector('#said');

async function show() {
	const books = await (await fetch('/Books/?sort(title)&select(id,title,price,stock,author{name})')).json();
	list.replaceChildren(
		...books.map(({ id, title, price, stock, author }) => {
			const item = document.createElement('li');
			const text = document.createElement('span');
			text.textContent = `${title} (${author?.name ?? 'unknown'}), ${price}, ${stock} left`;
			const buy = document.createElement('button');
			buy.textContent = 'Buy';
			buy.disabled = stock === 0;
			buy.onclick = () => checkout(id);
			item.append(text, buy);
			return item;
		})
	);
}

async function checkout(bookId) {
	const answer = await fetch('/Checkout', {
		method: 'POST',
		headers: { 'Content-Type': 'application/json' },
		body: JSON.stringify({ items: [{ bookId, quantity: 1 }] }),
	});
	const body = await answer.json();
	said.textContent = answer.ok ? `Thank you: ${body.total}` : (body.title ?? body.error);
}

// Whatever anybody changes is seen by all.
const live = new WebSocket(`${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/Stock/`);
live.onmessage = () => show();
show();
