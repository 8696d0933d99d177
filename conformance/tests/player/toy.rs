//! A server that does what the case tells it: `say` makes it send packets, `bytes` raw bytes, `cut` ends it. So a case can play a
//! server that is wrong in exactly one way, and the test asks what the judge says about it.

use std::{collections::BTreeMap, fs, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chatwright_conformance::{
    fixtures::Fixtures,
    outcome::{CaseReport, RunReport},
    run::{NoObserver, RunConfig, RunError, run},
    suite::Suite,
    target::{Control, Instance, Target, TargetFile},
};
use sha1::{Digest, Sha1};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

const DIALECT: &str = r#"
name = "toy"
carrier = "socket.io"
path = "/socket.io/"
[timing]
deadline = "400ms"
[alias]
hello = ["hi"]
[preamble.in]
steps = '''
each connects
each > say ["42[\"joined\",\"${room}\"]"]
each < joined $room §2.1
'''
[preamble.guarded]
params = []
steps = '''
each connects
each never repeat-me {"of": $each.id}
each allow repeat-me {"to": $each.id}
'''
[fence]
steps = '''
each > say ["42[\"fence\",\"${fence}\"]"]
each < fence $fence
'''
"#;

const SPEC: &str = "**1.1** [MUST, document, wire] Must.\n\n**1.2** [SHOULD, ruling, wire] Should.\n\n**1.3** [REF, ruling, wire] Reference.\n\n**2.1** [MUST, safety, wire] Joined.\n";

/// The same server, spoken to in bare JSON frames.
const JSON_DIALECT: &str = r#"
name = "toy"
carrier = "websocket"
path = "/chat"
[timing]
deadline = "400ms"
[connect]
steps = '''
each dials /chat
each answered 101
each gets text 0{"sid": @string}
'''
[fence]
steps = '''
each > {"say": ["{\"fence\":\"${fence}\"}"]}
each < {"fence": $fence}
'''
"#;

/// A suite with these cases, by name.
fn suite(dialect: &str, cases: &[(&str, &str)]) -> Suite {
    let folder = tempfile::tempdir().expect("a temporary folder");
    write(folder.path(), "dialects/toy/dialect.toml", dialect);
    write(folder.path(), "dialects/toy/SPEC.md", SPEC);
    for (name, text) in cases {
        write(folder.path(), &format!("dialects/toy/cases/{name}.case"), text);
    }
    Suite::load(&Fixtures::Folder(folder.path().to_owned())).expect("the cases are well-formed")
}

fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().expect("a file has a folder")).expect("a folder can be made");
    fs::write(path, text).expect("a file can be written");
}

/// Runs these cases against the toy server; `more` is added to its target file.
pub(crate) async fn try_run(cases: &[(&str, &str)], more: &str, config: RunConfig) -> Result<RunReport, RunError> {
    try_controlled(cases, more, config, None).await
}

/// The same with a control over the toy.
pub(crate) async fn try_controlled(
    cases: &[(&str, &str)],
    more: &str,
    config: RunConfig,
    control: Option<Arc<dyn Control>>,
) -> Result<RunReport, RunError> {
    let address = serve().await;
    let text = format!("name = \"toy\"\ndialect = \"toy\"\n[[instance]]\nsocket = \"http://{address}\"\n{more}");
    let file = TargetFile::parse(Path::new("toy.toml"), &text).expect("a target file");
    let listeners = BTreeMap::from([("socket".to_owned(), format!("http://{address}"))]);
    let target = Target::attached(&file, vec![Instance::new(1, listeners)], control, (None, None));
    let dialect = if more.contains("# json") { JSON_DIALECT } else { DIALECT };
    run(&suite(dialect, cases), &config, &target, &NoObserver).await
}

/// Runs one case in the dialect of bare JSON frames.
pub(crate) async fn judge_json(body: &str) -> CaseReport {
    let text = format!("# A case.\nclause toy/1.1\n{body}\n");
    let report = try_run(&[("one", &text)], "# json\n", RunConfig::default()).await.expect("it runs");
    report.cases.into_iter().next().expect("one case")
}

