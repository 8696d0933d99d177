//! The result in a table: medians over the rounds, and the median of the ratios to the floor of the same round.

use std::fmt::Write as _;

use crate::{
    contender::{Contender, FLOOR},
    scene::{Load, Measured},
};

/// A contender and what is known of it.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) contender: Contender,
    /// One per round, unless it failed.
    pub(crate) measured: Vec<Measured>,
    /// Of memory, per idle connection.
    pub(crate) bytes: Option<f64>,
    /// Why no more was measured.
    pub(crate) failure: Option<String>,
}

impl Row {
    /// Of a contender that did not run yet.
    pub(crate) fn of(contender: Contender) -> Self {
        Self { contender, measured: Vec::new(), bytes: None, failure: None }
    }
}

/// A column of loads.
type Pick = fn(&Measured) -> &Load;

/// The table, and beneath it why something is missing. Medians are of the rounds that a contender came through.
pub(crate) fn text(rows: &[Row]) -> String {
    let mut out = String::from(
        "| server | | rooms of 10: µs CPU per delivery | × floor | p50 / p99 µs | rooms of 100 | × floor | p50 / p99 µs | flood | × floor | million/s | KiB per connection | lost | out of order | bytes |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    let floor = rows
        .iter()
        .find(|row| row.contender.name == FLOOR)
        .map(|row| &row.measured[..])
        .filter(|floor| !floor.is_empty());
    for Row { contender, measured, bytes, .. } in rows.iter().filter(|row| !row.measured.is_empty()) {
        let _ = write!(out, "| {} | {} ", contender.name, contender.what); // a String takes everything
        let picks: [Pick; 3] = [|m| &m.tens, |m| &m.hundreds, |m| &m.flood];
        for (index, pick) in picks.into_iter().enumerate() {
            let cost = |m: &Measured| pick(m).server_us;
            let ratio = floor.map_or_else(String::new, |floor| {
                format!("{:.2}", median(measured.iter().zip(floor).map(|(own, floor)| cost(own) / cost(floor))))
            });
            let _ = write!(out, "| {:.2} | {ratio} ", median(measured.iter().map(cost)));
            if index < 2 {
                let p50 = median(measured.iter().map(|m| pick(m).p50_us as f64));
                let p99 = median(measured.iter().map(|m| pick(m).p99_us as f64));
                let _ = write!(out, "| {p50:.0} / {p99:.0} ");
            }
        }
        let speed = median(measured.iter().map(|m| m.flood.per_second / 1e6));
        let kibibytes = bytes.map_or_else(String::new, |bytes| format!("{:.1}", bytes / 1024.0));
        let lost: u64 = measured.iter().map(|m| m.lost).sum();
        let disordered: u64 = measured.iter().map(|m| m.disordered + m.leaked).sum();
        let size = median(measured.iter().map(|m| m.tens.bytes));
        let _ = writeln!(out, "| {speed:.2} | {kibibytes} | {lost} | {disordered} | {size:.0} |");
    }
    let crowd = rows.iter().flat_map(|row| row.measured.iter().map(|m| m.tens.crowd_us));
    let closed: usize = rows.iter().flat_map(|row| row.measured.iter().map(|m| m.closed)).sum();
    let _ = writeln!(
        out,
        "\nThe crowd itself: {:.1} µs per delivery in rooms of 10. Connections closed by servers: {closed}.",
        median(crowd)
    );
    for Row { contender, measured, failure, .. } in rows {
        if let Some(why) = failure {
            let what = if measured.is_empty() { "Not measured" } else { "Not measured to the end" };
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
