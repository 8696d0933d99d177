//! Instants as JavaScript writes them (`Date.prototype.toISOString`): what dialects that show a time as text have on the wire.

use jiff::{Timestamp, fmt::temporal::DateTimePrinter};

/// Milliseconds, whatever they are.
const PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(3));

/// Milliseconds since the Unix epoch as text: `1_728_887_400_123` as `2024-10-14T06:30:00.123Z`.
///
/// A time beyond the year 9999 is written as the last one that can be.
#[must_use]
pub fn from_unix_ms(unix_ms: u64) -> String {
    let at = i64::try_from(unix_ms).ok().and_then(|unix_ms| Timestamp::from_millisecond(unix_ms).ok());
    PRINTER.timestamp_to_string(&at.unwrap_or(Timestamp::MAX))
}

/// The milliseconds since the Unix epoch that such a text means; `None` if it is no time, or one before 1970.
#[must_use]
pub fn to_unix_ms(text: &str) -> Option<u64> {
    text.parse::<Timestamp>().ok().and_then(|at| u64::try_from(at.as_millisecond()).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_written_as_javascript_writes_it_and_read_back() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_007, "2000-02-29T00:00:00.007Z"),
            (1_728_887_400_123, "2024-10-14T06:30:00.123Z"),
        ] {
            assert_eq!(from_unix_ms(ms), text);
            assert_eq!(to_unix_ms(text), Some(ms), "{text}");
        }
        assert_eq!(to_unix_ms("2024-10-14T06:30:00Z"), Some(1_728_887_400_000));
        assert_eq!(to_unix_ms("2024-10-14T06:30:00.123456Z"), Some(1_728_887_400_123));
        assert!(from_unix_ms(u64::MAX).starts_with("9999-12-3"), "the far future has an end");
    }

    #[test]
    fn what_is_no_instant_is_not_read() {
        for text in
            ["", "Z", "now", "2024-10-14", "2024-10-14T06:30:00", "2024-13-14T06:30:00Z", "1969-12-31T23:59:59Z"]
        {
            assert_eq!(to_unix_ms(text), None, "{text}");
        }
    }
}
