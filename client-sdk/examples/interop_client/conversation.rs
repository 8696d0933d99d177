//! Everything that two Socket.IO ends can do to each other, done once; any misunderstanding is an error that names the step.
#![expect(clippy::wildcard_enum_match_arm, reason = "whatever was not expected is wrong")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use chatwright_client_sdk::{
    AckError, Auth, Client, Config, ConnectError, Direction, DisconnectReason, Reconnection, Socket, SocketEvent, Tap,
    Transports,
};
use chatwright_protocol::{engine_io::Frame, socket_io::Arg};
use serde_json::{Value, json};
use tokio::time::timeout;

/// How long each step may take.
const STEP: Duration = Duration::from_secs(5);
/// Heartbeats to sit through: the server pings several times a second.
const HEARTBEATS: Duration = Duration::from_millis(900);

type Outcome = Result<(), String>;

/// Holds the conversation; `say` hears the name of each step that succeeded.
pub(crate) async fn converse(url: &str, transports: Transports, say: &mut dyn FnMut(&str)) -> Outcome {
    let pings = Arc::new(AtomicUsize::new(0));
    let config = configure(url, transports, Arc::clone(&pings));
    let client = Client::connect(config).await.map_err(|error| format!("connect: {error}"))?;
    let auth = Auth::token("secret");
    let mut main = client.namespace("/", auth.clone()).await.map_err(|error| format!("open /: {error}"))?;
    let welcome = expect(&mut main, "welcome").await?;
    let greeted = welcome.first().and_then(Arg::as_json);
    check(
        "be welcomed with auth and query",
        greeted.is_some_and(|json| json["nsp"] == "/" && json["auth"]["token"] == "secret" && json["query"] == "täg &"),
    )?;
    say("connected with auth and query");
    events(&mut main).await?;
    say("events, text and binary");
    acknowledgements(&mut main).await?;
    say("acknowledgements both ways");
    namespaces(&client, &auth).await?;
    say("namespaces and connect errors");
    order(&mut main).await?;
    say("a thousand events in order");
    tokio::time::sleep(HEARTBEATS).await;
    let still = main.emitter().emit_with_ack("echo", vec![], STEP).await;
    check("stay alive by heartbeats", still.is_ok() && pings.load(Ordering::Relaxed) >= 2)?;
    say("heartbeats");
    reconnections(&mut main).await?;
    say("reconnection after a cut and after silence");
    main.emitter().emit("kick", vec![]).await.map_err(|error| format!("emit kick: {error}"))?;
    disconnected(&mut main, DisconnectReason::ServerDisconnect, false).await?;
    main.connect();
    connected(&mut main).await?;
    expect(&mut main, "welcome").await?;
    main.disconnect();
    disconnected(&mut main, DisconnectReason::ClientDisconnect, false).await?;
    say("no reconnection after a disconnect by either side");
    Ok(())
}

fn configure(url: &str, transports: Transports, pings: Arc<AtomicUsize>) -> Config {
    let quick = Duration::from_millis(50);
    let mut config = Config::new(url);
    config.transports = transports;
    config.query = vec![("tag".to_owned(), "täg &".to_owned())];
    config.reconnection = Some(Reconnection { delay_min: quick, delay_max: 4 * quick, ..Reconnection::default() });
    config.tap = Some(Tap::new(move |direction, frame| {
        if direction == Direction::Received && matches!(frame, Frame::Text(text) if text.starts_with('2')) {
            pings.fetch_add(1, Ordering::Relaxed);
        }
    }));
    config
}

async fn events(main: &mut Socket) -> Outcome {
    let args =
        vec![json!({"a": [1, -0.5, null, "\u{1f600}\u{2028}"], "b": {}}).into(), json!("x".repeat(70_000)).into()];
    main.emitter().emit("echo", args.clone()).await.map_err(|error| format!("emit text: {error}"))?;
    check("get text back as sent", expect(main, "echoed").await? == args)?;
    let bytes = |number: u8| Arg::from(Bytes::from(vec![number; 300]));
    let nested = Arg::object(vec![
        ("list".to_owned(), Arg::array(vec![bytes(1), json!(7).into()])),
        ("raw".to_owned(), bytes(2)),
    ]);
    let args = vec![json!("text").into(), nested, Bytes::new().into()];
    main.emitter().emit("echo", args.clone()).await.map_err(|error| format!("emit binary: {error}"))?;
    check("get binary back as sent", expect(main, "echoed").await? == args)
}

