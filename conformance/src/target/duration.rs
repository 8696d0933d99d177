//! Durations as people write them (`250ms`, `10s`, `1.5m`, `7d`), because target files are read by people.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de::Error};

/// The longest duration that anything here may ask for; longer ones are typing errors.
const DURATION_MAX: Duration = Duration::from_secs(366 * 24 * 3600);

/// Reads `250ms`, `10s`, `1.5m`, `2h` or `7d`.
///
/// # Errors
/// A sentence that says what was expected.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let scale = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => {
            return Err(format!(
                "`{text}` is no duration; write a number and a unit, such as \"250ms\", \"10s\" or \"2m\""
            ));
        }
    };
    let number: f64 =
        number.parse().map_err(|_| format!("`{text}` is no duration; write it like \"250ms\", \"10s\" or \"2m\""))?;
    match Duration::try_from_secs_f64(number * scale) {
        Ok(duration) if duration <= DURATION_MAX => Ok(duration),
        Ok(_) | Err(_) => Err(format!("`{text}` is longer than a year; write a shorter duration")),
    }
}

/// Writes a duration the way [`parse_duration`] reads it.
#[must_use]
pub fn show_duration(duration: Duration) -> String {
    let ms = duration.as_millis();
    if ms == 0 {
        return "0ms".to_owned();
    }
    for (unit, scale) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)] {
        if ms.is_multiple_of(scale) {
            return format!("{}{unit}", ms / scale);
        }
    }
    format!("{ms}ms")
}

/// A duration inside a target file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Written(pub(super) Duration);

impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let text = String::deserialize(input)?;
        parse_duration(&text).map(Written).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_with_their_unit() {
        for (text, ms) in
            [("250ms", 250), ("10s", 10_000), ("1.5m", 90_000), ("2h", 7_200_000), ("7d", 604_800_000), ("0s", 0)]
        {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
    }

    #[test]
    fn a_number_without_a_unit_is_refused_with_advice() {
        for text in ["10", "", "s", "10 apples", "1..5s", "999999999999999999999d", "400d"] {
            let refusal = parse_duration(text).expect_err(text);
            assert!(refusal.contains("write"), "{refusal}");
        }
    }

    #[test]
    fn a_duration_is_written_as_it_is_read() {
        for text in ["250ms", "10s", "90s", "2m", "7d"] {
            assert_eq!(show_duration(parse_duration(text).expect("valid")), if text == "90s" { "90s" } else { text });
        }
    }
}
