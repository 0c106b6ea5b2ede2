import path from 'node:path';
import fs, { readFileSync } from 'node:fs';
import { readFile, writeFile, mkdtemp, rm } from 'node:fs/promises';
import { createHash, randomUUID, randomBytes, timingSafeEqual, createHmac, pbkdf2Sync, scryptSync, createCipheriv, createDecipheriv, generateKeyPairSync, createSign, createVerify, webcrypto } from 'node:crypto';
import url, { fileURLToPath, pathToFileURL } from 'node:url';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import os from 'node:os';
import { setTimeout as sleep, setInterval as every } from 'node:timers/promises';
import zlib from 'node:zlib';
import assert from 'node:assert';
import module, { createRequire } from 'node:module';
import { isMainThread, threadId, Worker } from 'node:worker_threads';
import http from 'node:http';
import https from 'node:https';
import { performance as perf } from 'node:perf_hooks';
import util, { promisify, inspect } from 'node:util';
import querystring from 'node:querystring';
import { EventEmitter, once } from 'node:events';
import dns from 'node:dns/promises';
import net from 'node:net';
import proc, { env } from 'node:process';
import { AsyncLocalStorage } from 'node:async_hooks';
import { Buffer as B } from 'node:buffer';
import { StringDecoder } from 'node:string_decoder';
import child from 'node:child_process';
import vm from 'node:vm';
// One function a built-in module or global; what each must give is in node.rs.
const cases = {
  path: () => [path.join('/a', '..', 'b.txt'), path.extname('x.tar.gz'), path.resolve('x') === `${process.cwd()}/x`],
  fs: () => [
    readFileSync(new URL('./builtins.js', import.meta.url), 'utf8').length > 10,
    fs.existsSync('config.yaml'),
    fs.readdirSync('resources').length > 0,
    fs.statSync('config.yaml').isFile(),
  ],
  fsPromises: async () => {
    const folder = await mkdtemp(path.join(os.tmpdir(), 'k-'));
    await writeFile(path.join(folder, 'a'), 'hey');
    const text = await readFile(path.join(folder, 'a'), 'utf8');
    await rm(folder, { recursive: true });
    return [text, fs.existsSync(folder)];
  },
  fsStream: async () => {
    let bytes = 0;
    for await (const chunk of fs.createReadStream('config.yaml')) bytes += chunk.length;
    return bytes === fs.statSync('config.yaml').size;
  },
  fsWrite: () => {
    fs.writeFileSync('written.txt', 'own folder');
    return readFileSync('written.txt', 'utf8');
  },
  crypto: () => [
    createHash('sha256').update('x').digest('hex').slice(0, 8),
    randomUUID().length,
    randomBytes(4).length,
    timingSafeEqual(Buffer.from('a'), Buffer.from('a')),
    createHmac('sha1', 'k').update('d').digest('base64'),
    pbkdf2Sync('p', 's', 10, 16, 'sha256').toString('hex'),
    scryptSync('p', 's', 16).toString('hex'),
  ],
  cipher: () => {
    const key = Buffer.alloc(32, 1), iv = Buffer.alloc(12, 2);
    const cipher = createCipheriv('aes-256-gcm', key, iv);
    const sealed = Buffer.concat([cipher.update('hello'), cipher.final()]);
    const decipher = createDecipheriv('aes-256-gcm', key, iv);
    decipher.setAuthTag(cipher.getAuthTag());
    return decipher.update(sealed) + decipher.final('utf8');
  },
  sign: () => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const signature = createSign('sha256').update('m').sign(privateKey);
    return createVerify('sha256').update('m').verify(publicKey, signature);
  },
  webcrypto: async () => (await webcrypto.subtle.digest('SHA-256', Buffer.from('x'))).byteLength,
  url: () => [fileURLToPath('file:///a/b'), pathToFileURL('/x y').href, url.parse('http://a/b?c=1').query],
  stream: async () => {
    const out = [];
    const upper = new Transform({ transform: (chunk, _, done) => done(null, String(chunk).toUpperCase()) });
    await pipeline(Readable.from(['a', 'b']), upper, async function (source) {
      for await (const chunk of source) out.push(String(chunk));
    });
    return out;
  },
  webStreams: async () => {
    let text = '';
    for await (const chunk of Readable.fromWeb(new Response('web').body)) text += chunk;
    return [text, Readable.toWeb(Readable.from(['x'])) instanceof ReadableStream];
  },
  os: () => [os.platform() === process.platform, typeof os.hostname(), os.cpus().length > 0, os.EOL, os.totalmem() > 0],
  timersPromises: async () => {
    await sleep(1);
    let count = 0;
    for await (const _ of every(1)) if (++count === 3) break;
    return count;
  },
  zlib: async () => [
    zlib.gunzipSync(zlib.gzipSync('abc')).toString(),
    zlib.brotliDecompressSync(zlib.brotliCompressSync('br')).toString(),
    zlib.inflateSync(zlib.deflateSync('d')).toString(),
    (await promisify(zlib.gunzip)(await promisify(zlib.gzip)('async'))).toString(),
  ],
  assert: () => {
    try {
      assert.deepStrictEqual({ a: 1 }, { a: 2 });
    } catch (error) {
      return [error.code, error.name];
    }
  },
  module: () => {
    const require = createRequire(import.meta.url);
    return [
      require('node:path').sep,
      require.resolve('./builtins.js').endsWith('builtins.js'),
      module.builtinModules.includes('fs'),
      module.isBuiltin('node:fs'),
    ];
  },
  workerThreads: () => [isMainThread, threadId],
  perfHooks: () => [perf.now() > 0, performance.now() > 0],
  util: async () => [
    util.format('%s-%d', 'a', 1),
    inspect({ a: { b: [1] } }),
    await promisify((done) => done(null, 7))(),
    util.types.isDate(new Date()),
    util.isDeepStrictEqual([1], [1]),
  ],
  querystring: () => [querystring.stringify({ a: [1, 2] }), querystring.parse('x=1').x],
  events: async () => {
    const emitter = new EventEmitter();
    setTimeout(() => emitter.emit('x', 5), 1);
    return (await once(emitter, 'x'))[0];
  },
  dns: async () => ['127.0.0.1', '::1'].includes((await dns.lookup('localhost')).address),
  net: () => [net.isIP('1.2.3.4'), net.isIPv6('::1')],
  http: (target) =>
    new Promise((resolve, reject) => {
      http.get(`http://127.0.0.1:${target.get('port')}/Other/1`, (answer) => {
        let text = '';
        answer.on('data', (chunk) => text += chunk);
        answer.on('end', () => resolve([answer.statusCode, JSON.parse(text)]));
      }).on('error', reject);
    }),
  https: () => [typeof https.request, https.globalAgent.protocol],
  process: () => [
    proc === process,
    env === process.env,
    process.version.startsWith('v22.'),
    process.argv.length,
    typeof process.pid,
    process.memoryUsage().heapUsed > 0,
    typeof process.hrtime.bigint(),
    process.uptime() > 0,
    process.versions.deno,
  ],
  processEnv: () => {
    process.env.MADE_HERE = 'yes';
    const made = [process.env.MADE_HERE, 'MADE_HERE' in process.env, Object.keys(process.env).includes('MADE_HERE')];
    delete process.env.MADE_HERE;
    return [...made, process.env.MADE_HERE ?? null, process.env.PATH.length > 0];
  },
  ticks: () =>
    new Promise((resolve) => {
      const order = [];
      // Which of the others comes first depends on what runs now.
      setImmediate(() => resolve([...order.sort(), 'immediate']));
      Promise.resolve().then(() => order.push('microtask'));
      process.nextTick(() => order.push('tick'));
    }),
  asyncHooks: () => new AsyncLocalStorage().run(3, async () => 3),
  buffer: () => [
    B.from('zz').toString('hex'),
    Buffer.concat([Buffer.from('a'), Buffer.from('b')]).toString(),
    Buffer.byteLength('\u00e9'),
    Buffer.isBuffer(B.alloc(1)),
    Buffer.from('aGk=', 'base64').toString(),
  ],
  stringDecoder: () => new StringDecoder('utf8').write(Buffer.from([0xc3, 0xa9])) === '\u00e9',
  timers: () => {
    const timeout = setTimeout(() => {}, 1000);
    const shown = [timeout.unref() === timeout, timeout.hasRef()];
    clearTimeout(timeout);
    const interval = setInterval(() => {}, 1000).unref();
    clearInterval(interval);
    return shown;
  },
  globals: () => [
    typeof Deno, global === globalThis, typeof EventSource, typeof structuredClone, typeof SharedArrayBuffer,
    typeof nodeBootstrap, typeof __bootstrap, typeof window,
  ],
  importMeta: () => [
    import.meta.url.startsWith('file:///'),
    import.meta.dirname.endsWith('resources'),
    import.meta.filename.endsWith('builtins.js'),
    import.meta.resolve('./x.js').endsWith('/resources/x.js'),
    import.meta.main,
  ],
  dynamicImport: async () => (await import('node:path')).sep,
  thisContext: () => vm.runInThisContext('1 + 1'),
};

