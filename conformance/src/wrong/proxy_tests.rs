//! The proxy over real sockets, before the small server: what each rule does, seen from a client.

use std::{path::Path, time::Duration};

use super::{
    frames::{CLOSE, PING, RawFrame},
    tests::{Client, poll, polling, post, small, token},
    *,
};

/// The small server behind a proxy with these rules.
async fn proxied(rules: &str) -> (Target, Planted) {
    let text =
        format!("title = \"t\"\nclause = \"rooms/1.1\"\ncaught_by = [\"a\"]\n[proxy]\nbase = \"reference\"\n{rules}");
    let wrong = WrongServer::parse(Path::new("wrong/test.toml"), &text).expect("a good file");
    let Defect::Proxy { rules, .. } = wrong.defect else { panic!("no proxy") };
    let mut target = small(Misbehaviour::None).await;
    let upstream = Address::parse(target.instance(1).expect("one").main()).expect("an address");
    let proxy = proxy::Proxy::start(upstream, Arc::new(rules)).await.expect("it starts");
    let planted = Planted { rules: vec![Arc::clone(proxy.rules())] };
    target.reach_at(vec![Instance::new(1, [("socket".to_owned(), proxy.url())].into())]);
    target.keep(proxy);
    (target, planted)
}

fn rule(what: &str) -> String {
    format!("[[proxy.rule]]\n{what}\n")
}

#[tokio::test]
async fn a_proxy_without_fitting_rules_changes_nothing() {
    let (target, planted) = proxied(&rule("to = \"client\"\npacket = 'never said'\ndo = \"drop\"")).await;
    let mut alice = Client::joined(&target, "alice", "r").await;
    alice.send("r", "hi").await;
    assert_eq!(alice.message().await, "hi");
    let sid = polling(&target, "bob").await;
    assert_eq!(post(&target, &sid, "42[\"join_room\",{\"roomId\":\"q\"}]").await, "ok");
    assert!(poll(&target, &sid).await.contains("\u{1e}42[\"room_users\""));
    let (status, head, _) = Client::ask(&target, "GET /socket.io/?EIO=3&transport=polling", "", "").await;
    assert!(status == 400 && head.contains("content-type: application/json"));
    assert_eq!(planted.unused_rules(), [1]);
}

#[tokio::test]
async fn a_proxy_drops_and_doubles_the_matches_that_a_rule_means() {
    let rules =
        rule("to = \"client\"\npacket = '^42\\[\"new_message\".*\"message\":\"a'\nwhich = \"2\"\ndo = \"drop\"")
            + &rule("to = \"client\"\npacket = '^42\\[\"new_message\"'\nwhich = \"/2\"\ndo = \"duplicate\"");
    let (target, planted) = proxied(&rules).await;
    let mut alice = Client::joined(&target, "alice", "r").await;
    for text in ["a1", "a2", "a3", "b1", "b2"] {
        alice.send("r", text).await;
    }
    for expected in ["a1", "a3", "b1", "b2", "b2"] {
        assert_eq!(alice.message().await, expected);
    }
    assert!(alice.is_silent(Duration::from_millis(100)).await);
    assert!(planted.unused_rules().is_empty());
}

#[tokio::test]
async fn a_proxy_swaps_delays_and_rewrites() {
    let rules = rule("to = \"client\"\npacket = '\"message\":\"first\"'\ndo = \"swap\"")
        + &rule("to = \"client\"\npacket = '\"message\":\"late\"'\ndo = \"delay\"\nby = \"150ms\"")
        + &rule("to = \"server\"\npacket = '\"message\":\"(old)\"'\ndo = \"rewrite\"\nfind = 'old'\nwith = \"new\"")
        + &rule(
            "to = \"client\"\npacket = '\"message\":\"(mark)\"'\ndo = \"after\"\nwith = '42[\"new_message\",{\"message\":\"after $1\"}]'",
        );
    let (target, _) = proxied(&rules).await;
    let mut alice = Client::joined(&target, "alice", "r").await;
    for text in ["first", "second", "late", "third", "old", "mark"] {
        alice.send("r", text).await;
    }
    for expected in ["second", "first", "third", "new", "mark", "after mark", "late"] {
        assert_eq!(alice.message().await, expected);
    }
    alice.send("r", "first").await;
    assert_eq!(alice.message().await, "first", "held back, and let go when nothing follows");
}

