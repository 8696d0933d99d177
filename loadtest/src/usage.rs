//! What processes use, read from `/proc`; where there is none (another system, somebody else's server), nothing is claimed.

use std::{fs, time::Duration};

use serde::Serialize;

/// Kernel ticks in a second, as `/proc` counts them on every Linux.
const TICKS_PER_SECOND: u64 = 100;

/// What the target's processes used.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Usage {
    /// User and system time during the measurement, in seconds.
    pub cpu_seconds: f64,
    /// Resident memory before the first connection, in bytes.
    pub resident_bytes_before: u64,
    /// Resident memory at the end of the measurement, in bytes.
    pub resident_bytes: u64,
}

/// What process groups used up to now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sample {
    pub(crate) cpu: Duration,
    pub(crate) resident_bytes: u64,
}

/// The sum over all processes of these groups; `None` if there are none.
pub(crate) fn sample(groups: &[i32]) -> Option<Sample> {
    let mut sum: Option<Sample> = None;
    for entry in fs::read_dir("/proc").ok()?.flatten() {
        let folder = entry.path();
        let Ok(stat) = fs::read_to_string(folder.join("stat")) else { continue };
        let Some((group, cpu)) = group_and_cpu(&stat) else { continue };
        if groups.contains(&group) {
            let status = fs::read_to_string(folder.join("status")).unwrap_or_default();
            let sum = sum.get_or_insert_default();
            sum.cpu += cpu;
            sum.resident_bytes += resident_bytes(&status).unwrap_or(0);
        }
    }
    sum
}

/// Process group, user and system time. The name of the program stands in parentheses and may hold anything.
fn group_and_cpu(stat: &str) -> Option<(i32, Duration)> {
    let (_, after) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = after.split_whitespace().collect();
    let ticks: u64 = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    Some((fields.get(2)?.parse().ok()?, Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND)))
}

fn resident_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kibibytes| kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn group_and_time_are_read_past_a_strange_name() {
        let stat = "42 (a b) c) S 1 77 77 0 -1 4194560 1 0 0 0 150 25 0 0 20 0 4 0 100 1000 10 18446744073709551615";
        assert_eq!(group_and_cpu(stat), Some((77, Duration::from_millis(1750))));
        assert_eq!(resident_bytes("Name:\tx\nVmRSS:\t    2048 kB\n"), Some(2 << 20));
    }

    #[test]
    fn a_group_that_does_not_exist_uses_nothing_that_is_known() {
        assert_eq!(sample(&[i32::MAX]), None);
        assert_eq!(sample(&[]), None);
    }
}
