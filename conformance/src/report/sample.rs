//! A run with one of everything, for the tests of the reports.

use std::time::Duration;

use crate::outcome::{
    About, CaseReport, ClauseId, ClauseReport, Entry, EntryKind, Failure, Level, NotJudged, Phase, RunReport,
    Transcript, Verdict,
};

const ECHO: &str = r#"# A message reaches every member of its room once, its sender too.
clause rooms/5.1 rooms/5.2
use alice, bob in $room
use alice, carol in $other
alice > send_message {"roomId": $room, "message": "hi"}
alice < new_message {"roomId": $room, "userId": $alice.id, "message": "hi", "timestamp": @millis} §5.1
bob   < new_message {"roomId": $room, "userId": $alice.id, "message": "hi"} §5.1
alice > send_message {"roomId": $other, "message": "fence"}
carol < new_message {"message": "fence"} §5.2
"#;

pub(super) fn id(clause: &str) -> ClauseId {
    ClauseId(clause.to_owned())
}

fn entry(ms: u64, actor: &str, kind: EntryKind, text: &str, line: u32) -> Entry {
    let line = (line > 0).then_some(line);
    Entry { at: Duration::from_millis(ms), actor: actor.to_owned(), kind, text: text.to_owned(), line }
}

fn talk() -> Transcript {
    use EntryKind::{Note, Received, Sent};
    let entries = vec![
        entry(0, "alice", Note, "connects", 3),
        entry(2, "alice", Sent, r#"join_room {"roomId":"r-7f3a"}"#, 3),
        entry(5, "alice", Received, "message_history []", 3),
        entry(5, "alice", Received, r#"room_users ["u-alice-7f3a"]"#, 3),
        entry(7, "bob", Note, "connects", 3),
        entry(9, "bob", Sent, r#"join_room {"roomId":"r-7f3a"}"#, 3),
        entry(12, "bob", Received, "message_history []", 3),
        entry(12, "bob", Received, r#"room_users ["u-alice-7f3a","u-bob-7f3a"]"#, 3),
        entry(13, "alice", Received, r#"user_joined {"roomId":"r-7f3a","userId":"u-bob-7f3a","username":"Bob"}"#, 3),
        entry(15, "carol", Note, "connects", 4),
        entry(20, "carol", Sent, r#"join_room {"roomId":"r-91c0"}"#, 4),
        entry(24, "carol", Received, r#"room_users ["u-alice-7f3a","u-carol-7f3a"]"#, 4),
        entry(30, "alice", Sent, r#"send_message {"roomId":"r-7f3a","message":"hi <b>there</b>"}"#, 5),
        entry(
            34,
            "bob",
            Received,
            r#"new_message {"roomId":"r-7f3a","userId":"u-alice-7f3a","username":"Alice","message":"hi <b>there</b>","timestamp":1795000000000,"messageId":"0199d7c4-52c8-7a3e-9a52-3f7f2f9a1c11","messageType":"text"}"#,
            7,
        ),
        entry(2034, "", Note, "the deadline of 2 s has passed", 0),
    ];
    Transcript { entries, ..Transcript::default() }
}

pub(super) fn case(name: &str, title: &str, clauses: &[&str], verdict: Verdict) -> CaseReport {
    CaseReport {
        name: name.to_owned(),
        title: title.to_owned(),
        source: ECHO.replace("A message reaches every member of its room once, its sender too.", title),
        clauses: clauses.iter().map(|clause| id(clause)).collect(),
        verdict,
        reason: None,
        failure: None,
        transcript: talk(),
        elapsed: Duration::from_millis(34),
        late: crate::outcome::Lateness::default(),
        attempts: 1,
        clocks: Vec::new(),
        proven: true,
        script: None,
    }
}

fn failure(phase: Phase, clause: &str, level: Level, got: &str) -> Failure {
    Failure {
        phase,
        line: 6,
        step:
            r#"alice < new_message {"roomId": $room, "userId": $alice.id, "message": "hi", "timestamp": @millis} §5.1"#
                .to_owned(),
        clause: id(clause),
        level,
        expected:
            r#"new_message {"roomId": "r-7f3a", "userId": "u-alice-7f3a", "message": "hi", "timestamp": @millis}"#
                .to_owned(),
        got: got.to_owned(),
        timed: false,
        why: if phase == Phase::Step && level == Level::Should { "item 2: surplus".to_owned() } else { String::new() },
    }
}

fn clause(citation: &str, level: Level, wire: bool, text: &str, cases: &[&str]) -> ClauseReport {
    ClauseReport {
        id: id(citation),
        level,
        wire,
        text: text.to_owned(),
        cases: cases.iter().map(|case| (*case).to_owned()).collect(),
    }
}

fn clauses() -> Vec<ClauseReport> {
    vec![
        clause(
            "rooms/1.1",
            Level::Must,
            true,
            "The service speaks Socket.IO at `/socket.io/` on a WebSocket.",
            &["rooms/carrier/websocket"],
        ),
        clause(
            "rooms/3.5",
            Level::Must,
            true,
            "The others get `user_joined {roomId,userId,username}`.",
            &["rooms/joining/told"],
        ),
        clause(
            "rooms/5.1",
            Level::Must,
            true,
            "Every member of a room receives `new_message` for each message sent to it, the sender too.",
            &["rooms/messages/echo"],
        ),
        clause("rooms/5.2", Level::Must, true, "Nobody outside the room hears it.", &["rooms/messages/echo"]),
        clause(
            "rooms/3.7",
            Level::Should,
            true,
            "A user with several connections in the room stands once in `room_users`.",
            &["rooms/joining/once"],
        ),
        clause("rooms/9.9", Level::Must, true, "A clause that no case names yet.", &[]),
        clause(
            "rooms/1.9",
            Level::Must,
            false,
            "Without other configuration the clocks are: connect timeout 10 s, ping timeout 60 s, ping interval 25 s.",
            &[],
        ),
        clause(
            "engine-io/3.1",
            Level::Must,
            true,
            "An unknown session id is answered with 400.",
            &["engine-io/polling/unknown-sid"],
        ),
    ]
}

pub(crate) fn report() -> RunReport {
    let mut echo = case(
        "rooms/messages/echo",
        "A message reaches every member of its room once, its sender too.",
        &["rooms/5.1", "rooms/5.2"],
        Verdict::Fail,
    );
    echo.failure = Some(failure(Phase::Step, "rooms/5.1", Level::Must, "nothing within 2 s"));
    echo.elapsed = Duration::from_millis(2040);
    let mut once = case(
        "rooms/joining/once",
        "A user with two connections stands once among the users of a room.",
        &["rooms/3.7"],
        Verdict::NonStrict,
    );
    once.failure =
        Some(failure(Phase::Step, "rooms/3.7", Level::Should, r#"room_users ["u-alice-7f3a", "u-alice-7f3a"]"#));
    let mut known =
        case("rooms/history/late", "History holds what was said before.", &["rooms/3.5"], Verdict::KnownFailure);
    known.reason = Some("no history before the next release".to_owned());
    known.failure = Some(failure(Phase::End, "rooms/3.5", Level::Must, r#"user_joined {"roomId": "r-7f3a"}"#));
    let mut surprise =
        case("rooms/rest/users", "The users of a room can be asked for.", &["rooms/3.5"], Verdict::UnexpectedPass);
    surprise.reason = Some("not built yet".to_owned());
    let mut idle =
        case("rooms/outage/redis", "Live delivery goes on while Redis is away.", &["rooms/5.1"], Verdict::NotRun);
    idle.reason = Some("needs backend=redis".to_owned());
    idle.transcript = Transcript::default();
    let mut unproven =
        case("engine-io/polling/unknown-sid", "An unknown session id is refused.", &["engine-io/3.1"], Verdict::Pass);
    unproven.proven = false;
    let mut cases = vec![
        unproven,
        case("rooms/carrier/websocket", "A conversation over a WebSocket.", &["rooms/1.1"], Verdict::Pass),
        case("rooms/joining/told [polling]", "The others are told who joined.", &["rooms/3.5"], Verdict::Pass),
        echo,
        once,
        known,
        surprise,
        idle,
    ];
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    RunReport {
        target: "our chat, Node 20".to_owned(),
        origin: "targets/our chat.toml".to_owned(),
        about: About {
            version: Some("2.1.0".to_owned()),
            language: Some("JavaScript".to_owned()),
            runtime: Some("Node 20, socket.io 4.8".to_owned()),
            url: None,
        },
        adapted: vec!["field `username` is `displayName` here".to_owned()],
        dialect: "rooms".to_owned(),
        shared_with: None,
        version: "0.1.0".to_owned(),
        cases_digest: "0123456789ab".to_owned(),
        seed: 7,
        strict: false,
        elapsed: Duration::from_millis(8_312),
        cases,
        clauses: clauses(),
        not_judged: vec![NotJudged {
            spec: "engine-io".to_owned(),
            what: "WebTransport".to_owned(),
            reason: "the judge speaks no QUIC".to_owned(),
        }],
    }
}