/** What is refused: the message tells why and what to do. */
const refused = {
  read: () => readFileSync('/etc/passwd'),
  readAsync: () => readFile('/etc/passwd'),
  readAbove: () => readFileSync('../data/x'),
  write: () => fs.writeFileSync('/etc/kora-test', '1'),
  run: () => child.execSync('ls'),
  runAsync: () => promisify(child.execFile)('ls'),
  listen: () => new Promise((_, reject) => net.createServer().on('error', reject).listen(0)),
  httpListen: () => new Promise((_, reject) => http.createServer().on('error', reject).listen(0)),
  exit: () => process.exit(1),
  chdir: () => process.chdir('/'),
  abort: () => process.abort(),
  kill: () => process.kill(process.pid),
  fork: () => child.fork('./x.js'),
  link: () => fs.symlinkSync('/etc/passwd', 'link'),
  worker: () => new Worker(new URL('./builtins.js', import.meta.url)),
  context: () => vm.runInNewContext('1'),
};

export class Cases extends Resource {
  static loadAsInstance = false;
  async get(target) {
    return { is: (await cases[target.id](target)) ?? null };
  }
}
export class Refused extends Resource {
  static loadAsInstance = false;
  async get(target) {
    try {
      return { is: await refused[target.id]() };
    } catch (error) {
      return { is: error.message };
    }
  }
}
export class Other extends Resource {
  static loadAsInstance = false;
  get() {
    return { other: true };
  }
}
