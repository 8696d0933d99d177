//! What a run says: data for machines, and one page for people.

mod html;
mod plot;

use serde::Serialize;

use crate::{
    latency::{Measured, Series},
    ledger::Counts,
    requirement::{Figure, Requirement},
    verdict::Judgement,
};

/// Everything about a finished run.
#[derive(Debug)]
pub struct Report {
    /// What was loaded.
    pub target: String,
    /// Its dialect.
    pub dialect: String,
    /// The version of chatwright.
    pub version: String,
    /// The seed of every random choice.
    pub seed: u64,
    /// The command that repeats the run.
    pub replay: String,
    /// Connections asked for and made.
    pub connections_planned: u32,
    /// Connections that stood.
    pub connections_made: u32,
    /// Members of each room.
    pub room_size: u32,
    /// Planned messages a second.
    pub rate: f64,
    /// Messages sent.
    pub sent: u64,
    /// Planned length in seconds.
    pub planned_seconds: f64,
    /// Real length in seconds.
    pub elapsed_seconds: f64,
    /// The sum of all accounts.
    pub counts: Counts,
    /// Histograms.
    pub measured: Measured,
    /// Share of all processors that the generator used.
    pub generator_cpu: Option<f64>,
    /// The target's processor seconds and resident bytes at the end, where its process is known.
    pub target_usage: Option<Usage>,
    /// The requirements as typed.
    pub requirements: Vec<Requirement>,
    /// The verdict.
    pub judgement: Judgement,
}

/// What the target's process used during the measurement.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Usage {
    /// User and system time in seconds.
    pub cpu_seconds: f64,
    /// Resident memory at the end, in bytes.
    pub resident_bytes: u64,
}

/// The percentiles that tables show.
pub(crate) const PERCENTILES: [f64; 6] = [50.0, 90.0, 95.0, 99.0, 99.9, 100.0];

#[derive(Serialize)]
struct JsonReport<'a> {
    target: &'a str,
    dialect: &'a str,
    version: &'a str,
    seed: u64,
    replay: &'a str,
    connections_planned: u32,
    connections_made: u32,
    room_size: u32,
    rate: f64,
    sent: u64,
    planned_seconds: f64,
    elapsed_seconds: f64,
    counts: Counts,
    /// Microseconds by series and percentile.
    latency_us: Vec<JsonSeries>,
    generator_cpu: Option<f64>,
    target_usage: Option<Usage>,
    judgement: &'a Judgement,
}

#[derive(Serialize)]
struct JsonSeries {
    series: Series,
    samples: u64,
    percentiles_us: Vec<(f64, u64)>,
}

impl Report {
    /// The report as JSON, indented.
    #[must_use]
    pub fn to_json(&self) -> String {
        let latency_us = [Series::Deliver, Series::SendLag, Series::Connect, Series::Join]
            .into_iter()
            .map(|series| {
                let total = self.measured.total(series);
                JsonSeries {
                    series,
                    samples: total.len(),
                    percentiles_us: PERCENTILES.iter().map(|p| (*p, total.value_at_percentile(*p))).collect(),
                }
            })
            .collect();
        let json = JsonReport {
            target: &self.target,
            dialect: &self.dialect,
            version: &self.version,
            seed: self.seed,
            replay: &self.replay,
            connections_planned: self.connections_planned,
            connections_made: self.connections_made,
            room_size: self.room_size,
            rate: self.rate,
            sent: self.sent,
            planned_seconds: self.planned_seconds,
            elapsed_seconds: self.elapsed_seconds,
            counts: self.counts,
            latency_us,
            generator_cpu: self.generator_cpu,
            target_usage: self.target_usage,
            judgement: &self.judgement,
        };
        serde_json::to_string_pretty(&json).expect("numbers and strings always serialise")
    }

    /// The report as one page that works offline.
    #[must_use]
    pub fn to_html(&self) -> String {
        html::page(self)
    }

    /// The bounds on delivery percentiles, as (percent, microseconds).
    pub(crate) fn percentile_bounds(&self) -> Vec<(f64, f64)> {
        self.requirements
            .iter()
            .filter_map(|requirement| match requirement.figure {
                Figure::Percentile(percent) => Some((percent, requirement.bound)),
                Figure::Max => Some((100.0, requirement.bound)),
                Figure::Lost
                | Figure::Duplicated
                | Figure::OutOfOrder
                | Figure::Leaked
                | Figure::Connected
                | Figure::Deliveries => None,
            })
            .collect()
    }
}

/// Microseconds for people: `840 µs`, `12.3 ms`, `1.20 s`.
#[must_use]
pub fn duration_words(micros: f64) -> String {
    if micros < 1e3 {
        format!("{micros:.0} µs")
    } else if micros < 1e6 {
        format!("{:.1} ms", micros / 1e3)
    } else {
        format!("{:.2} s", micros / 1e6)
    }
}

#[cfg(test)]
mod tests;