/// Runs one case, whose header is made here.
pub(crate) async fn judge(body: &str) -> CaseReport {
    let text = format!("# A case.\nclause toy/1.1\n{body}\n");
    let report = try_run(&[("one", &text)], "", RunConfig::default()).await.expect("it runs");
    report.cases.into_iter().next().expect("one case")
}

async fn serve() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(connection(stream));
        }
    });
    address
}

async fn connection(mut stream: TcpStream) -> Option<()> {
    let mut head = Vec::new();
    while !head.windows(4).any(|w| w == b"\r\n\r\n") {
        if stream.read_buf(&mut head).await.ok()? == 0 {
            return None;
        }
    }
    let text = String::from_utf8_lossy(&head).into_owned();
    let Some(key) = text.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")) else {
        return answer(&mut stream, &text).await;
    };
    let accept = STANDARD.encode(Sha1::digest(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11")));
    let head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.ok()?;
    let open = r#"0{"sid":"engine-sid","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#;
    send(&mut stream, open).await?;
    let mut buffer = Vec::new();
    loop {
        while let Some(text) = frame(&mut buffer) {
            obey(&mut stream, &text).await?;
        }
        if stream.read_buf(&mut buffer).await.ok()? == 0 {
            return None;
        }
    }
}

/// An HTTP answer that repeats the request's first line.
async fn answer(stream: &mut TcpStream, head: &str) -> Option<()> {
    let line = head.lines().next()?;
    let body = serde_json::json!({"asked": line, "token": head.contains("Authorization: ")}).to_string();
    let status = if line.contains("/missing") { "404 Not Found" } else { "200 OK" };
    let text = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(text.as_bytes()).await.ok()
}

async fn obey(stream: &mut TcpStream, packet: &str) -> Option<()> {
    if packet.starts_with('{') {
        let order: serde_json::Value = serde_json::from_str(packet).ok()?;
        for text in order["say"].as_array()? {
            send(stream, text.as_str()?).await?;
        }
        return Some(());
    }
    if packet.starts_with("40") {
        let refused = packet.contains("\"refuse\"");
        return send(stream, if refused { r#"44{"message":"no"}"# } else { r#"40{"sid":"socket-sid"}"# }).await;
    }
    let digits: String = packet.chars().skip(2).take_while(char::is_ascii_digit).collect();
    let event: serde_json::Value = serde_json::from_str(packet.get(2 + digits.len()..)?).ok()?;
    match event[0].as_str()? {
        "say" => {
            for packet in event[1].as_array()? {
                send(stream, packet.as_str()?).await?;
            }
        }
        "later" => {
            tokio::time::sleep(Duration::from_millis(event[1].as_u64()?)).await;
            send(stream, event[2].as_str()?).await?;
        }
        "bytes" => {
            let bytes: Vec<u8> = event[1].as_array()?.iter().filter_map(|b| u8::try_from(b.as_u64()?).ok()).collect();
            stream.write_all(&bytes).await.ok()?;
        }
        "repeat-me" => send(stream, &format!("42{event}")).await?,
        "cut" => return None,
        _ => {}
    }
    if digits.is_empty() { Some(()) } else { send(stream, &format!("43{digits}[\"done\"]")).await }
}

async fn send(stream: &mut TcpStream, text: &str) -> Option<()> {
    let mut frame = vec![0x81];
    match u8::try_from(text.len()) {
        Ok(short) if short < 126 => frame.push(short),
        _ => {
            frame.push(126);
            frame.extend(u16::try_from(text.len()).ok()?.to_be_bytes());
        }
    }
    frame.extend(text.as_bytes());
    stream.write_all(&frame).await.ok()
}

/// The payload of the next whole frame of a client.
fn frame(buffer: &mut Vec<u8>) -> Option<String> {
    let (start, length) = match *buffer.get(1)? & 0x7F {
        126 => (4, usize::from(u16::from_be_bytes([*buffer.get(2)?, *buffer.get(3)?]))),
        short => (2, usize::from(short)),
    };
    if buffer.len() < start + 4 + length {
        return None;
    }
    let key = buffer[start..start + 4].to_vec();
    let payload: Vec<u8> =
        buffer[start + 4..start + 4 + length].iter().zip(key.iter().cycle()).map(|(b, k)| b ^ k).collect();
    buffer.drain(..start + 4 + length);
    String::from_utf8(payload).ok()
}
