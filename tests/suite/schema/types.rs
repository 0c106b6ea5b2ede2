//! Every type as every content type shows it, from a table and from a class
//! (`spec/harper-schema.md` section 4, `spec/harper-rest.md` sections 4 and 6).

use kora_resource::value::Format;
use serde_json::json;

use crate::harness::App;
use crate::harness::cases::{CONFIG, check};

const SCHEMA: (&str, &str) = (
    "schema.graphql",
    "type Every @table @export {
  id: ID @primaryKey
  s: String
  i: Int
  l: Long
  big: BigInt
  f: Float
  b: Boolean
  d: Date
  raw: Bytes
  note: Blob
  any: Any
  list: [Int]
  in: In
  nothing: String
}
type In { a: Int }
type Pieces @table @export { id: ID @primaryKey file: Blob other: Blob raw: Bytes n: Int }
",
);

/// The same record from code: what it is made of there, and what code gets back.
const CLASS: (&str, &str) = (
    "resources/every.ts",
    "import { Resource, tables, createBlob } from 'harperdb';
const make = () => ({
  s: 'a, \"b\"', i: -5, l: 2 ** 53, big: 12345678901234567890n, f: 1.5, b: true,
  d: new Date(Date.UTC(2024, 0, 5)), raw: new Uint8Array([0, 1, 255]), note: createBlob('hi'),
  any: [1, { x: null }], list: [1, 2], in: { a: 1 }, nothing: null,
});
export class Made extends Resource {
  static loadAsInstance = false;
  get(target: any) { return { id: target.id, ...make() }; }
  async put(target: any) { await tables.Every.put({ id: target.id, ...make() }); }
}
export class Seen extends Resource {
  static loadAsInstance = false;
  async get(target: any) {
    const record: any = await tables.Every.get(target.id);
    const kinds: any = {};
    for (const name in record) {
      const value = record[name];
      kinds[name] = value === null ? 'null' : value?.constructor?.name ?? typeof value;
    }
    kinds.note = [record.note instanceof Blob, record.note.type, record.note.size, await record.note.text()];
    return kinds;
  }
}
export class Parts extends Resource {
  static loadAsInstance = false;
  async post(_target: any, data: any) {
    const shown: any = {};
    for (const name in data) {
      const value = data[name];
      shown[name] = value instanceof Blob
        ? [value.name ?? null, value.type, value.size, await value.text()]
        : value;
    }
    await tables.Pieces.put({ ...data, n: Number(data.n) });
    return shown;
  }
}
",
);

const JSON_TEXT: &str = r#"{"id":"ID","s":"a, \"b\"","i":-5,"l":9007199254740992,"big":12345678901234567890,"f":1.5,"b":true,"d":"2024-01-05T00:00:00.000Z","raw":"AAH/","note":"hi","any":[1,{"x":null}],"list":[1,2],"in":{"a":1},"nothing":null}"#;

