//! The rows of `spec/harper-rest.md` section 3.

use proptest::prelude::*;

use super::*;
use crate::query::{Direction, Select, SelectItem};

fn compare(name: &str, comparator: Comparator, value: impl Into<Value>) -> Compare {
    Compare::new(name.split('.').map(str::to_owned).collect(), comparator, value.into())
}

fn cast(name: &str, comparator: Comparator, value: &str) -> Compare {
    Compare { casting: Casting::Auto, ..compare(name, comparator, value) }
}

fn one(text: &str) -> Compare {
    match parse(text).expect(text).conditions.as_slice() {
        [Condition::Compare(compare)] => compare.clone(),
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn single_conditions() {
    use Comparator::*;
    for (text, expected) in [
        ("a=1", compare("a", Equals, "1")),
        ("a=", compare("a", Equals, "")),
        ("a", compare("a", Equals, "")),
        ("a=x+y%2Bz", compare("a", Equals, "x y+z")),
        ("a=b.c+d", compare("a", Equals, "b.c+d")),
        ("a===number:5", compare("a", Equals, "number:5")),
        ("a!==5", compare("a", NotEqual, "5")),
        ("a==5", cast("a", Equals, "5")),
        ("a=eq=5", cast("a", Equals, "5")),
        ("a!=5", cast("a", NotEqual, "5")),
        ("a=ne=5", cast("a", NotEqual, "5")),
        ("a<5", cast("a", Less, "5")),
        ("a<=5", cast("a", LessEqual, "5")),
        ("a>5", cast("a", Greater, "5")),
        ("a>=5", cast("a", GreaterEqual, "5")),
        ("a=lt=5", cast("a", Less, "5")),
        ("a=le=5", cast("a", LessEqual, "5")),
        ("a=gt=5", cast("a", Greater, "5")),
        ("a=ge=5", cast("a", GreaterEqual, "5")),
        ("a=greaterThan=5", cast("a", Greater, "5")),
        ("a=greater_than=5", cast("a", Greater, "5")),
        ("a=ct=x", cast("a", Contains, "x")),
        ("a=sw=x", cast("a", StartsWith, "x")),
        ("a=ew=x", cast("a", EndsWith, "x")),
        ("a=not_starts_with=x", cast("a", NotStartsWith, "x")),
        ("a==null", compare("a", Equals, Value::Null)),
        ("a==number:12.5", compare("a", Equals, 12.5)),
        ("a==number:$zz", compare("a", Equals, 1295i64)),
        ("a==boolean:true", compare("a", Equals, true)),
        ("a==boolean:yes", compare("a", Equals, false)),
        (
            "a==date:2024-01-05T20%3A07%3A27.955Z",
            compare("a", Equals, Value::Date(1_704_485_247_955.0)),
        ),
        ("a=gt=date:1602872124871", compare("a", Greater, Value::Date(1_602_872_124_871.0))),
        ("a==string:some%20text", compare("a", Equals, "some text")),
        ("a==Jo*", compare("a", StartsWith, "Jo")),
        ("a=eq=Jo*", compare("a", StartsWith, "Jo")),
        ("a==*", compare("a", StartsWith, "")),
        ("a==*Jo*", compare("a", StartsWith, "*Jo")),
        ("a==Jo%2A", cast("a", Equals, "Jo*")),
        ("a=Jo*", compare("a", Equals, "Jo*")),
        ("a.b.c=1", compare("a.b.c", Equals, "1")),
        ("a[]=1", compare("a", Equals, "1")),
        ("[a=f(x)]", compare("a", Equals, "f(x)")),
        ("((a=1))", compare("a", Equals, "1")),
    ] {
        assert_eq!(one(text), expected, "{text}");
    }
    assert_eq!(one("a%2Eb.c=1").attribute, ["a.b", "c"]);
    let list = one("a=in=(1,number:2,x)");
    assert_eq!(list.comparator, In);
    assert_eq!(list.value, Value::Array(vec!["1".into(), Value::Int(2), "x".into()]));
    assert_eq!(one("a=includes=()").value, Value::Array(vec![]));
    assert_eq!(one("[a=between=(1,2)]").comparator, Between);
}

#[test]
fn groups_and_joiners() {
    use Comparator::Equals;
    let leaf = |name: &str| Condition::Compare(compare(name, Equals, "1"));
    let group = |operator, conditions| Condition::Group { operator, conditions };
    for (text, operator, conditions) in [
        ("", Operator::And, vec![]),
        ("&a=1&&b=1&", Operator::And, vec![leaf("a"), leaf("b")]),
        ("a=1|b=1", Operator::Or, vec![leaf("a"), leaf("b")]),
        ("a=1|limit(5)&b=1", Operator::And, vec![leaf("a"), leaf("b")]),
        ("a=1|b=1&limit(5)", Operator::Or, vec![leaf("a"), leaf("b")]),
        (
            "a=1&(b=1|c=1)",
            Operator::And,
            vec![leaf("a"), group(Operator::Or, vec![leaf("b"), leaf("c")])],
        ),
        (
            "[a=1&(b=1|c=1)]|d=1",
            Operator::Or,
            vec![
                group(
                    Operator::And,
                    vec![leaf("a"), group(Operator::Or, vec![leaf("b"), leaf("c")])],
                ),
                leaf("d"),
            ],
        ),
    ] {
        let query = parse(text).expect(text);
        assert_eq!((query.operator, query.conditions), (operator, conditions), "{text}");
    }
}

#[test]
fn chained_ranges() {
    let low = Condition::Compare(cast("age", Comparator::GreaterEqual, "10"));
    let high = Condition::Compare(cast("age", Comparator::LessEqual, "20"));
    let both = vec![low, high];
    assert_eq!(parse("age=ge=10&=le=20").expect("a range").conditions, both);
    let alternative = parse("age=ge=10&=le=20|b=1").expect("a range or something else");
    assert_eq!(alternative.operator, Operator::Or);
    let group = Condition::Group { operator: Operator::And, conditions: both };
    assert_eq!(alternative.conditions[0], group);
}

#[test]
fn calls() {
    let item = |name: &str| SelectItem { name: name.into(), nested: None };
    let items = |names: &[&str]| names.iter().map(|name| item(name)).collect::<Vec<_>>();
    let select = |text: &str| parse(text).expect(text).select.expect(text);
    assert_eq!(select("select(a)"), Select::Single("a".into()));
    assert_eq!(select("select(a,)"), Select::Properties(items(&["a"])));
    assert_eq!(select("select(a,b%2Cc)"), Select::Properties(items(&["a", "b,c"])));
    assert_eq!(select("select([a,b])"), Select::Tuple(items(&["a", "b"])));
    assert_eq!(select("select(*)"), Select::Properties(items(&["*"])));
    for text in ["select(rel{a,b},c)", "select(rel[select(a,b)],c)"] {
        let nested = Some(Box::new(Select::Properties(items(&["a", "b"]))));
        let rel = SelectItem { name: "rel".into(), nested };
        assert_eq!(select(text), Select::Properties(vec![rel, item("c")]), "{text}");
    }
    let bounds = |text: &str| parse(text).map(|query| (query.offset, query.limit)).expect(text);
    assert_eq!(bounds("limit(5)"), (0, Some(5)));
    assert_eq!(bounds("limit(10,30)"), (10, Some(20)));
    assert_eq!(bounds("limit(30,10)"), (30, Some(0)));
    let sort = parse("sort(+a,-b.c,d)").expect("a sort").sort;
    let keys: Vec<_> = sort.iter().map(|key| (key.attribute.join("."), key.direction)).collect();
    let [a, b, d] = ["a", "b.c", "d"].map(str::to_owned);
    let ascending = Direction::Ascending;
    assert_eq!(keys, [(a, ascending), (b, Direction::Descending), (d, ascending)]);
}

#[test]
fn errors_say_what_and_where() {
    for (text, reason, position) in [
        ("(a=1", "expected ')'", 4),
        ("[a=1", "expected ']'", 4),
        ("[a=1)", "expected ']'", 5),
        ("a=1)", "unexpected token ')'", 3),
        ("a=1]", "unexpected token ']'", 3),
        ("(a=1)b=2", "expected operator, but encountered 'b=2'", 5),
        ("(a)", "expected operator", 2),
        ("a&b>1", "no attribute", 1),
        ("()", "no attribute", 1),
        ("=5", "attribute must be specified", 0),
        ("a=1&=2", "attribute must be specified", 4),
        (">5", "attribute must be specified", 0),
        ("a.=5", "attribute must be specified", 0),
        ("a=1&b=2|c=3", "Can not mix operators within a condition grouping", 7),
        ("foo(a)", "unknown query function call foo", 0),
        ("group-by(a)", "not implemented", 0),
        ("a=zz=5", "Unknown query comparator \"zz\"", 2),
        ("a==foo:5", "Unknown type foo", 3),
        ("a==number:x", "'number:x' is not a number", 3),
        ("é.b==J*o", "wildcard can only be used at the end of a string", 5),
        ("a=in=5", "\"in\" comparator requires an array value", 5),
        ("a=in=(5", "expected ')'", 7),
        ("a=between=(1)", "array of two values", 10),
        ("limit(x)", "limit expects", 6),
        ("limit(1,2,3)", "limit expects", 6),
        ("limit(1", "expected ')'", 7),
        ("sort()", "attribute must be specified", 5),
        ("select()", "attribute must be specified", 7),
        ("select(a{b)", "expected '}'", 10),
        ("a=ge=1&=ge=2", "only less than and greater than", 7),
        ("a=1&==2", "only less than and greater than", 4),
        ("a=ge=1&=le=2&=le=3", "Multiple chained conditions", 12),
        ("a<%ff", "UTF-8", 5),
    ] {
        let error = parse(text).expect_err(text);
        assert_eq!(error.status(), 400);
        let message = error.message;
        assert!(message.starts_with("Unable to parse query, "), "{message}");
        assert!(message.contains(reason), "{message}");
        assert!(message.ends_with(&format!("at position {position} in '{text}'")), "{message}");
    }
    let deep = parse(&"(".repeat(100_000)).expect_err("too deep");
    assert!(deep.message.contains("nest too deep"));
    assert!(parse(&format!("select({}", "a{".repeat(100_000))).is_err());
}

proptest! {
    #[test]
    fn never_panics(text in "(a|b|é|[0-9]|[()\\[\\]{}&|=<>!.,:*%+-]|select\\(|limit\\(|sort\\(|=in=\\(|&=le=){0,24}") {
        let _ = parse(&text);
    }

    #[test]
    fn never_panics_on_anything(text in any::<String>()) {
        let _ = parse(&text);
    }

    #[test]
    fn encoded_text_is_never_syntax(name in ".{1,8}", value in ".{0,8}") {
        use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
        let encode = |text| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let expected = Compare::new(vec![name.clone()], Comparator::Equals, Value::String(value.clone()));
        prop_assert_eq!(one(&format!("{}={}", encode(&name), encode(&value))), expected.clone());
        prop_assert_eq!(one(&format!("{}==={}", encode(&name), encode(&value))), expected);
    }
}
