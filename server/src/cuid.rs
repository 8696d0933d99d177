//! Ids in the shape of a cuid: 24 letters and digits, a letter first. Made of random bits alone: each message costs one, and hashing a
//! clock and a counter with them, as the usual library does, costs more than all else that is done for it and hides nothing better.

use crate::chance;

const LETTERS: u64 = 26;
const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
const CHARACTERS: usize = 24;

/// An id that nobody else has, and nobody can guess: 123 random bits.
pub(crate) fn fresh<Id: for<'text> From<&'text str>>() -> Id {
    let chance = chance::bits();
    let [mut bits, rest] = [chance as u64, (chance >> u64::BITS) as u64]; // halves, since division of anything longer is slow
    let mut id = [0; CHARACTERS];
    id[0] = b'a' + u8::try_from(bits % LETTERS).expect("less than 26");
    bits /= LETTERS;
    for (place, character) in id.iter_mut().enumerate().skip(1) {
        if place == CHARACTERS / 2 {
            bits = rest;
        }
        *character = DIGITS[usize::try_from(bits % DIGITS.len() as u64).expect("less than 36")];
        bits /= DIGITS.len() as u64;
    }
    str::from_utf8(&id).expect("letters and digits").into()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_have_the_shape_of_a_cuid_and_differ_in_every_place() {
        let ids: Vec<String> = (0..1000).map(|_| fresh()).collect();
        for id in &ids {
            assert!(id.len() == 24 && id.starts_with(|first: char| first.is_ascii_lowercase()), "{id}");
            assert!(id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()), "{id}");
        }
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len());
        for place in 0..CHARACTERS {
            let seen: HashSet<u8> = ids.iter().map(|id| id.as_bytes()[place]).collect();
            assert!(seen.len() >= 20, "place {place} knows {} characters only", seen.len());
        }
    }
}
