//! The grammar as users meet it: what is read, what is printed back, and what the errors say.

use proptest::prelude::*;

use super::{
    Act, Arrives, Case, CaseError, ExpectMode, Pattern, StepAct, TextPattern, Value, parse_case, parse_steps,
    value::{Bounds, Call, Kind, Path, Piece, Template},
};

fn parsed(body: &str) -> Case {
    parse_case("a.case", "rooms/a", &format!("# A title.\nclause rooms/1.1\n{body}\n")).expect("this is a case")
}

fn refused(text: &str) -> CaseError {
    parse_case("a.case", "rooms/a", text).expect_err("this is no case")
}

/// Every form of step once; each line must come back as it is.
const ALL_STEPS: &str = r#"use alice, bob in $room
use carol
use dave in $room transport=polling
alice connects auth={"token": token(alice, exp=-1s, key=other, alg=none, drop=sub, claim.role="x")} nsp=/x transport=upgrade path=/p on=rest window=4096 header.Origin=http://a.example query.v=2 within 2s §rooms/1.1
alice tries
alice opens transport=polling
alice refused {"message": @string} within 1s §rooms/1.1
alice > send_message {"roomId": $room, "list": [1, -2.5, null, true], "t": "m ${alice.id}", "b": hex(00ff)} ack=7 nsp=/x
alice > "odd event" repeat("x", 4096)
alice > ack=$a "done"
alice > {"type": "auth", "at": now()}
alice < new_message|message {"roomId": $room, "n": @int(1..5)} ack=$a nsp=/x within 500ms after $timing.grace-100ms §socket-io/2.1
alice < ack=7 {= "ok": true}
alice <? error
alice <* user_joined [* $alice.id, $bob.id]
alice < message_history [+ {"message": ~"^a\d+\"$" as $m}]
alice & room_users [@id, @uuid | @hex24, !"x", !(null | @any as $y)]
alice never * {"secret": @string(1..)}
alice allow user_left
alice allow disconnected
alice allow disconnected instead
alice quiet 50ms §rooms/1.1
alice leaves nsp=/x
alice disconnected nsp=/x
alice upgrades
alice closed 1000|1001
alice sends packet 42["send_message",{"roomId":"${room}"}]
alice sends binary 00ff
alice sends text {"a":  1}
alice sends ping
alice sends pong late
alice sends close 1000 bye
alice sends frame fin=0 rsv=4 opcode=1 mask=0 length=99 hex(00ff)
alice sends bytes "GET / HTTP/1.1\r\n\r\n"
alice gets packet 40{"sid": @string}
alice gets packet 3probe
alice gets packet ~"^4"
alice gets binary 00ff
alice gets binary
alice gets text ok
alice gets ping
alice gets pong "late"
alice gets close 1002
alice gets end
alice gets bytes ~"^HTTP/1\.1 (?P<status>\d+)"
alice requests POST "/api/chat/${room}/message" on=rest header.X=y anonymous body={"message": "hi"}
bob requests GET /health
alice answered 200|4xx header.Content-Type=~"json" {"success": true} §rooms/1.1
bob answered 200 text=ok
alice dials /socket.io/?EIO=4 on=socket window=2048 header.Origin=x
bob dials tcp
alice drops
alice stops reading
alice resumes reading
alice returns within 3s
wait 1.5s
repeat $i 1..3
  repeat $k $i..$limits.text
    alice > x "m ${i} ${k}"
  end
end
retry within 5s
  alice requests GET /health
  alice answered 200
end
auth answers 503 user={"id": "x"} delay=50ms for=alice
target restarts 2
target stops 1 code=0 §rooms/17.3
backend redis listens "chat:*:read"
backend redis asked "GET ${room}" says null §rooms/1.1
backend redis asked ["PUBLISH", "chat", {"text": "two words"}] says 1
backend redis heard [* {"channel": "chat:a:read", "text": @any}] within 3s
target logged ![* ~$alice.token] within 1s §rooms/9.4
ear heard [+ ~"AUTH"]
backend redis pauses"#;