async fn acknowledgements(main: &mut Socket) -> Outcome {
    let args = vec![json!("ack").into(), Bytes::from_static(&[0, 255]).into()];
    let answer = main.emitter().emit_with_ack("echo", args.clone(), STEP).await;
    check("be acknowledged with the same arguments", answer == Ok(args.clone()))?;
    let short = Duration::from_millis(100);
    let none = main.emitter().emit_with_ack("ignore", vec![], short).await;
    check("time out without an acknowledgement", none == Err(AckError::Timeout(short)))?;
    let tracked =
        main.emitter().emit_tracked("echo", vec![]).await.map_err(|error| format!("emit tracked: {error}"))?;
    match next(main).await? {
        SocketEvent::Acknowledged { id, result } => {
            check("see the tracked answer", id == tracked && result == Ok(vec![]))?
        }
        other => return Err(format!("see the tracked answer, not {other:?}")),
    }
    main.emitter().emit("ask", args.clone()).await.map_err(|error| format!("emit ask: {error}"))?;
    match next(main).await? {
        SocketEvent::Event { name, args: asked, respond: Some(respond) } if name == "question" && asked == args => {
            respond.send(asked).await.map_err(|error| format!("answer: {error}"))?;
        }
        other => return Err(format!("be asked, not {other:?}")),
    }
    let mut expected = vec![Arg::from(json!("ok"))];
    expected.extend(args);
    check("have the answer understood", expect(main, "answered").await? == expected)
}

async fn namespaces(client: &Client, auth: &Auth) -> Outcome {
    let mut custom =
        client.namespace("/custom", auth.clone()).await.map_err(|error| format!("open /custom: {error}"))?;
    let welcome = expect(&mut custom, "welcome").await?;
    check(
        "be welcomed in /custom",
        welcome.first().and_then(Arg::as_json).is_some_and(|json| json["nsp"] == "/custom"),
    )?;
    let answer = custom.emitter().emit_with_ack("echo", vec![json!(1).into()], STEP).await;
    check("be acknowledged in /custom", answer == Ok(vec![json!(1).into()]))?;
    custom.disconnect();
    disconnected(&mut custom, DisconnectReason::ClientDisconnect, false).await?;
    let data = json!({"code": 42, "wanted": {"token": "secret"}});
    refused(client, "/refusing", auth, "no entry", Some(data)).await?;
    refused(client, "/nowhere", auth, "Invalid namespace", None).await
}

async fn refused(client: &Client, name: &str, auth: &Auth, words: &str, expected: Option<Value>) -> Outcome {
    match client.namespace(name, auth.clone()).await {
        Err(ConnectError::Refused { message, data }) => {
            check(&format!("be refused by {name} with words and data"), message == words && data == expected)
        }
        other => Err(format!("be refused by {name}: {other:?}")),
    }
}

async fn order(main: &mut Socket) -> Outcome {
    main.emitter().emit("burst", vec![json!(1000).into()]).await.map_err(|error| format!("emit burst: {error}"))?;
    for number in 1..=1000 {
        check("count to a thousand", expect(main, "numbered").await? == vec![json!(number).into()])?;
    }
    Ok(())
}

/// A cut by the server is noticed as it happens; silence is noticed by the watchdog. What is emitted meanwhile arrives afterwards.
async fn reconnections(main: &mut Socket) -> Outcome {
    main.emitter().emit("cut", vec![]).await.map_err(|error| format!("emit cut: {error}"))?;
    match next(main).await? {
        SocketEvent::Disconnected {
            reason: DisconnectReason::TransportClose | DisconnectReason::TransportError,
            reconnecting: true,
        } => {}
        other => return Err(format!("notice the cut, not {other:?}")),
    }
    main.emitter().emit("echo", vec![json!("kept").into()]).await.map_err(|error| format!("emit offline: {error}"))?;
    connected(main).await?;
    let mut seen = [expect_any(main).await?, expect_any(main).await?];
    seen.sort_unstable();
    check("be welcomed again and get what was emitted offline", seen == ["echoed", "welcome"])?;
    main.emitter().emit("mute", vec![]).await.map_err(|error| format!("emit mute: {error}"))?;
    disconnected(main, DisconnectReason::PingTimeout, true).await?;
    connected(main).await?;
    expect(main, "welcome").await.map(|_| ())
}

async fn next(socket: &mut Socket) -> Result<SocketEvent, String> {
    match timeout(STEP, socket.next()).await {
        Ok(Some(event)) => Ok(event),
        Ok(None) => Err("go on: the client is closed".to_owned()),
        Err(_) => Err("go on: nothing happens".to_owned()),
    }
}

async fn expect(socket: &mut Socket, expected: &str) -> Result<Vec<Arg>, String> {
    match next(socket).await? {
        SocketEvent::Event { name, args, respond: None } if name == expected => Ok(args),
        other => Err(format!("see {expected}, not {other:?}")),
    }
}

async fn expect_any(socket: &mut Socket) -> Result<String, String> {
    match next(socket).await? {
        SocketEvent::Event { name, .. } => Ok(name),
        other => Err(format!("see an event, not {other:?}")),
    }
}

async fn connected(socket: &mut Socket) -> Outcome {
    match next(socket).await? {
        SocketEvent::Connected { sid } if !sid.is_empty() => Ok(()),
        other => Err(format!("be connected again, not {other:?}")),
    }
}

async fn disconnected(socket: &mut Socket, expected: DisconnectReason, expected_to_return: bool) -> Outcome {
    match next(socket).await? {
        SocketEvent::Disconnected { reason, reconnecting }
            if reason == expected && reconnecting == expected_to_return =>
        {
            Ok(())
        }
        other => Err(format!("be disconnected by {expected}, not {other:?}")),
    }
}

fn check(step: &str, held: bool) -> Outcome {
    if held { Ok(()) } else { Err(step.to_owned()) }
}
