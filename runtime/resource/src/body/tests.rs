//! Bodies of each type, and what is told of malformed ones.

use super::*;
use crate::schema::{ValidateMode, parse_one};
use crate::value::{Blob, json};

fn json_of(content_type: &str, body: &'static str) -> String {
    let decoded = decode(content_type, Bytes::from_static(body.as_bytes()), None);
    let mut out = Vec::new();
    json::write(&decoded.expect(body), &mut out);
    String::from_utf8(out).expect("JSON is UTF-8")
}

#[test]
fn bodies_are_decoded_by_type() {
    for (content_type, body, expected) in [
        ("application/json; charset=utf-8", "[1]", "[1]"),
        ("", r#"{"a":1}"#, r#"{"a":1}"#),
        ("text/plain", "x", r#""x""#),
        ("text/csv", "a,b", r#"{"contentType":"text/csv","data":"a,b"}"#),
        ("text/yaml", "a: [1]", r#"{"a":[1]}"#),
        ("application/x-ndjson", "1\n2", "[1,2]"),
        ("application/x-www-form-urlencoded", "a=1+2&b=%C3%A4&a=3", r#"{"a":["1 2","3"],"b":"ä"}"#),
        (
            "multipart/form-data; boundary=X",
            "--X\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--X\r\n\
             Content-Disposition: form-data; name=\"f\"; filename=\"x\"\r\n\r\nhi\r\n--X--\r\n",
            r#"{"a":"1","f":"hi"}"#,
        ),
        ("multipart/form-data; boundary=X", "--X--", "{}"),
    ] {
        assert_eq!(json_of(content_type, body), expected, "{content_type}");
    }
}

#[test]
fn files_keep_their_name_and_type() {
    let part = |head: &str, data: &str| {
        format!("--X\r\nContent-Disposition: form-data; name=f{head}\r\n\r\n{data}\r\n--X--\r\n")
    };
    let blob = |name: Option<&str>, media_type, data: &str| {
        let blob = Blob::inline(media_type, data.to_owned());
        Value::from(Blob { name: name.map(str::to_owned), ..blob })
    };
    for (head, expected) in [
        ("", Value::from("d")),
        ("\r\nContent-Type: text/markdown", Value::from("d")),
        ("; filename=\"ä.txt\"", blob(Some("ä.txt"), "text/plain", "d")),
        ("; filename=a.png\r\nContent-Type: image/png", blob(Some("a.png"), "image/png", "d")),
        ("\r\nContent-Type: image/png", blob(None, "image/png", "d")),
    ] {
        let body = Bytes::from(part(head, "d"));
        let decoded = decode("multipart/form-data; boundary=X", body, None).expect(head);
        assert_eq!(decoded.get("f"), Some(&expected), "{head}");
    }
    let table = parse_one("type T @table { id: ID @primaryKey f: Bytes n: Int }");
    let body = Bytes::from(part("; filename=a", "d"));
    let decoded = decode("multipart/form-data; boundary=X", body, Some(&table)).expect("fits");
    let mut record = decoded.into_object().expect("an object");
    table
        .validate(&mut record, ValidateMode::Full)
        .expect("a file is bytes where they are asked for");
    assert_eq!(record["f"], Value::Bytes("d".into()));
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    for (content_type, body, wanted) in [
        ("application/json", "{\n \"a\": }", "line 2"),
        ("text/yaml", "a: [", "text/yaml"),
        ("application/cbor", "\u{61}", "byte 0"),
        ("multipart/form-data", "x", "multipart/form-data"),
        (
            "multipart/form-data; boundary=X",
            "--X\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1",
            "multipart/form-data",
        ),
        (
            "multipart/form-data; boundary=X",
            "--X\r\nContent-Type: text/plain\r\n\r\n1\r\n--X--",
            "part 1 has no name",
        ),
    ] {
        let error = decode(content_type, Bytes::from_static(body.as_bytes()), None);
        let error = error.expect_err(body);
        assert_eq!(error.status(), 400, "{content_type}");
        assert!(error.message.contains(wanted), "{}", error.message);
    }
}
