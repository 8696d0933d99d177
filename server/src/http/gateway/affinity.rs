//! Which upstream has which Engine.IO session: a polling client must always reach the one that opened it.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard},
};

/// Sessions remembered in one generation. With two generations the newest so many are known, and a session in use is always among them.
const SESSIONS_PER_GENERATION: usize = 50_000;

/// Bounded memory of sessions, by their id: the least recently used are forgotten.
#[derive(Debug, Default)]
pub(super) struct Affinity {
    generations: Mutex<Generations>,
}

#[derive(Debug, Default)]
struct Generations {
    young: HashMap<String, usize>,
    old: HashMap<String, usize>,
}

impl Affinity {
    /// Remembers that this upstream has the session.
    pub(super) fn remember(&self, session: &str, upstream: usize) {
        self.generations().put(session.to_owned(), upstream);
    }

    /// Who has the session, if it is known.
    pub(super) fn of(&self, session: &str) -> Option<usize> {
        let mut generations = self.generations();
        if let Some(upstream) = generations.young.get(session) {
            return Some(*upstream);
        }
        let (session, upstream) = generations.old.remove_entry(session)?;
        generations.put(session, upstream);
        Some(upstream)
    }

    fn generations(&self) -> MutexGuard<'_, Generations> {
        self.generations.lock().expect("no code panics while it holds the sessions")
    }
}

impl Generations {
    fn put(&mut self, session: String, upstream: usize) {
        if self.young.len() >= SESSIONS_PER_GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(session, upstream);
    }
}

/// The session that an Engine.IO open packet announces: `0{"sid":"..."}`, perhaps with more packets behind it.
pub(super) fn announced(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?.strip_prefix('0')?;
    let open = text.split('\u{1e}').next()?;
    let open: serde_json::Value = serde_json::from_str(open).ok()?;
    Some(open.get("sid")?.as_str()?.to_owned())
}

/// The value of a query's field, as it stands.
pub(super) fn field<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_in_use_outlives_many_that_are_not() {
        let affinity = Affinity::default();
        affinity.remember("mine", 1);
        for number in 0..3 * SESSIONS_PER_GENERATION {
            affinity.remember(&number.to_string(), 0);
            if number % 1000 == 0 {
                assert_eq!(affinity.of("mine"), Some(1));
            }
        }
        assert_eq!(affinity.of("mine"), Some(1));
        assert_eq!(affinity.of("0"), None);
    }

    #[test]
    fn the_session_is_read_from_the_open_packet() {
        assert_eq!(announced(br#"0{"sid":"abc","upgrades":[]}"#).as_deref(), Some("abc"));
        assert_eq!(announced("0{\"sid\":\"abc\"}\u{1e}40".as_bytes()).as_deref(), Some("abc"));
        assert_eq!(announced(b"6"), None);
        assert_eq!(field("EIO=4&sid=abc&t=1", "sid"), Some("abc"));
        assert_eq!(field("EIO=4&asid=abc", "sid"), None);
    }
}