#[tokio::test]
async fn a_proxy_rewrites_polling_and_leaves_no_empty_body() {
    let (target, _) =
        proxied(&rule("to = \"client\"\npacket = '^42\\[\"message_history\"'\nover = \"polling\"\ndo = \"drop\""))
            .await;
    let sid = polling(&target, "bob").await;
    post(&target, &sid, "42[\"join_room\",{\"roomId\":\"q\"}]").await;
    assert!(poll(&target, &sid).await.starts_with("42[\"room_users\""));
    let mut alice = Client::websocket(&target, "").await;
    alice.packet().await;
    alice.say(&format!("40{{\"token\":\"{}\"}}", token(&target, "alice"))).await;
    alice.packet().await;
    alice.say("42[\"join_room\",{\"roomId\":\"q\"}]").await;
    assert!(alice.packet().await.starts_with("42[\"message_history\""), "over a WebSocket the rule does not fit");
}

#[tokio::test]
async fn a_proxy_copies_to_everybody_else_closes_and_cuts() {
    let rules = rule("to = \"client\"\npacket = '\"message\":\"secret\"'\ndo = \"copy\"")
        + &rule("to = \"client\"\npacket = '\"message\":\"bye\"'\ndo = \"close\"\ncode = 1008")
        + &rule("to = \"server\"\npacket = '\"message\":\"cut\"'\ndo = \"cut\"");
    let (target, _) = proxied(&rules).await;
    let mut alice = Client::joined(&target, "alice", "r").await;
    let mut bob = Client::joined(&target, "bob", "other").await;
    alice.send("r", "secret").await;
    assert_eq!((alice.message().await, bob.message().await), ("secret".to_owned(), "secret".to_owned()));
    alice.send("r", "bye").await;
    let end = alice.next().await.expect("a close frame");
    assert_eq!((end.opcode, end.payload), (CLOSE, 1008_u16.to_be_bytes().to_vec()));
    bob.send("other", "cut").await;
    bob.is_cut_off().await;
}

#[tokio::test]
async fn a_proxy_rewrites_http_answers_requests_and_control_frames() {
    let rules = rule("to = \"client\"\nhttp = '^GET /health'\ndo = \"rewrite\"\npart = \"line\"\nwith = \"503\"")
        + &rule(
            "to = \"client\"\nhttp = '/history'\ndo = \"rewrite\"\nfind = '\"success\":true'\nwith = '\"success\":false'",
        )
        + &rule("to = \"server\"\nhttp = '/users'\ndo = \"rewrite\"\npart = \"header:Authorization\"\nwith = \"\"")
        + &rule("to = \"server\"\nhttp = '/message'\ndo = \"drop\"")
        + &rule("to = \"client\"\nframe = '^pong'\ndo = \"rewrite\"\nfind = 'ping me'\nwith = \"something else\"");
    let (target, planted) = proxied(&rules).await;
    assert_eq!(Client::ask(&target, "GET /health", "", "").await.0, 503);
    let bearer = format!("Authorization: {}\r\n", token(&target, "alice"));
    let (_, _, body) = Client::ask(&target, "GET /api/chat/r/history", &bearer, "").await;
    assert!(body.contains("\"success\":false"), "{body}");
    assert_eq!(Client::ask(&target, "GET /api/chat/r/users", &bearer, "").await.0, 401);
    assert_eq!(Client::ask(&target, "POST /api/chat/r/message", &bearer, "{}").await.0, 0);
    let mut client = Client::joined(&target, "bob", "r").await;
    client.frame(RawFrame::new(PING, "ping me", true)).await;
    assert_eq!(client.next().await.expect("a pong").payload, b"something else");
    assert!(planted.unused_rules().is_empty());
}
