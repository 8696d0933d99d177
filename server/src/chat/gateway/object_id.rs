//! Ids of 24 hex digits, for the dialects whose documents have them: the seconds since the Unix epoch, then chance.

use crate::{chance, clock};

/// Random bytes of an id: 2^64 of them in one second are enough for everybody.
const CHANCE_BYTES: usize = 8;

/// An id that nobody else has. Grows with time, by the second; says nothing else.
#[must_use]
pub fn object_id() -> String {
    let seconds = u32::try_from(clock::unix_ms() / 1000).unwrap_or(u32::MAX);
    let chance = chance::uuid().as_u128().to_le_bytes();
    let mut id = format!("{seconds:08x}");
    for byte in &chance[..CHANCE_BYTES / 2] {
        id.push_str(&format!("{byte:02x}"));
    }
    // The version and variant bits of a UUID stand in its middle: they are left out.
    for byte in &chance[chance.len() - CHANCE_BYTES / 2..] {
        id.push_str(&format!("{byte:02x}"));
    }
    id
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
