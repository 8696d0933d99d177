//! What a protocol forbids outright, wherever in a case it is seen: the clause that says so.

use crate::outcome::ClauseId;

/// The beginning of what the wire says, and the clause that it breaks.
const CLAUSES: [(&str, &str); 16] = [
    ("a frame from the server is masked", "rfc6455/2.11"),
    ("a frame of ", "rfc6455/2.12"),
    ("Sec-WebSocket-Accept is ", "rfc6455/1.1"),
    ("101 without ", "rfc6455/1.10"),
    ("`sec-websocket-", "rfc6455/1.6"),
    ("a POST is answered ", "engine-io/3.2"),
    ("the first packet is no open packet", "engine-io/2.1"),
    ("an open packet without a `sid`", "engine-io/2.1"),
    ("the handshake's answer holds more", "engine-io/2.1"),
    ("a payload with something that is no packet", "engine-io/3.3"),
    ("a binary packet that is no base64", "engine-io/4.2"),
    ("a text frame that is no packet", "engine-io/4.3"),
    ("a text packet after ", "socket-io/4.1"),
    ("a binary message that belongs to no packet", "socket-io/4.1"),
    ("CONNECT without an object", "socket-io/1.1"),
    ("CONNECT_ERROR without an object", "socket-io/1.1"),
];

/// The clause that is broken by this, or the protocol as a whole where none says just that.
pub(super) fn clause(protocol: &str, what: &str) -> ClauseId {
    let of_protocol = |clause: &str| clause.split('/').next() == Some(protocol);
    let found = CLAUSES.iter().find(|(words, clause)| what.starts_with(words) && of_protocol(clause));
    ClauseId(found.map_or(protocol, |(_, clause)| clause).to_owned())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{fixtures::Fixtures, outcome::Level, suite::Suite};

    #[test]
    fn every_clause_exists_and_is_a_must() {
        let suite = Suite::load(&Fixtures::Embedded).expect("the suite is in order");
        let levels = suite.levels();
        for (words, clause) in CLAUSES {
            assert_eq!(levels.get(&ClauseId(clause.to_owned())), Some(&Level::Must), "{words}");
        }
        assert_eq!(CLAUSES.iter().map(|(words, _)| words).collect::<BTreeSet<_>>().len(), CLAUSES.len());
    }

    #[test]
    fn what_no_clause_says_is_told_of_the_protocol() {
        assert_eq!(clause("rfc6455", "a frame from the server is masked").0, "rfc6455/2.11");
        assert_eq!(clause("rfc6455", "the reserved opcode 3").0, "rfc6455");
        assert_eq!(clause("socket-io", "a POST is answered 3").0, "socket-io");
    }
}
