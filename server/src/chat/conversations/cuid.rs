//! Ids in the shape of a cuid: 24 letters and digits, a letter first. Made of random bits alone: a message costs two of them, and hashing
//! a clock and a counter with them, as the usual library does, costs more than all else that is done for it and hides nothing better.

use crate::chance;

const LETTERS: u64 = 26;
const LETTERS_AND_DIGITS: u32 = 36;
const CHARACTERS: usize = 24;

/// An id that nobody else has, and nobody can guess: 123 random bits.
pub(super) fn fresh() -> String {
    let chance = chance::bits();
    let [mut bits, rest] = [chance as u64, (chance >> u64::BITS) as u64]; // halves, since division of anything longer is slow
    let mut id = String::with_capacity(CHARACTERS);
    id.push(char::from(b'a' + u8::try_from(bits % LETTERS).expect("less than 26")));
    bits /= LETTERS;
    for place in 1..CHARACTERS {
        if place == CHARACTERS / 2 {
            bits = rest;
        }
        let digit = u32::try_from(bits % u64::from(LETTERS_AND_DIGITS)).expect("less than 36");
        bits /= u64::from(LETTERS_AND_DIGITS);
        id.push(char::from_digit(digit, LETTERS_AND_DIGITS).expect("a digit of this base"));
    }
    id
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
