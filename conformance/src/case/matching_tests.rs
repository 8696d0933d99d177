//! What matches what, and how a mismatch is explained.

use std::time::Duration;

use super::{
    Act, Arrives, Bindings, Mismatch, Path, Pattern, Scope, StepAct, TokenCall, eval, match_pattern, match_text,
    parse_steps,
};
use crate::datum::Datum;

const NOW: u64 = 1_800_000_000_000;

struct Fixed;

impl Scope for Fixed {
    fn lookup(&self, path: &Path) -> Option<Datum> {
        match path.0.join(".").as_str() {
            "alice.id" => Some(Datum::Text("a-1".to_owned())),
            "limits.text" => Some(Datum::Number(4.into())),
            _ => None,
        }
    }
    fn clock(&self, name: &str) -> Option<Duration> {
        (name == "grace").then_some(Duration::from_secs(10))
    }
    fn token(&self, _: &TokenCall) -> Result<String, String> {
        Err("none here".to_owned())
    }
    fn fresh(&self, inside: Option<&str>) -> String {
        format!("fresh {}", inside.unwrap_or_default())
    }
    fn now_ms(&self) -> u64 {
        NOW
    }
}

fn pattern(text: &str) -> Pattern {
    let steps = parse_steps("a", "rooms", &format!("each < e {text}")).expect("a pattern");
    let StepAct::Actor { does: Act::Expects { group, .. }, .. } = &steps[0].act else { panic!("an expectation") };
    let Arrives::Event { args, .. } = &group[0].what else { panic!("an event") };
    args[0].clone()
}

fn datum(json: &str) -> Datum {
    serde_json::from_str::<serde_json::Value>(json).expect("JSON").into()
}

fn matched(text: &str, json: &str) -> Result<Bindings, Mismatch> {
    let mut bound = Bindings::new();
    match_pattern(&pattern(text), &datum(json), &Fixed, &mut bound).map(|()| bound)
}

