import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import dotenv from 'dotenv';
import Papa from 'papaparse';
import { parse } from 'yaml';

const __dirname = path.dirname(fileURLToPath(import.meta.url));
const require = createRequire(import.meta.url);
const jwt = require('jsonwebtoken');

dotenv.config({ path: path.join(__dirname, '..', 'secrets.env') });
const settings = parse(readFileSync(path.join(__dirname, '../config/report.yaml'), 'utf8'));
const { Sale } = databases.sales;

function claims(resource) {
	const token = resource.getContext().headers.get('x-token');
	try {
		return jwt.verify(token, process.env.JWT_SECRET);
	} catch (cause) {
		throw Object.assign(new Error(`No valid token: ${cause.message}`), { statusCode: 401 });
	}
}

export class Token extends Resource {
	post({ region }) {
		return { token: jwt.sign({ region }, process.env.JWT_SECRET, { expiresIn: '1h' }) };
	}
}

export class Import extends Resource {
	async post({ contentType, data }) {
		const { data: rows, errors } = Papa.parse(String(data), { header: true, dynamicTyping: true, skipEmptyLines: true });
		if (errors.length > 0) throw Object.assign(new Error(errors[0].message), { statusCode: 400 });
		await Promise.all(rows.map((row) => Sale.put(String(row.id), { region: row.region, amount: row.amount })));
		return { contentType, imported: rows.length };
	}
}

export class Sales extends databases.sales.Sale {
	get(query) {
		if (this.isCollection) query.select = ['id', 'amount'];
		return super.get(query);
	}
}

export class Report extends Resource {
	async get(query) {
		const { region } = claims(this);
		let total = 0;
		for await (const sale of Sale.search({ conditions: [{ attribute: 'region', value: region }] })) total += sale.amount;
		const report = { region, total, currency: settings.currency };
		if (query.get('packed')) {
			return { contentType: 'application/gzip', data: gzipSync(Buffer.from(JSON.stringify(report))) };
		}
		return report;
	}
}