#[test]
fn every_step_is_read_and_printed_back() {
    let case = parsed(ALL_STEPS);
    let printed = case.to_string();
    let again = parse_case("a.case", "rooms/a", &printed).expect("what is printed can be read");
    assert_eq!(again.to_string(), printed);
    let body: Vec<&str> = printed.lines().skip(2).collect();
    let written: Vec<&str> = ALL_STEPS.lines().collect();
    for (printed, written) in body.iter().zip(&written) {
        assert_eq!(printed, &written.replace("wait 1.5s", "wait 1500ms").as_str());
    }
    assert_eq!(body.len(), written.len());
}

#[test]
fn the_published_json_names_every_step() {
    let json = parsed(ALL_STEPS).to_json();
    let steps = json["steps"].as_array().expect("steps");
    assert!(steps.iter().all(|step| step["do"].is_string() && step["text"].is_string()), "{json:#}");
    assert_eq!(steps[0]["actors"], serde_json::json!(["alice", "bob"]));
    assert_eq!(steps[7]["event"], "send_message");
    assert_eq!(steps[7]["args"][0]["b"], serde_json::json!({"$hex": "00ff"}));
    assert_eq!(steps[7]["args"][0]["t"], serde_json::json!({"$text": ["m ", {"$name": "alice.id"}]}));
}

#[test]
fn header_lines_comments_and_continued_lines_are_understood() {
    let text = "# Title.  \n# more words\nclause rooms/1.1 rooms/2.1  # why\nneeds exclusive instances=2\nwithin 3s\nmanual pings\nlet $x = fresh(\"a:b.*\")\n\n  alice > e \\\n    {\"a\": \"# no comment  # none\"}  # a comment\n";
    let case = parse_case("a.case", "rooms/a", text).expect("a case");
    assert_eq!(case.title, "Title.");
    assert_eq!(case.needs, ["exclusive", "instances=2"]);
    assert!(case.manual_pings);
    assert_eq!(case.lets.len(), 1);
    assert_eq!(case.steps[0].line, 9);
    assert_eq!(case.steps[0].act.to_string(), "alice > e {\"a\": \"# no comment  # none\"}");
}

#[test]
fn a_case_can_ask_for_an_instance_of_its_own() {
    let header = "# t\nclause rooms/1.1\nneeds port=5004 port.rest=5000\nlet $x = fresh()\nown instance may fail\nwith A={redis.port} B=\"${x} y\"\nwith C=\nwithout PORT REDIS_HOST\ndotenv D=4\n";
    let case = parse_case("a.case", "rooms/a", header).expect("a case");
    let own = case.own.as_ref().expect("asked for");
    assert!(own.may_fail);
    assert_eq!(own.with.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["A", "B", "C"]);
    assert_eq!(own.without, ["PORT", "REDIS_HOST"]);
    let printed = case.to_string();
    let again = parse_case("a.case", "rooms/a", &printed).expect("what is printed can be read");
    assert_eq!((again.own.as_ref(), again.to_string()), (Some(own), printed));
    assert_eq!(case.to_json()["ownInstance"]["without"], serde_json::json!(["PORT", "REDIS_HOST"]));
    for (line, words) in [
        ("with A=1", "`own instance` before"),
        ("own server", "`instance`"),
        ("own instance\nwith 1A=1", "name of a variable"),
        ("own instance\nwithout A-B", "name of a variable"),
        ("needs port=5004", "`own instance`"),
        ("needs port=0", "`port=N`"),
        ("own instance\ntarget kills 1 code=0", "only what `stops`"),
        ("alice > e\nown instance", "header line"),
    ] {
        let error = refused(&format!("# t\nclause rooms/1.1\n{line}\n"));
        assert!(error.message.contains(words), "`{line}` gives: {error}");
    }
}

#[test]
fn a_clause_mark_without_a_spec_means_the_spec_of_the_case() {
    let text = "# t\nclause engine-io/1.1\nalice < e §5.1\nalice < e §socket-io/2.1\n";
    let case = parse_case("a.case", "x/a", text).expect("a case");
    let marks: Vec<String> = case.steps.iter().map(|step| step.to_string()).collect();
    assert_eq!(marks, ["alice < e §engine-io/5.1", "alice < e §socket-io/2.1"]);
}

