//! Times as JSON dates: ISO 8601 in UTC with milliseconds, the way JavaScript writes a `Date`.

use jiff::Timestamp;

/// Milliseconds since the Unix epoch as text, e.g. `2024-11-16T10:30:00.000Z`.
///
/// A time beyond the year 9999 is written as the last one that can be.
#[must_use]
pub fn to_iso(at_ms: u64) -> String {
    let at = i64::try_from(at_ms).ok().and_then(|at_ms| Timestamp::from_millisecond(at_ms).ok());
    format!("{:.3}", at.unwrap_or(Timestamp::MAX))
}

/// The milliseconds since the Unix epoch that such a text means; `None` if it is no time, or one before 1970.
#[must_use]
pub fn from_iso(text: &str) -> Option<u64> {
    text.parse::<Timestamp>().ok().and_then(|at| u64::try_from(at.as_millisecond()).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_comes_back_as_it_was_written_with_its_milliseconds() {
        assert_eq!(to_iso(1_731_753_000_000), "2024-11-16T10:30:00.000Z");
        assert_eq!(to_iso(1_731_753_000_007), "2024-11-16T10:30:00.007Z");
        assert_eq!(from_iso("2024-11-16T10:30:00Z"), Some(1_731_753_000_000));
        assert_eq!(from_iso(&to_iso(1_731_753_000_007)), Some(1_731_753_000_007));
    }

    #[test]
    fn what_is_no_time_is_none_and_the_far_future_has_an_end() {
        assert_eq!(from_iso("yesterday"), None);
        assert_eq!(from_iso("1960-01-01T00:00:00Z"), None);
        assert!(to_iso(u64::MAX).starts_with("9999-12-3"));
    }
}
