use proptest::prelude::*;

use super::*;
use crate::value::json;

fn evaluate(text: &str) -> String {
    let record = r#"{"price":10,"taxRate":0.25,"name":"Rex","tags":["a","b"],"on":true,"nothing":null,
        "home":{"city":"Oslo"},"items":[{"n":2,"p":3},{"n":1,"p":4}]}"#;
    let record = json::parse(record.as_bytes()).expect("JSON");
    let expression = Expression::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    match expression.evaluate(&|name| record.get(name).cloned()) {
        None => "undefined".to_owned(),
        Some(value) => {
            let mut out = Vec::new();
            json::write(&value, &mut out);
            String::from_utf8(out).expect("UTF-8")
        }
    }
}

#[test]
fn expressions_have_javascripts_values() {
    for (text, expected) in [
        ("price * taxRate", "2.5"),
        ("price + price * 2 ** 3 / 4 - 1 % 2", "29"),
        ("(price + 1) * 2", "22"),
        ("-price + +'5'", "-5"),
        ("price * missing", "null"),
        ("missing", "undefined"),
        ("missing.x", "undefined"),
        ("missing?.x ?? 'none'", r#""none""#),
        ("name + '-' + price", r#""Rex-10""#),
        ("`${name} costs ${price * 2}!`", r#""Rex costs 20!""#),
        ("price > 5 && on ? 'high' : 'low'", r#""high""#),
        ("price === 10 && price !== '10' && price == '10'", "true"),
        ("!on || nothing == missing", "true"),
        ("nothing === missing", "false"),
        ("name.toLowerCase().includes('ex')", "true"),
        ("home.city + home['city'].length", r#""Oslo4""#),
        ("tags[1] + tags.length + tags.join('/')", r#""b2a/b""#),
        ("items.reduce((sum, item) => sum + item.n * item.p, 0)", "10"),
        ("items.map(i => i.n).filter(n => n > price / 10)", "[2]"),
        ("[...tags, name]", r#"["a","b","Rex"]"#),
        ("({ name, double: price * 2 })", r#"{"name":"Rex","double":20}"#),
        ("Math.round(price * taxRate) + Math.max(1, 2)", "5"),
        ("(price / 3).toFixed(2)", r#""3.33""#),
        ("typeof name", r#""string""#),
        ("Number('0x') || parseInt('42px')", "42"),
        ("name.slice(-2) + name.substring(0, 1).padStart(3, '.')", r#""ex..R""#),
        ("tags.includes('b') ? 1 : 0", "1"),
        ("'a b'.split(' ')", r#"["a","b"]"#),
    ] {
        assert_eq!(evaluate(text), expected, "{text}");
    }
}

#[test]
fn names_are_those_of_attributes() {
    let expression = Expression::parse("items.map(i => i.n * price).length + tags[k]");
    assert_eq!(expression.expect("parses").names(), ["items", "price", "tags", "k"]);
}

#[test]
fn what_is_not_understood_is_named_with_its_place() {
    for (text, expected) in [
        ("price *", "unexpected end of the expression at position 7"),
        ("(price", "expected ')' at position 6"),
        ("price 5", "expected an operator at position 6"),
        ("a.frob()", "frob() is not known"),
        ("frob(a)", "frob() is not known"),
        ("new Date(a)", "'new' is not known in the expressions of a schema"),
        ("a # b", "unexpected '#' at position 2"),
        ("'abc", "the text does not end at position 0"),
        ("é + `${`", "at position"),
        ("", "unexpected end"),
    ] {
        let error = Expression::parse(text).expect_err(text).to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
    let deep = "(".repeat(5000) + "1" + &")".repeat(5000);
    assert!(Expression::parse(&deep).is_err());
    for (part, problem) in [
        ("!", "nests too deep"),
        ("2**", "nests too deep"),
        ("1+", "too many operators"),
        ("a.", "too many operators"),
        ("[a]", "too many operators"),
        ("`${", "expected '}'"),
    ] {
        let error = Expression::parse(&part.repeat(50_000)).expect_err(part).to_string();
        assert!(error.contains(problem), "{part}: {error}");
    }
    let long = Expression::parse(&format!("{}0", "price + ".repeat(200))).expect("not too long");
    assert_eq!(long.evaluate(&|_| Some(Value::Int(1))), Some(Value::Int(200)));
}

#[test]
fn an_evaluation_takes_so_much_and_no_more() {
    let list = Value::Array(vec![Value::Int(1); 1000]);
    for text in [
        "'x'.repeat(1000000).replaceAll('', 'x'.repeat(1000000))",
        "'x'.repeat(1000000).split('').join('x'.repeat(1000000))",
        "l.map(a => l.map(b => l.map(c => l.map(d => 1))))",
        "l.reduce((all, x) => all + all, 'x')",
        "l.reduce((all, x) => [...all, ...all], l)",
    ] {
        let expression = Expression::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(expression.evaluate(&|_| Some(list.clone())), None, "{text}");
    }
    let sums = Expression::parse("l.map(a => a + 1).filter(a => a > 1).length").expect("parses");
    assert_eq!(sums.evaluate(&|_| Some(list.clone())), Some(Value::Int(1000)));
}

proptest! {
    /// Neither the parser nor the evaluation panics, whatever the text.
    #[test]
    fn any_text_is_an_expression_or_an_error(text in "[a-z0-9 .,()\\[\\]{}?:+*/%<>=!&|`'\"$\\\\é-]{0,40}") {
        if let Ok(expression) = Expression::parse(&text) {
            let _ = expression.evaluate(&|name| Some(Value::from(name)));
        }
    }
}