#[test]
fn patterns_match_what_the_grammar_says() {
    let near = format!("{}", NOW - 5 * 60 * 1000);
    let far = format!("{}", NOW - 11 * 60 * 1000);
    let table: Vec<(&str, &str, bool)> = vec![
        (r#"{"a": 1}"#, r#"{"b": 2, "a": 1.0}"#, true),
        (r#"{= "a": 1}"#, r#"{"b": 2, "a": 1}"#, false),
        (r#"{= "a": 1}"#, r#"{"a": 1}"#, true),
        (r#"{"a": 1}"#, r#"{"a": "1"}"#, false),
        (r#"{"a": !@any}"#, r#"{"b": 1}"#, true),
        (r#"{"a": !"x"}"#, r#"{}"#, true),
        (r#"{"a": !"x"}"#, r#"{"a": "x"}"#, false),
        ("[1, 2]", "[1, 2]", true),
        ("[1, 2]", "[2, 1]", false),
        ("[1]", "[1, 2]", false),
        ("[* 2, 1]", "[1, 5, 2]", true),
        ("[* 2, 2]", "[1, 2]", false),
        ("[*]", "[]", true),
        ("[+ @int]", "[1, 2]", true),
        ("[+ @int]", "[]", false),
        ("[+ @int]", "[1, \"2\"]", false),
        ("@string(1..3)", "\"äöü\"", true),
        ("@string(1..3)", "\"\"", false),
        ("@string(..$limits.text)", "\"abcde\"", false),
        ("@array(2)", "[1, 2]", true),
        ("@int", "1.5", false),
        ("@int", "3.0", true),
        ("@number(..0)", "0.5", false),
        ("@millis", near.as_str(), true),
        ("@millis", far.as_str(), false),
        ("@millis", "\"2026\"", false),
        ("@uuid", "\"018f4e2a-7b1c-7def-8abc-0123456789ab\"", true),
        ("@uuid", "\"018f4e2a\"", false),
        ("@hex24", "\"0123456789abcdef01234567\"", true),
        ("@id", "\"\"", false),
        ("$alice.id", "\"a-1\"", true),
        (r#""is ${alice.id}""#, "\"is a-1\"", true),
        (r#"~"^a-\d$""#, "\"a-1\"", true),
        (r#"~"^a-\d$""#, "17", false),
        ("1 | \"x\" | null", "null", true),
        ("!(1 | 2)", "2", false),
        ("[@any as $x, $x]", "[\"q\", \"q\"]", true),
        ("[@any as $x, $x]", "[\"q\", \"r\"]", false),
    ];
    for (pattern, json, expected) in table {
        assert_eq!(matched(pattern, json).is_ok(), expected, "{pattern} against {json}");
    }
}

#[test]
fn captures_are_bound_in_order_and_only_by_the_branch_that_matched() {
    let bound = matched(r#"{"a": @int as $n, "b": ~"(?P<word>\w+)!"}"#, r#"{"a": 4, "b": "hey!"}"#).expect("matches");
    assert_eq!(bound, [("n".to_owned(), datum("4")), ("word".to_owned(), datum("\"hey\""))]);
    let bound = matched("[@int as $x, 9] | [@int as $y, 2]", "[1, 2]").expect("matches");
    assert_eq!(bound, [("y".to_owned(), datum("1"))]);
}

#[test]
fn a_mismatch_names_the_path_and_both_sides() {
    let why = matched(r#"{"list": [@any, {"id": $alice.id}]}"#, r#"{"list": [0, {"id": "b"}]}"#).expect_err("differs");
    assert_eq!(why.to_string(), r#".list[1].id: expected "a-1", got "b""#);
    let why = matched(r#"{"id": @string}"#, "{}").expect_err("differs");
    assert_eq!(why.to_string(), ".id: expected @string, got nothing: the field is absent");
    let why = matched("$nobody", "1").expect_err("differs");
    assert!(why.to_string().contains("$nobody has no value"), "{why}");
}

#[test]
fn the_text_of_a_packet_may_go_on_as_json() {
    let text_pattern = |text: &str| {
        let steps = parse_steps("a", "rooms", &format!("each gets packet {text}")).expect("a text pattern");
        let StepAct::Actor { does: Act::Gets(super::Incoming::Packet(pattern), _), .. } = &steps[0].act else {
            panic!("gets")
        };
        pattern.clone()
    };
    let check =
        |pattern: &str, got: &str| match_text(&text_pattern(pattern), got, &Fixed, &mut Bindings::new()).is_ok();
    assert!(check(r#"40{"sid": @string}"#, r#"40{"sid":"x","pid":"y"}"#));
    assert!(!check(r#"40{"sid": @string}"#, r#"40{"sid":1}"#));
    assert!(!check(r#"40{"sid": @string}"#, r#"41{"sid":"x"}"#));
    assert!(!check(r#"40{"sid": @string}"#, "40nonsense"));
    assert!(check("3probe", "3probe"));
    assert!(!check("3probe", "3probe2"));
    assert!(check(r#"42["a", [* 1]]"#, r#"42["a",[3,1]]"#));
    assert!(check("4${alice.id}", "4a-1"));
}

#[test]
fn functions_make_values_and_say_why_they_cannot() {
    let value = |text: &str| {
        let steps = parse_steps("a", "rooms", &format!("each > e {text}")).expect("a value");
        let StepAct::Actor { does: Act::Emits { args, .. }, .. } = &steps[0].act else { panic!("an emit") };
        eval(&args[0], &Fixed)
    };
    assert_eq!(value(r#"repeat("ab", 3)"#), Ok(datum("\"ababab\"")));
    assert_eq!(value("repeat(hex(00ff), 2)"), Ok(Datum::Bytes(vec![0, 255, 0, 255])));
    assert_eq!(value("now()"), Ok(datum(&NOW.to_string())));
    assert_eq!(value(r#"fresh("a:b")"#), Ok(datum("\"fresh a:b\"")));
    assert!(value("repeat(\"x\", 99999999999)").is_err_and(|why| why.contains("bearable")));
    assert!(value("token(alice)").is_err_and(|why| why == "none here"));
}