#[test]
fn a_group_belongs_to_the_line_above_it() {
    let case = parsed("alice < a\nalice & b §2.1\nbob < c");
    let StepAct::Actor { does: Act::Expects { mode: ExpectMode::Next, group }, .. } = &case.steps[0].act else {
        panic!("expected an expectation, got {}", case.steps[0]);
    };
    assert_eq!(group.iter().map(|one| one.line).collect::<Vec<_>>(), [3, 4]);
    assert_eq!(case.steps.len(), 2);
    let error = refused("# t\nclause rooms/1.1\nalice < a\nbob & b\n");
    assert!(error.message.contains('&'), "{error}");
}

#[test]
fn errors_name_the_place_and_what_was_expected_there() {
    let head = "# t\nclause rooms/1.1\n";
    let table: [(&str, u32, u32, &str); 26] = [
        ("alice < new_message {\"a\": %}", 3, 27, "expected a pattern, found `%}`"),
        ("alice < new_message {a: 1}", 3, 22, "a field's name in quotes"),
        ("alice < new_message {\"a\" 1}", 3, 26, "`:`"),
        ("alice > e [1, 2", 3, 16, "`,` or `]`"),
        ("alice > e \"open", 3, 11, "closing quote"),
        ("alice < e @sting", 3, 11, "@string"),
        ("alice < e ~\"(\"", 3, 11, "not a regular expression"),
        ("alice < e within 2 hours", 3, 18, "a duration"),
        ("alice < e $nobody", 3, 11, "`$nobody` is given nowhere"),
        ("alice speaks", 3, 7, "found `speaks`"),
        ("Alice > e", 3, 1, "a lower-case name"),
        ("target explodes 1", 3, 8, "restarts"),
        ("use alice in room", 3, 14, "a value"),
        ("alice connects transport=pigeon", 3, 26, "`websocket`"),
        ("alice connects colour=red", 3, 16, "`auth=`"),
        ("alice requests GET /x colour=red", 3, 23, "`body=JSON`"),
        ("alice answered 99", 3, 16, "a status"),
        ("alice answered 200 {} {}", 3, 23, "the end of the line"),
        ("alice sends binary 0ff", 3, 20, "even number"),
        ("alice sends frame opcode=16 x", 3, 19, "`opcode` from 0 to 15"),
        ("alice > e \"\\ud800\"", 3, 13, "surrogate"),
        ("repeat $i 1..3\nalice > e", 4, 1, "`end`"),
        ("end", 3, 1, "without a `repeat` or `retry`"),
        ("retry 5s\nend", 3, 7, "`within` and for how long"),
        ("retry within 5s\nalice > e", 4, 1, "`end`"),
        ("alice > e\nneeds control", 4, 1, "header line"),
    ];
    for (line, at, column, words) in table {
        let error = refused(&format!("{head}{line}\n"));
        assert!(error.message.contains(words), "`{line}` gives: {error}");
        assert_eq!((error.line, error.column), (at, column), "`{line}` gives:\n{error}");
    }
    for (text, words) in [
        ("alice > e\n", "says what it proves"),
        ("# t\nalice > e\n", "clause SPEC/NUMBER"),
        ("# t\nclause five\n", "a clause such as"),
        ("# t\nclause rooms/1.1\nneeds contrl\n", "`control`"),
        ("", "says what it proves"),
    ] {
        let error = refused(text);
        assert!(error.message.contains(words), "{text:?} gives: {error}");
    }
}

#[test]
fn an_error_shows_the_line_and_points_into_it() {
    let error = refused("# t\nclause rooms/1.1\nalice < e {\"a\": %}\n");
    let shown = "a.case:3:17: expected a pattern, found `%}`\n 3 | alice < e {\"a\": %}\n   |                 ^";
    assert_eq!(error.to_string(), shown);
}

fn name() -> impl Strategy<Value = String> {
    "[a-z][a-z0-9_]{0,5}"
}

fn path() -> impl Strategy<Value = Path> {
    prop::collection::vec(name(), 1..3).prop_map(Path)
}

