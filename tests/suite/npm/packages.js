import axios from 'axios';
import cron from 'cron-parser';
import dotenv from 'dotenv';
import { XMLParser } from 'fast-xml-parser';
import * as jose from 'jose';
import jwt, { sign } from 'jsonwebtoken';
import Papa from 'papaparse';
import { fetch as undiciFetch, request } from 'undici';
import { v4, v7, validate } from 'uuid';
import YAML, { parse } from 'yaml';
import { z } from 'zod';

const cases = {
  dotenv: () => dotenv.parse('A=1\nB="x y"'),
  yaml: () => [parse('a: [1,2]'), YAML.stringify({ b: 1 })],
  xml: () => new XMLParser().parse('<a><b>1</b></a>'),
  uuid: () => [validate(v4()), validate(v7())],
  zod: () => {
    const { success, error } = z.object({ n: z.number() }).safeParse({ n: 'x' });
    return [success, error.issues[0].path[0]];
  },
  jose: async () => {
    const key = new TextEncoder().encode('x'.repeat(32));
    const token = await new jose.SignJWT({ a: 1 }).setProtectedHeader({ alg: 'HS256' }).sign(key);
    return (await jose.jwtVerify(token, key)).payload;
  },
  jsonwebtoken: () => jwt.verify(sign({ u: 1 }, 's', { noTimestamp: true }), 's'),
  papaparse: () => Papa.parse('a,b\n1,2', { header: true }).data,
  cronParser: () => cron.parseExpression('0 0 * * *').next().getHours(),
  axios: async (url) => (await axios.get(url)).data.ping,
  undici: async (url) => [
    (await (await request(url)).body.json()).ping,
    (await (await undiciFetch(url)).json()).ping,
  ],
};

export class Packages extends Resource {
  static loadAsInstance = false;
  async get(target) {
    return { is: await cases[target.id](`http://127.0.0.1:${target.get('port')}/Ping/1`) };
  }
}
export class Ping extends Resource {
  static loadAsInstance = false;
  get() {
    return { ping: 'pong' };
  }
}
