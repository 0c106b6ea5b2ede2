//! Content types in and out, negotiation, compression (`spec/harper-rest.md` sections 1.1, 5 and 6,
//! `spec/harper-realtime.md` section 7): of tables and of classes.

use std::io::Read;

use hyper::HeaderMap;
use kora_resource::value::{Format, json};
use kora_resource::{Map, Value};

use crate::harness::client::JSON;
use crate::harness::{App, Server};

const FILES: &[(&str, &str)] = &[
    (
        "config.yaml",
        "rest: true\ngraphqlSchema: { files: schema.graphql }\njsResource: { files: resources.ts }\n",
    ),
    (
        "schema.graphql",
        "type Thing @table @export {\n  id: ID @primaryKey\n  name: String\n  n: Int\n  at: Date\n  \
         big: BigInt\n  bytes: Bytes\n  tags: [String]\n  any: Any\n}\n",
    ),
    (
        "resources.ts",
        r#"
        export class Echo extends Resource {
            static loadAsInstance = false;
            post(target, data) { return { got: data }; }
            async *list() { for (let n = 0; n < 3; n++) yield { n, text: 'a,b' }; }
            get(target) {
                switch (target.id) {
                    case 'list': return this.list();
                    case 'text': return 'plain text';
                    case 'typed': return { big: 12345678901234567890n, at: new Date(5), bytes: new Uint8Array([0, 255]) };
                    case 'large': return { text: 'abcdefgh '.repeat(50000) };
                    case 'image': return { contentType: 'image/png', data: 'x'.repeat(5000) };
                    case 'svg': return { contentType: 'image/svg+xml', data: '<a/>'.repeat(5000) };
                    case 'throws': throw Object.assign(new Error('no luck'), { statusCode: 422 });
                }
            }
        }
        "#,
    ),
];

fn serve() -> (App, Server) {
    let app = App::new(FILES);
    let server = app.run();
    (app, server)
}

fn value(json_text: &str) -> Value {
    json::parse(json_text.as_bytes()).unwrap()
}

fn json_of(value: &Value) -> String {
    let mut out = Vec::new();
    json::write(value, &mut out);
    String::from_utf8(out).unwrap()
}

fn encoded(format: Format, value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    format.encode(value, &mut out);
    out
}

fn header<'h>(headers: &'h HeaderMap, name: &str) -> &'h str {
    headers.get(name).map_or("", |value| value.to_str().unwrap())
}

