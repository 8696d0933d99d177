//! A comparison with one of everything, for the tests of its reports.

use std::time::Duration;

use crate::{
    differential::{Comparison, Difference, DifferenceKind, LeftOut, Seen, Side},
    outcome::{ClauseId, Level},
};

pub(crate) fn comparison() -> Comparison {
    let side = |target: &str, origin: &str| Side { target: target.to_owned(), origin: origin.to_owned() };
    let seen = |case: &str, line| Seen { case: case.to_owned(), line, step: "alice < error".to_owned() };
    let difference = |kind, clause: Option<(&str, Level)>, what: &str, first: &str, second: &str| Difference {
        kind,
        clause: clause.map(|(id, _)| ClauseId(id.to_owned())),
        level: clause.map(|(_, level)| level),
        words: "A refusal is told by `error {code, message}`.".to_owned(),
        what: what.to_owned(),
        first: first.to_owned(),
        second: second.to_owned(),
        seen: (1..=5).map(|line| seen("rooms/errors/refused", line)).collect(),
    };
    Comparison {
        first: side("our chat, Node 20", "our.toml"),
        second: side("chatwright reference server, in memory", "reference"),
        dialect: "rooms".to_owned(),
        version: "0.1.0".to_owned(),
        seed: 7,
        compared: 12,
        alike: 9,
        left_out: vec![LeftOut { case: "rooms/outage/redis".to_owned(), reason: "needs backend=redis".to_owned() }],
        differences: vec![
            difference(
                DifferenceKind::Ending,
                Some(("rooms/5.1", Level::Must)),
                "alice < new_message",
                "passes",
                "fails here: nothing",
            ),
            difference(
                DifferenceKind::Content,
                Some(("rooms/10.2", Level::Ref)),
                "error .message",
                "\"<b>no</b>\"",
                "\"missing\"",
            ),
            difference(DifferenceKind::Unasked, None, "typing", "sends it", "does not"),
        ],
        elapsed: Duration::from_millis(4200),
    }
}