fn template() -> impl Strategy<Value = Template> {
    let piece = prop_oneof![any::<String>().prop_map(Piece::Literal), path().prop_map(Piece::Name)];
    prop::collection::vec(piece, 0..3).prop_map(|pieces| {
        // Two literals in a row, or an empty one, are never written that way.
        let mut whole: Vec<Piece> = Vec::new();
        for piece in pieces {
            match (whole.last_mut(), piece) {
                (_, Piece::Literal(text)) if text.is_empty() => {}
                (Some(Piece::Literal(before)), Piece::Literal(text)) => before.push_str(&text),
                (_, piece) => whole.push(piece),
            }
        }
        Template(whole)
    })
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(|n| Value::Number(n.into())),
        prop::num::f64::NORMAL.prop_map(|n| Value::Number(serde_json::Number::from_f64(n).expect("finite"))),
        template().prop_map(Value::Text),
        path().prop_map(Value::Name),
        prop::option::of(template()).prop_map(|inside| Value::Call(Call::Fresh(inside))),
        prop::collection::vec(any::<u8>(), 0..4).prop_map(|b| Value::Call(Call::Hex(crate::datum::hex(&b)))),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
            prop::collection::vec((template(), inner), 0..4).prop_map(Value::Object),
        ]
    })
}

fn pattern() -> impl Strategy<Value = Pattern> {
    let bounds = (prop::option::of(0_u32..9), prop::option::of(0_u32..9)).prop_map(|(low, high)| Bounds {
        low: low.map(|n| Value::Number(n.into())),
        high: high.map(|n| Value::Number(n.into())),
    });
    // Lists and objects are patterns of their own; as values they would be read back as those.
    let scalar = value().prop_filter("scalar", |value| !matches!(value, Value::List(_) | Value::Object(_)));
    let leaf = prop_oneof![
        scalar.prop_map(Pattern::Value),
        (prop_oneof![Just(Kind::Any), Just(Kind::Int), Just(Kind::Uuid)], prop::option::of(bounds))
            .prop_map(|(kind, bounds)| Pattern::Kind { kind, bounds }),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            (any::<bool>(), prop::collection::vec((template(), inner.clone()), 0..3))
                .prop_map(|(exact, fields)| Pattern::Object { exact, fields }),
            prop::collection::vec(inner.clone(), 0..3).prop_map(Pattern::List),
            prop::collection::vec(inner.clone(), 0..3).prop_map(Pattern::Holds),
            inner.clone().prop_map(|inner| Pattern::Each(Box::new(inner))),
            inner.clone().prop_map(|inner| Pattern::Not(Box::new(inner))),
            (inner.clone(), name()).prop_map(|(inner, name)| Pattern::As(Box::new(inner), name)),
            prop::collection::vec(inner, 2..4).prop_map(Pattern::OneOf),
        ]
    })
}

proptest! {
    #[test]
    fn values_come_back_as_they_were(value in value()) {
        let steps = parse_steps("a", "rooms", &format!("each > e {value}")).map_err(|e| TestCaseError::fail(e.to_string()))?;
        let StepAct::Actor { does: Act::Emits { args, .. }, .. } = &steps[0].act else { panic!("an emit") };
        prop_assert_eq!(args, &vec![value]);
    }

    #[test]
    fn patterns_come_back_as_they_were(pattern in pattern()) {
        let steps = parse_steps("a", "rooms", &format!("each < e {pattern}")).map_err(|e| TestCaseError::fail(e.to_string()))?;
        let StepAct::Actor { does: Act::Expects { group, .. }, .. } = &steps[0].act else { panic!("an expectation") };
        let Arrives::Event { args, .. } = &group[0].what else { panic!("an event") };
        prop_assert_eq!(args, &vec![pattern]);
    }

    #[test]
    fn text_patterns_with_json_come_back_as_they_were(prefix in "[0-9a-z/,]{0,6}", pattern in pattern()) {
        let json = Pattern::Object { exact: false, fields: vec![(Template::literal("k"), pattern)] };
        let wanted = TextPattern::Json(Template::literal(&prefix), json);
        let steps = parse_steps("a", "rooms", &format!("each gets packet {wanted}")).map_err(|e| TestCaseError::fail(e.to_string()))?;
        prop_assert_eq!(steps[0].to_string(), format!("each gets packet {wanted}"));
    }

    #[test]
    fn arbitrary_text_is_a_case_or_an_error_but_never_a_panic(text in "(# t\nclause rooms/1.1\n)?[ -~\n§\u{e9}\\\\]{0,120}") {
        let _ = parse_case("a.case", "rooms/a", &text);
    }
}
