//! Ids of 24 hex digits, for the dialects whose documents have them: the seconds since the Unix epoch, then chance.

use crate::{chance, clock};

/// An id that nobody else has: 2^64 of them in one second are enough for everybody. Grows with time, by the second; says nothing else.
#[must_use]
pub fn object_id() -> String {
    let seconds = u32::try_from(clock::unix_ms() / 1000).unwrap_or(u32::MAX);
    format!("{seconds:08x}{:016x}", chance::bits() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_24_hex_digits_and_is_nobody_elses() {
        let ids: std::collections::BTreeSet<String> = (0..1000).map(|_| object_id()).collect();
        assert_eq!(ids.len(), 1000);
        assert!(ids.iter().all(|id| id.len() == 24 && id.bytes().all(|byte| byte.is_ascii_hexdigit())));
    }
}