#[tokio::test]
async fn every_type_in_every_content_type() {
    let app = App::new(&[CONFIG, SCHEMA, CLASS]);
    let server = app.run();
    server
        .put("/Every/http", &JSON_TEXT.replace("\"ID\"", "\"http\"").replace("AAH/", "x"))
        .await
        .expect(204);
    // A string is its own bytes in JSON; in CSV it is base64, like what is written.
    assert_eq!(server.get("/Every/http.raw").await.expect(200).body, "\"eA==\"");
    let cbor = kora_resource::value::json::parse(JSON_TEXT.as_bytes()).unwrap();
    let mut record = cbor.into_object().unwrap();
    record.insert("raw".into(), kora_resource::Value::Bytes(vec![0, 1, 255].into()));
    record.insert("id".into(), "http".into());
    let mut body = Vec::new();
    Format::Cbor.encode(&record.into(), &mut body);
    let (status, ..) = server
        .send_bytes("PUT", "/Every/http", &[("content-type", "application/cbor")], body)
        .await;
    assert_eq!(status, 204);
    server.put("/Made/code", "{}").await.expect(204);
    let csv_head = "id,s,i,l,big,f,b,d,raw,note,any,list,in,nothing\r\n";
    let csv_row = "ID,\"a, \"\"b\"\"\",-5,9007199254740992,12345678901234567890,1.5,true,2024-01-05T00:00:00.000Z,AAH/,hi,\"[1,{\"\"x\"\":null}]\",\"[1,2]\",\"{\"\"a\"\":1}\",\r\n";
    for (path, id) in [("/Every/http", "http"), ("/Every/code", "code"), ("/Made/made", "made")] {
        let json_text = JSON_TEXT.replace("\"ID\"", &format!("\"{id}\""));
        for (media_type, expected) in [
            ("application/json", json_text.clone()),
            ("application/x-ndjson", format!("{json_text}\n")),
            ("text/plain", json_text.clone()),
            ("text/csv", format!("{csv_head}{}", csv_row.replace("ID", id))),
        ] {
            let answer = server.send("GET", path, &[("accept", media_type)], "").await.expect(200);
            assert_eq!(answer.body, expected, "{path} as {media_type}");
        }
        for format in [Format::Cbor, Format::MessagePack, Format::Yaml] {
            let accept = [("accept", format.media_type())];
            let (status, _, body) = server.send_bytes("GET", path, &accept, "").await;
            assert_eq!(status, 200);
            let read = format.decode(&body).unwrap();
            let mut shown = Vec::new();
            kora_resource::value::json::write(&read, &mut shown);
            assert_eq!(String::from_utf8_lossy(&shown), json_text, "{path} as {format}");
            if format != Format::Yaml {
                use kora_resource::Value::{BigInt, Bytes, Date};
                assert_eq!(read.get("big"), Some(&BigInt(12_345_678_901_234_567_890)));
                assert_eq!(read.get("raw"), Some(&Bytes(vec![0, 1, 255].into())));
                assert_eq!(read.get("d"), Some(&Date(1_704_412_800_000.0)));
            }
        }
    }
    let kinds = json!({
        "id": "String", "s": "String", "i": "Number", "l": "Number", "big": "BigInt", "f": "Number",
        "b": "Boolean", "d": "Date", "raw": "Uint8Array", "note": [true, "text/plain", 2, "hi"],
        "any": "Array", "list": "Array", "in": "Object", "nothing": "null",
    });
    for id in ["http", "code"] {
        let mut seen = server.get(&format!("/Seen/{id}")).await.expect(200).json();
        // A Buffer is one, too.
        if seen["raw"] == "Buffer" {
            seen["raw"] = json!("Uint8Array");
        }
        assert_eq!(seen, kinds, "{id}");
    }
}

#[tokio::test]
async fn files_of_forms_are_blobs() {
    let app = App::new(&[CONFIG, SCHEMA, CLASS]);
    let server = app.run();
    let large = "0123456789".repeat(10_000);
    let form = |id: &str| {
        format!(
            "--X\r\nContent-Disposition: form-data; name=\"id\"\r\n\r\n{id}\r\n\
             --X\r\nContent-Disposition: form-data; name=\"n\"\r\n\r\n5\r\n\
             --X\r\nContent-Disposition: form-data; name=\"file\"; filename=\"ä 1.svg\"\r\nContent-Type: image/svg+xml\r\n\r\n{large}\r\n\
             --X\r\nContent-Disposition: form-data; name=\"other\"; filename=\"b.txt\"\r\n\r\nsmall\r\n\
             --X\r\nContent-Disposition: form-data; name=\"raw\"; filename=\"c\"\r\nContent-Type: application/octet-stream\r\n\r\nabc\r\n--X--\r\n"
        )
    };
    let multipart = [("content-type", "multipart/form-data; boundary=X")];
    let made = server.send("POST", "/Pieces/", &multipart, &form("table")).await.expect(201);
    assert_eq!(made.header("location"), Some("table"));
    server.send("PUT", "/Pieces/put", &multipart, &form("put")).await.expect(204);
    let shown = server.send("POST", "/Parts/", &multipart, &form("class")).await.expect(200).json();
    assert_eq!(shown["file"], json!(["ä 1.svg", "image/svg+xml", large.len(), large]));
    assert_eq!(shown["other"], json!(["b.txt", "text/plain", 5, "small"]));
    assert_eq!(shown["raw"], json!(["c", "application/octet-stream", 3, "abc"]));
    for id in ["table", "put", "class"] {
        let file = server.get(&format!("/Pieces/{id}.file")).await.expect(200);
        assert_eq!(file.header("content-type"), Some("image/svg+xml"), "{id}");
        assert!(file.body == large, "{id}: {} bytes", file.body.len());
        let described = format!("Blob of {} bytes, image/svg+xml", large.len());
        let expected = json!({"id": id, "n": 5, "file": {"description": described}, "other": "small", "raw": "YWJj"});
        let get = format!("/Pieces/{id}");
        check(&server, &[("GET", &get, "", 200, expected)]).await;
    }
    // A form that is cut off leaves nothing.
    let cut = form("cut");
    server.send("POST", "/Pieces/", &multipart, &cut[..cut.len() - 30]).await.expect(400);
    assert_eq!(server.get("/Pieces/cut").await.expect(404).body, "");
}
