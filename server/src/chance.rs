//! Random ids at the price of a message: from the thread's own generator (which the system seeds and which nobody can predict), because
//! asking the system for each costs more than all else that is done for one.

use uuid::{Builder, Uuid};

use crate::clock;

/// Random bits.
#[expect(clippy::disallowed_methods, reason = "ids of a server must not be guessed, so no run may repeat them")]
pub(crate) fn bits() -> u128 {
    rand::random()
}

/// 122 random bits.
pub(crate) fn uuid() -> Uuid {
    Builder::from_random_bytes(bits().to_ne_bytes()).into_uuid()
}

/// Random bits behind the present time, so that later ids are greater, as far as milliseconds tell.
pub(crate) fn timed_uuid() -> Uuid {
    let [bytes @ .., _, _, _, _, _, _] = bits().to_ne_bytes();
    Builder::from_unix_timestamp_millis(clock::unix_ms(), &bytes).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_say_their_kind_and_differ() {
        assert_eq!((uuid().get_version_num(), timed_uuid().get_version_num()), (4, 7));
        assert_ne!(uuid(), uuid());
        assert_ne!(timed_uuid(), timed_uuid());
    }
}
