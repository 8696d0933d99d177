//! The reader of frames, the session's state machine and the reader of requests under fire: whatever a client sends, nothing panics, nothing
//! grows beyond its bound, and it makes no difference in what pieces it comes.

use bytes::Bytes;
use chatwright_protocol::socket_io::Limits;
use http::Method;

use super::{
    request,
    talk::{Step, Talk},
    ws::{Broken, Heard, Reader},
};

#[path = "../../../../protocol/tests/fuzz/campaign.rs"]
mod campaign;

use campaign::{parts, run};

const MESSAGE_BYTES_MAX: usize = 256;

/// All messages up to the first mistake, fed in pieces of this size.
fn heard(input: &[u8], piece: usize) -> (Vec<Heard>, Option<Broken>) {
    let (mut reader, mut all) = (Reader::new(MESSAGE_BYTES_MAX), Vec::new());
    for bytes in input.chunks(piece.max(1)) {
        reader.feed(bytes);
        loop {
            match reader.next() {
                Ok(Some(heard)) => all.push(heard),
                Ok(None) => break,
                Err(broken) => return (all, Some(broken)),
            }
        }
    }
    (all, None)
}

#[test]
fn frames_are_read_or_refused_alike_in_whatever_pieces_they_come() {
    let words = ["\u{1}", "\u{2}", "\u{8}", "\u{9}", "\u{a}", "\u{80}", "~", "\u{7f}", "12", "2probe", "ä"];
    run(include_str!("fuzz/frames.txt"), &words, |input, seen| {
        let whole = heard(input, input.len());
        for heard in &whole.0 {
            seen.note(std::mem::discriminant(heard));
            let size = match heard {
                Heard::Text(text) => text.len(),
                Heard::Binary(bytes) | Heard::Ping(bytes) => bytes.len(),
                Heard::Pong | Heard::Close(_) => 0,
            };
            assert!(size <= MESSAGE_BYTES_MAX, "a message of {size} bytes");
        }
        seen.note(whole.1.as_ref().map(std::mem::discriminant));
        for piece in [1, 3, 16] {
            assert_eq!(heard(input, piece), whole, "in pieces of {piece}");
        }
    });
}

#[test]
fn nothing_that_is_said_gets_past_the_door_unasked() {
    let words = [
        "0",
        "1",
        "2",
        "3",
        "40",
        "41",
        "42",
        "43",
        "44",
        "451-",
        "/x,",
        "[\"x\"]",
        "{}",
        "{\"_placeholder\":true,\"num\":0}",
    ];
    run(include_str!("fuzz/talk.txt"), &words, |input, seen| {
        let limits = Limits { text_bytes_max: 2048, attachment_bytes_max: MESSAGE_BYTES_MAX, ..Limits::default() };
        let (mut talk, mut is_inside) = (Talk::new(limits), false);
        for part in parts(input) {
            let step = match part {
                Ok(text) => talk.text(&text),
                Err(bytes) => talk.binary(Bytes::copy_from_slice(bytes)),
            };
            seen.note(std::mem::discriminant(&step));
            match step {
                Step::Enter(_) => {
                    assert!(!is_inside, "entered twice");
                    talk.entered();
                    is_inside = true;
                }
                Step::Event { .. } => assert!(is_inside, "an event from outside"),
                Step::Leave => {
                    assert!(is_inside, "left from outside");
                    is_inside = false;
                }
                Step::EnterElsewhere(_) if !talk.refused() => break,
                Step::Nothing | Step::Pong | Step::EnterElsewhere(_) => {}
                Step::Close | Step::Broken(_) | Step::Said(_) => break,
            }
        }
    });
}

#[test]
fn a_request_is_understood_or_refused() {
    let words = ["EIO=4", "transport=polling", "transport=websocket", "sid=", "&", "=", "%", "%34", "__proto__", "ä"];
    run(include_str!("fuzz/queries.txt"), &words, |input, seen| {
        let query = String::from_utf8_lossy(input);
        for method in [Method::GET, Method::POST, Method::PUT] {
            for upgrades in [false, true] {
                match request::read(&method, &query, upgrades) {
                    Ok(ask) => seen.note(std::mem::discriminant(&ask)),
                    Err(refused) => seen.note(std::mem::discriminant(&refused)),
                }
            }
        }
    });
}
