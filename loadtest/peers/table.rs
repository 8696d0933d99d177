//! The result in a table: medians over the turns, and the median of the ratios to the floor in the same turn.

use std::fmt::Write as _;

use crate::{
    contender::{Contender, FLOOR},
    scene::{Faults, KINDS, Kind, Load},
};

/// A contender and what is known of it.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) contender: Contender,
    /// One per turn of each of [`KINDS`], unless it failed.
    pub(crate) loads: [Vec<Load>; KINDS.len()],
    /// One per round, unless it failed.
    pub(crate) faults: Vec<Faults>,
    /// Of memory, per idle connection.
    pub(crate) bytes: Option<f64>,
    /// Why no more was measured.
    pub(crate) failure: Option<String>,
}

impl Row {
    /// Whether anything is known of it.
    pub(crate) fn is_measured(&self) -> bool {
        self.loads.iter().all(|turns| !turns.is_empty())
    }

    /// Of a contender that did not run yet.
    pub(crate) fn of(contender: Contender) -> Self {
        Self { contender, loads: Default::default(), faults: Vec::new(), bytes: None, failure: None }
    }
}

/// The table, and beneath it why something is missing. Medians are of the rounds that a contender came through.
pub(crate) fn text(rows: &[Row]) -> String {
    let mut out = String::from(
        "| server | | rooms of 10: µs CPU per delivery | × floor | p50 / p99 µs | rooms of 100 | × floor | p50 / p99 µs | flood | × floor | million/s | KiB per connection | lost | out of order | bytes |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    let floor = rows.iter().find(|row| row.contender.name == FLOOR).map(|row| &row.loads);
    for Row { contender, loads, faults, bytes, .. } in rows.iter().filter(|row| row.is_measured()) {
        let _ = write!(out, "| {} | {} ", contender.name, contender.what); // a String takes everything
        for (index, (kind, turns)) in KINDS.iter().zip(loads).enumerate() {
            let ratios = floor.into_iter().flat_map(|floor| turns.iter().zip(&floor[index]));
            let ratio = median(ratios.map(|(own, floor)| own.server_us / floor.server_us));
            let ratio = if ratio.is_nan() { String::new() } else { format!("{ratio:.2}") };
            let _ = write!(out, "| {:.2} | {ratio} ", median(turns.iter().map(|turn| turn.server_us)));
            if let Kind::Paced { .. } = kind {
                let p50 = median(turns.iter().map(|turn| turn.p50_us as f64));
                let p99 = median(turns.iter().map(|turn| turn.p99_us as f64));
                let _ = write!(out, "| {p50:.0} / {p99:.0} ");
            }
        }
        let [tens, .., flood] = loads;
        let speed = median(flood.iter().map(|turn| turn.per_second / 1e6));
        let kibibytes = bytes.map_or_else(String::new, |bytes| format!("{:.1}", bytes / 1024.0));
        let lost: u64 = faults.iter().map(|faults| faults.lost).sum();
        let disordered: u64 = faults.iter().map(|faults| faults.disordered + faults.leaked).sum();
        let size = median(tens.iter().map(|turn| turn.bytes));
        let _ = writeln!(out, "| {speed:.2} | {kibibytes} | {lost} | {disordered} | {size:.0} |");
    }
    let crowd = rows.iter().flat_map(|row| row.loads[0].iter().map(|turn| turn.crowd_us));
    let closed: usize = rows.iter().flat_map(|row| row.faults.iter().map(|faults| faults.closed)).sum();
    let _ = writeln!(
        out,
        "\nThe crowd itself: {:.1} µs per delivery in rooms of 10. Connections closed by servers: {closed}.",
        median(crowd)
    );
    for row @ Row { contender, failure, .. } in rows {
        if let Some(why) = failure {
            let what = if !row.is_measured() { "Not measured" } else { "Not measured to the end" };
            let _ = writeln!(out, "{what}: {}, which failed twice ({why}).", contender.name);
        }
    }
    out
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => values[count / 2],
        count => f64::midpoint(values[count / 2 - 1], values[count / 2]),
    }
}