/// A record with every type that the binary formats have.
fn typed() -> Value {
    Value::Object(Map::from_iter([
        ("id".to_owned(), "typed".into()),
        ("name".to_owned(), "Ä \"quoted\", text\n".into()),
        ("n".to_owned(), 5.into()),
        ("at".to_owned(), Value::Date(1_704_485_247_955.0)),
        ("big".to_owned(), Value::BigInt(12_345_678_901_234_567_890)),
        ("bytes".to_owned(), Value::Bytes(vec![0, 1, 255].into())),
        ("tags".to_owned(), Value::Array(vec!["a".into(), "b".into()])),
        ("any".to_owned(), value(r#"{"nested":[1,null,{"x":1.5}]}"#)),
    ]))
}

#[tokio::test]
async fn records_survive_each_format() {
    let (_app, server) = serve();
    for format in [Format::Cbor, Format::MessagePack, Format::Yaml] {
        let body = encoded(format, &typed());
        let headers = [("content-type", format.media_type())];
        let (status, _, answer) = server.send_bytes("PUT", "/Thing/typed", &headers, body).await;
        assert_eq!(status, 204, "{format}: {}", String::from_utf8_lossy(&answer));
        let stored = server.get("/Thing/typed").await.expect(200).body;
        assert_eq!(stored, json_of(&typed()), "{format}");
        let accept = [("accept", format.media_type())];
        let (status, headers, body) = server.send_bytes("GET", "/Thing/typed", &accept, "").await;
        assert_eq!((status, header(&headers, "content-type")), (200, format.media_type()));
        assert_eq!(header(&headers, "vary"), "Accept, Accept-Encoding");
        let read = format.decode(&body).unwrap();
        match format {
            Format::Yaml => assert_eq!(json_of(&read), json_of(&typed())),
            _ => assert_eq!(read, typed(), "{format}"),
        }
        // A record of one format goes back as it came.
        let sent = [("content-type", format.media_type())];
        let (status, _, _) = server.send_bytes("PUT", "/Thing/again", &sent, body).await;
        assert_eq!(status, 204, "{format}");
    }
}

#[tokio::test]
async fn collections_in_each_format() {
    let (_app, server) = serve();
    let things = r#"[{"id":"1","name":"a","n":1},{"id":"2","name":"b, c","tags":["x"]}]"#;
    server.put("/Thing/", things).await.expect(200);
    for (path, list) in [
        ("/Thing/", things),
        ("/Echo/list", r#"[{"n":0,"text":"a,b"},{"n":1,"text":"a,b"},{"n":2,"text":"a,b"}]"#),
    ] {
        for media_type in [
            "application/json",
            "application/cbor",
            "application/x-msgpack",
            "application/msgpack",
            "application/x-ndjson",
            "application/ndjson",
            "text/yaml",
        ] {
            let (status, headers, body) =
                server.send_bytes("GET", path, &[("accept", media_type)], "").await;
            assert_eq!((status, header(&headers, "content-type")), (200, media_type));
            let format = Format::of_media_type(media_type).unwrap();
            assert_eq!(json_of(&format.decode(&body).unwrap()), list, "{path} {media_type}");
        }
    }
    let csv = server.send("GET", "/Thing/", &[("accept", "text/csv")], "").await.expect(200);
    assert_eq!(csv.header("content-disposition"), Some("attachment; filename=\"data.csv\""));
    assert_eq!(
        csv.body,
        "id,name,n,at,big,bytes,tags,any\r\n1,a,1,,,,,\r\n2,\"b, c\",,,,,\"[\"\"x\"\"]\",\r\n"
    );
    for (path, expected) in [
        ("/Thing/.csv?select(id,name)", "id,name\r\n1,a\r\n2,\"b, c\"\r\n"),
        ("/Thing/1.csv", "id,name,n\r\n1,a,1\r\n"),
        ("/Echo/list.csv", "n,text\r\n0,\"a,b\"\r\n1,\"a,b\"\r\n2,\"a,b\"\r\n"),
        ("/Thing/.csv?name=none", "id,name,n,at,big,bytes,tags,any\r\n"),
    ] {
        assert_eq!(server.get(path).await.expect(200).body, expected, "{path}");
    }
    let (_, headers, body) =
        server.send_bytes("GET", "/Thing/1.cbor", &[("accept", "text/html")], "").await;
    assert_eq!(header(&headers, "content-type"), "application/cbor");
    assert_eq!(json_of(&Format::Cbor.decode(&body).unwrap()), r#"{"id":"1","name":"a","n":1}"#);
}

#[tokio::test]
async fn what_classes_get_and_answer() {
    let (_app, server) = serve();
    let sent = value(r#"{"a":[1,"x"],"b":{"c":null}}"#);
    for format in [Format::Json, Format::Cbor, Format::MessagePack, Format::Yaml] {
        let headers = [("content-type", format.media_type()), ("accept", format.media_type())];
        let (status, _, body) =
            server.send_bytes("POST", "/Echo/", &headers, encoded(format, &sent)).await;
        assert_eq!(status, 200);
        let expected = format!(r#"{{"got":{}}}"#, json_of(&sent));
        assert_eq!(json_of(&format.decode(&body).unwrap()), expected, "{format}");
    }
    let part = "--X\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--X--\r\n";
    for (content_type, body, got) in [
        ("text/csv", "a,b\n1,2\n", r#"{"contentType":"text/csv","data":"a,b\n1,2\n"}"#),
        ("text/plain", "hi", r#""hi""#),
        ("application/x-ndjson", "{\"a\":1}\n2\n", r#"[{"a":1},2]"#),
        ("application/x-www-form-urlencoded", "a=1&a=2&b=x+y", r#"{"a":["1","2"],"b":"x y"}"#),
        ("multipart/form-data; boundary=X", part, r#"{"a":"1"}"#),
    ] {
        let answer = server.send("POST", "/Echo/", &[("content-type", content_type)], body).await;
        assert_eq!(answer.expect(200).body, format!(r#"{{"got":{got}}}"#), "{content_type}");
    }
    let accept = [("accept", "application/cbor")];
    let (_, _, body) = server.send_bytes("GET", "/Echo/typed", &accept, "").await;
    let Value::Object(typed) = Format::Cbor.decode(&body).unwrap() else { panic!("an object") };
    assert_eq!(typed["big"], Value::BigInt(12_345_678_901_234_567_890));
    assert_eq!(typed["at"], Value::Date(5.0));
    assert_eq!(typed["bytes"], Value::Bytes(vec![0, 255].into()));
    let text = server.send("GET", "/Echo/text", &[("accept", "text/plain")], "").await.expect(200);
    assert_eq!(
        (text.body.as_str(), text.header("content-type")),
        ("plain text", Some("text/plain"))
    );
    assert_eq!(server.get("/Echo/text").await.body, "\"plain text\"");
}

#[tokio::test]
async fn forms_and_rows_take_the_types_of_the_table() {
    let (_app, server) = serve();
    let form = [("content-type", "application/x-www-form-urlencoded")];
    server
        .send("PUT", "/Thing/form", &form, "name=x+y&n=7&tags=a&tags=b&at=2024-01-05")
        .await
        .expect(204);
    assert_eq!(
        server.get("/Thing/form").await.body,
        r#"{"id":"form","name":"x y","n":7,"tags":["a","b"],"at":"2024-01-05T00:00:00.000Z"}"#
    );
    let multipart = [("content-type", "multipart/form-data; boundary=X")];
    let body = "--X\r\nContent-Disposition: form-data; name=\"id\"\r\n\r\nparts\r\n--X\r\n\
                Content-Disposition: form-data; name=\"n\"\r\n\r\n5\r\n--X\r\n\
                Content-Disposition: form-data; name=\"bytes\"; filename=\"f.bin\"\r\n\
                Content-Type: application/octet-stream\r\n\r\nabc\r\n--X--\r\n";
    let made = server.send("POST", "/Thing/", &multipart, body).await.expect(201);
    assert_eq!(made.header("location"), Some("parts"));
    assert_eq!(server.get("/Thing/parts").await.body, r#"{"id":"parts","n":5,"bytes":"YWJj"}"#);
    let cut = &body[..body.len() - 20];
    server.send("PUT", "/Thing/cut", &multipart, cut).await.expect(400);
    server.get("/Thing/cut").await.expect(404);

    let csv = [("content-type", "text/csv")];
    let rows = "id,name,n,big,at\nr1,\"a, b\",1,12345678901234567890,2024-01-05\nr2,,,,\n";
    server.send("PUT", "/Thing/", &csv, rows).await.expect(200);
    assert_eq!(
        server.get("/Thing/r1").await.body,
        r#"{"id":"r1","name":"a, b","n":1,"big":12345678901234567890,"at":"2024-01-05T00:00:00.000Z"}"#
    );
    assert_eq!(server.get("/Thing/r2").await.body, r#"{"id":"r2"}"#);
    let exported = server.get("/Thing/.csv").await.expect(200).body;
    server.send("PUT", "/Thing/", &csv, &exported).await.expect(200);
    assert_eq!(server.get("/Thing/.csv").await.body, exported);
}

#[tokio::test]
async fn bulk_loads_tell_every_wrong_row_and_write_none() {
    let (_app, server) = serve();
    let ids =
        server.send("POST", "/Thing/", &[JSON], r#"[{"id":"a"},{"id":"b"}]"#).await.expect(201);
    assert_eq!(ids.body, r#"["a","b"]"#);
    let rows = r#"[{"id":"c"},{"id":"d","n":"x"},5,{"name":"no key"}]"#;
    for (method, body, content_type, count, status) in [
        ("PUT", rows, "application/json", 3, 400),
        ("PUT", "id,n\ne,1\nf,x\ng,y\n", "text/csv", 2, 400),
        ("POST", r#"[{"id":"c"},{"id":"d","n":true}]"#, "application/json", 1, 400),
        ("PUT", "{\"id\":\"c\"}\n{\"id\":\"d\",\"n\":1.5}\n", "application/x-ndjson", 1, 400),
    ] {
        let answer = server.send(method, "/Thing/", &[("content-type", content_type)], body).await;
        let problem = answer.expect(status).json();
        assert!(problem["title"].as_str().unwrap().starts_with("Row 2: "), "{problem}");
        assert_eq!(problem["detail"].as_array().unwrap().len(), count, "{problem}");
        assert_eq!(problem["detail"][0]["row"], 2, "{problem}");
        server.get("/Thing/c").await.expect(404);
    }
}

#[tokio::test]
async fn malformed_bodies_are_told_with_type_and_place() {
    let (_app, server) = serve();
    let deep = "[".repeat(200);
    let bomb = (1..9).fold("a0: &a0 [x]\n".to_owned(), |text, n| {
        format!("{text}a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 16].join(","))
    });
    let part = "--X\r\nContent-Disposition: form-data";
    let nameless = format!("{part}\r\n\r\n1\r\n--X--");
    let unfinished = format!("{part}; name=a\r\n\r\n1");
    let not_text = [part.as_bytes(), b"; name=a\r\n\r\n\xff\r\n--X--"].concat();
    let form = "multipart/form-data; boundary=X";
    let rows: &[(&str, &[u8], &[&str])] = &[
        (
            "application/json",
            b"{\n\"a\": }",
            &["line 2, column 6", "expected a value", "found `}`"],
        ),
        ("application/json", b"{\"a\":1,}", &["column 8", "expected a property name"]),
        ("application/json", b"{\"a\" 1}", &["column 6", "expected `:`"]),
        ("application/json", b"{\"a\":\"x", &["column 6", "expected an end to this string"]),
        ("application/json", b"{\"a\":01}", &["column 7", "expected `,` or `}`"]),
        ("application/json", b"{} {}", &["column 4", "expected the end of the text"]),
        ("application/json", b"{\"a\":\"\xff\"}", &["column 7", "expected UTF-8"]),
        ("application/json", deep.as_bytes(), &["nest deeper than 128", "column 129"]),
        ("", b"{\"a\"", &["application/json", "column 5"]),
        ("application/cbor", b"\x1f", &["application/cbor", "byte 0"]),
        ("application/cbor", b"\xa1\x61", &["byte 1", "ends in the middle"]),
        ("application/cbor", b"\xa0\xa0", &["byte 1", "1 bytes follow the value"]),
        ("application/x-msgpack", b"\x01\xc1", &["application/x-msgpack", "value 2", "byte 1"]),
        ("application/x-msgpack", b"\x92\x01", &["value 1", "ends in the middle", "byte 2"]),
        ("application/x-ndjson", b"{}\n{", &["application/x-ndjson", "line 2"]),
        ("text/yaml", b"a: 1\nb: [", &["text/yaml", "line"]),
        ("text/yaml", b"a: 1\n---\nb: 2\n", &["a second document", "line 3"]),
        ("text/yaml", b"a: !!int x", &["`x` is no integer", "line 1"]),
        ("text/yaml", bomb.as_bytes(), &["aliases make the value too large"]),
        ("text/yaml", b"a: \xff", &["expected UTF-8 text", "line 1"]),
        ("text/plain", b"a\xff", &["text/plain", "byte 1"]),
        (form, b"--X\r\nbroken", &["part 1: "]),
        (form, nameless.as_bytes(), &["part 1 has no name"]),
        (form, unfinished.as_bytes(), &["part 1: field \"a\""]),
        (form, &not_text, &["part 1 (`a`) is not UTF-8 text"]),
        ("multipart/form-data", b"x", &["multipart/form-data"]),
    ];
    let csv: &[(&str, &[u8], &[&str])] = &[
        ("text/csv", b"a,b\n1\n", &["text/csv", "1 field where the header names 2", "line 2"]),
        ("text/csv", b"a\n\n\"x", &["the quote that opens a field is never closed", "line 3"]),
        ("text/csv", b"a,a\n", &["two columns are named `a`", "line 1"]),
    ];
    let requests = [("PUT", "/Thing/x", rows), ("POST", "/Echo/", rows), ("PUT", "/Thing/", csv)];
    for (method, path, rows) in requests {
        for (content_type, body, wanted) in rows {
            let headers: &[_] = match *content_type {
                "" => &[],
                content_type => &[("content-type", content_type)],
            };
            let (status, _, answer) = server.send_bytes(method, path, headers, body.to_vec()).await;
            let problem: serde_json::Value = serde_json::from_slice(&answer).unwrap();
            let title = problem["title"].as_str().unwrap_or_default();
            assert_eq!(status, 400, "{path} {content_type}: {title}");
            for wanted in *wanted {
                assert!(title.contains(wanted), "{path} {content_type} {wanted}: {title}");
            }
        }
    }
    server.get("/Thing/x").await.expect(404);
    let accept = [("accept", "application/cbor")];
    for (path, status) in [("/Echo/throws", 422), ("/Thing/?nose=1", 404)] {
        let (found, headers, body) = server.send_bytes("GET", path, &accept, "").await;
        assert_eq!((found, header(&headers, "content-type")), (status, "application/cbor"));
        let problem = Format::Cbor.decode(&body).unwrap();
        assert_eq!(problem.get("status"), Some(&Value::Int(status.into())));
    }
}

#[tokio::test]
async fn bodies_are_compressed_by_size_and_type() {
    let (_app, server) = serve();
    let rows: Vec<String> =
        (0..3000).map(|n| format!(r#"{{"id":"{n:05}","name":"name of {n}"}}"#)).collect();
    server.put("/Thing/", &format!("[{}]", rows.join(","))).await.expect(200);
    for (path, accept_encoding, coding) in [
        ("/Thing/00001", "br, gzip", ""),
        ("/Thing/", "gzip, deflate, br", "br"),
        ("/Thing/", "gzip", "gzip"),
        ("/Thing/", "identity", ""),
        ("/Thing/", "", ""),
        ("/Thing/.csv", "br", "br"),
        ("/Echo/large", "br", "br"),
        ("/Echo/large", "gzip;q=0.9, br;q=0.1", "gzip"),
        ("/Echo/image", "br", ""),
        ("/Echo/svg", "gzip", "gzip"),
    ] {
        let plain = server.send_bytes("GET", path, &[], "").await;
        let asked = [("accept-encoding", accept_encoding)];
        let (status, headers, body) = server.send_bytes("GET", path, &asked, "").await;
        assert_eq!(
            (status, header(&headers, "content-encoding")),
            (200, coding),
            "{path} {accept_encoding}"
        );
        assert!(header(&headers, "vary").contains("Accept-Encoding"), "{path}");
        let mut whole = Vec::new();
        match coding {
            "br" => brotli::Decompressor::new(&body[..], 4096).read_to_end(&mut whole).unwrap(),
            "gzip" => flate2::read::GzDecoder::new(&body[..]).read_to_end(&mut whole).unwrap(),
            _ => (&body[..]).read_to_end(&mut whole).unwrap(),
        };
        assert_eq!(whole, plain.2, "{path} {accept_encoding}");
        if !coding.is_empty() {
            assert!(body.len() < whole.len() / 2, "{path}: {} of {}", body.len(), whole.len());
        }
    }
    let head =
        server.send("HEAD", "/Echo/large", &[("accept-encoding", "br")], "").await.expect(200);
    assert_eq!((head.header("content-encoding"), head.body.as_str()), (Some("br"), ""));
}

#[tokio::test]
async fn large_collections_are_streamed_with_bounded_memory() {
    let (_app, server) = serve();
    let text = "x".repeat(1000);
    for batch in 0..4 {
        let rows: Vec<String> = (0..5000)
            .map(|n| format!(r#"{{"id":"{:06}","name":"{text}"}}"#, batch * 5000 + n))
            .collect();
        server.put("/Thing/", &format!("[{}]", rows.join(","))).await.expect(200);
    }
    // The first reading brings the database's pages into memory, which count as the server's.
    server.get("/Thing/").await.expect(200);
    let before = server.memory();
    for accept in ["application/json", "application/cbor", "text/csv", "application/x-ndjson"] {
        let (status, headers, body) =
            server.send_bytes("GET", "/Thing/", &[("accept", accept)], "").await;
        assert_eq!((status, header(&headers, "content-length")), (200, ""), "{accept}");
        assert!(body.len() > 20_000_000, "{accept}: {}", body.len());
    }
    let grown = server.memory().saturating_sub(before);
    assert!(grown < 64 << 20, "grew by {grown} bytes");
}
