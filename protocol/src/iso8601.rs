//! Instants as JavaScript writes them (`Date.prototype.toISOString`): what dialects that show a time as text have on the wire.

/// `1_728_887_400_123` as `2024-10-14T06:30:00.123Z`.
#[must_use]
pub fn from_unix_ms(unix_ms: u64) -> String {
    let ms = i64::try_from(unix_ms).unwrap_or(i64::MAX);
    let (days, of_day) = (ms.div_euclid(86_400_000), ms.rem_euclid(86_400_000));
    let (year, month, day) = civil_from_days(days);
    let (hour, minute, second) = (of_day / 3_600_000, of_day / 60_000 % 60, of_day / 1000 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", of_day % 1000)
}

/// The milliseconds since the Unix epoch of an instant in UTC (`Z`), with or without a fraction; `None` for anything else.
#[must_use]
pub fn to_unix_ms(text: &str) -> Option<u64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let mut date = date.split('-').map(digits);
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let (clock, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let mut clock = clock.split(':').map(digits);
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    let in_range = (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second < 61;
    if date.next().is_some() || clock.next().is_some() || !in_range {
        return None;
    }
    digits(fraction)?;
    let thousandths = digits(&format!("{fraction:0<3}")[..3])?;
    let seconds = days_from_civil(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    u64::try_from(seconds * 1000 + thousandths).ok()
}

fn digits(text: &str) -> Option<i64> {
    let fine = !text.is_empty() && text.len() <= 9 && text.bytes().all(|byte| byte.is_ascii_digit());
    if fine { text.parse().ok() } else { None }
}

/// Howard Hinnant's algorithm: days since 1970-01-01 to the proleptic Gregorian calendar.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_shifted + 2) / 5 + 1;
    let month = if month_shifted < 10 { month_shifted + 3 } else { month_shifted - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// The same algorithm backwards.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year - era * 400;
    let month_shifted = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * month_shifted + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
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
    }

    #[test]
    fn what_is_no_instant_in_utc_is_not_read() {
        for text in
            ["", "Z", "now", "2024-10-14", "2024-10-14T06:30:00", "2024-13-14T06:30:00Z", "1969-12-31T23:59:59Z"]
        {
            assert_eq!(to_unix_ms(text), None, "{text}");
        }
    }
}
