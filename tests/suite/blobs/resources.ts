// What applications do with blobs: from every kind of source, as answers, in records.
import { Resource, tables, createBlob } from 'harperdb';

const big = (size: number, fill = 7) => new Uint8Array(size).fill(fill);

async function* chunks(count: number, size: number) {
  for (let n = 0; n < count; n++) yield big(size, n % 251);
}

async function stored(source: any, options?: any) {
  await tables.File.put({ id: 'made', file: createBlob(source, options) });
  return (await tables.File.get('made')).file;
}

export class Upload extends tables.Document {
  static loadAsInstance = false;
  // A typed body arrives as `{ contentType, data }`, large ones as a blob already.
  async post(target: any, data: any) {
    const id = crypto.randomUUID();
    await tables.File.put({ id, name: data.contentType, file: data.data });
    return { id, size: data.data.size };
  }
}

export class Download extends Resource {
  static loadAsInstance = false;
  async get(target: any) {
    const { file } = await tables.File.get(target.id);
    const how = target.get('how');
    if (how === 'typed') return { contentType: 'application/x-own', data: file };
    if (how === 'response') return { status: 206, headers: { 'x-own': 'yes' }, body: file };
    if (how === 'web') return new Response(file.stream(), { headers: { 'content-type': 'text/x' } });
    if (how === 'record') return { inside: file };
    return file;
  }
}

export class Checks extends Resource {
  static loadAsInstance = false;
  async get(target: any) {
    switch (target.id) {
      case 'sources': {
        const results: any = {};
        const text = await stored('hello');
        results.string = [await text.text(), text.type, text.size, text instanceof Blob];
        results.bytes = (await (await stored(big(10_000))).bytes()).reduce((a: number, b: number) => a + b);
        results.buffer = (await stored(big(3).buffer)).size;
        results.async = (await stored(chunks(20, 50_000))).size;
        results.iterable = await (await stored(['a', 'b', 'c'], { type: 'text/x' })).text();
        results.web = await (await stored(new Blob(['we', 'b'], { type: 'text/y' }))).text();
        results.stream = (await stored(new Response(big(70_000)).body)).size;
        results.sized = await new Promise((resolve) =>
          createBlob(chunks(2, 10)).on('size', resolve)
        );
        return results;
      }
      case 'api': {
        const file = await stored(chunks(3, 100_000), { type: 'application/x' });
        let streamed = 0;
        for await (const chunk of file.stream()) streamed += chunk.byteLength;
        const slice = file.slice(99_999, 100_001);
        return [
          streamed,
          [...await slice.bytes()],
          (await file.arrayBuffer()).byteLength,
          JSON.parse(JSON.stringify({ file })),
        ];
      }
      case 'failing': {
        const failing = async function* () {
          yield 'a';
          throw Object.assign(new Error('no more'), { statusCode: 418 });
        };
        const blob = createBlob(failing());
        const heard = new Promise((resolve) => blob.on('error', (error: any) => resolve(error.message)));
        const error = await tables.File.put({ id: 'failing', file: blob }).catch((e: any) => e.message);
        return [error, await heard, (await tables.File.get('failing')) ?? null];
      }
      case 'wrong':
        try {
          createBlob(5 as any);
        } catch (error: any) {
          return error.message;
        }
        return 'made';
      case 'copies': {
        await tables.File.put({ id: 'one', file: createBlob(big(9000)) });
        const one = await tables.File.get('one');
        await tables.File.put({ ...one, id: 'two' });
        await tables.File.put({ ...one, name: 'kept' });
        await tables.File.patch('one', { name: 'patched' });
        await tables.File.delete('one');
        return [(await (await tables.File.get('two')).file.bytes()).length, await one.file.bytes().then((b: any) => b.length)];
      }
      case 'shared': {
        // One blob in two records of one transaction: each has its own.
        const file = createBlob(chunks(1, 9000));
        await tables.File.put({ id: 'a', file, second: file });
        await tables.File.put({ id: 'b', file });
        return 'put';
      }
      case 'aborted': {
        await tables.File.put({ id: 'aborted', file: createBlob(big(9000)) });
        throw Object.assign(new Error('aborted'), { statusCode: 409 });
      }
    }
  }
}
