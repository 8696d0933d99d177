//! Bodies of polling: several packets, joined by a separator, taken apart, judged by the rules and put together again.

use std::{sync::Arc, time::Duration};

use super::{
    Relay,
    session::{Session, Step},
};
use crate::wrong::rule::{Direction, Transport};

const SEPARATOR: char = '\u{1e}';
/// What a body holds when nothing is left to send: Engine.IO's packet that means nothing.
pub(super) const NOOP: &str = "6";
const CLOSE: &str = "1";

/// A body after the rules.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Body {
    pub(super) packets: Vec<String>,
    /// How long it has to wait.
    pub(super) wait: Duration,
    /// The connection is cut instead.
    pub(super) cut: bool,
}

impl Body {
    pub(super) fn text(&self) -> String {
        self.packets.join(&SEPARATOR.to_string())
    }
}

/// Applies the rules to each packet of a body. Over polling, a delay is a wait of the whole body: nothing can overtake.
pub(super) fn rewrite(relay: &Relay, session: &Arc<Session>, direction: Direction, body: &str) -> Body {
    let mut done = Body::default();
    for packet in body.split(SEPARATOR) {
        relay.tells(session, direction, Transport::Polling, packet);
        let steps = session.decide(&relay.rules, direction, Transport::Polling, packet.to_owned());
        let mut sent = false;
        for step in steps {
            match step {
                Step::Send(packet) => {
                    if direction == Direction::Client {
                        session.passed(&packet);
                    }
                    done.packets.push(packet);
                    sent = true;
                }
                Step::Later(by, packet) => {
                    done.wait += by;
                    done.packets.push(packet);
                }
                Step::Wait(by) => done.wait += by,
                Step::Hold(packet) => done.packets.extend(session.hold(direction, packet)),
                Step::Copy(packet) => relay.copy_to_others(session, &packet),
                Step::Cut => done.cut = true,
                Step::Close(_) => done.packets.push(CLOSE.to_owned()),
            }
        }
        if sent {
            done.packets.extend(session.held(direction));
        }
    }
    if direction == Direction::Client {
        done.packets.extend(session.given());
        if done.packets.is_empty() {
            done.packets.push(NOOP.to_owned());
        }
    }
    done
}
