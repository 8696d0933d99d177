//! What a run says: data for machines, and one page for people.

mod html;
mod plot;

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

use crate::{
    latency::{Measured, Series},
    ledger::Counts,
    requirement::{Figure, Requirement},
    returns::Returns,
    usage::Usage,
    verdict::{Judgement, Verdict},
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
    /// What the target's processes used, where they were started here.
    pub target_usage: Option<Usage>,
    /// What went wrong with connections, and with how many.
    pub troubles: BTreeMap<String, u64>,
    /// What became of sends and connections, where these were cut.
    pub returns: Option<Returns>,
    /// The requirements as typed.
    pub requirements: Vec<Requirement>,
    /// The verdict.
    pub judgement: Judgement,
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
    troubles: &'a BTreeMap<String, u64>,
    returns: Option<Returns>,
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
        let latency_us = Series::ALL
            .into_iter()
            .map(|(series, _)| {
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
            troubles: &self.troubles,
            returns: self.returns,
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
                | Figure::Late
                | Figure::Duplicated
                | Figure::OutOfOrder
                | Figure::Leaked
                | Figure::Connected
                | Figure::Deliveries => None,
            })
            .collect()
    }
}

impl fmt::Display for Report {
    /// What a reader of a terminal wants: the account, the latencies, each requirement, the verdict.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}: {} of {} connections in rooms of {}, {} messages in {:.1} s",
            self.target,
            self.connections_made,
            self.connections_planned,
            self.room_size,
            self.sent,
            self.elapsed_seconds
        )?;
        let counts = self.counts;
        writeln!(
            f,
            "deliveries  {} of {} expected; {} lost, {} late, {} duplicated, {} out of order, {} leaked",
            counts.delivered,
            counts.expected,
            counts.lost,
            counts.late,
            counts.duplicated,
            counts.out_of_order,
            counts.leaked
        )?;
        if let Some(returns) = &self.returns {
            writeln!(f, "cuts        {}", returns_words(returns, counts))?;
        }
        for (name, series) in [
            ("delivery", Series::Deliver),
            ("send lag", Series::SendLag),
            ("connect", Series::Connect),
            ("return", Series::Return),
            ("caught up", Series::CatchUp),
        ] {
            let total = self.measured.total(series);
            if total.is_empty() {
                continue;
            }
            write!(f, "{name:<10}")?;
            for percent in PERCENTILES {
                let name = if percent >= 100.0 { "max".to_owned() } else { format!("p{percent}") };
                write!(f, "  {name} {}", micros_words(total.value_at_percentile(percent)))?;
            }
            writeln!(f)?;
        }
        for (trouble, connections) in &self.troubles {
            writeln!(f, "trouble     {trouble} ({connections} connections)")?;
        }
        for reason in &self.judgement.invalid {
            writeln!(f, "invalid     {reason}")?;
        }
        for (judged, requirement) in self.judgement.requirements.iter().zip(&self.requirements) {
            writeln!(
                f,
                "{:<12} {:<16} measured {}",
                verdict_word(judged.verdict),
                judged.requirement,
                figure_words(requirement.figure, judged.value)
            )?;
        }
        write!(f, "seed {}; again: {}\n{}", self.seed, self.replay, verdict_word(self.judgement.verdict).to_uppercase())
    }
}

/// What became of sends and connections.
pub(crate) fn returns_words(returns: &Returns, counts: Counts) -> String {
    format!(
        "{} cuts killed {} connections; {} returns, {} of them with a gap, {} not back; caught up with {} deliveries; of the messages {} confirmed, {} refused, {} \
         unknown to their sender ({} deliveries of those)",
        returns.cuts,
        returns.connections_cut,
        returns.returns,
        returns.gaps,
        returns.not_back,
        returns.caught_up,
        returns.confirmed,
        returns.refused,
        returns.unknown,
        counts.unconfirmed
    )
}

/// A verdict in one word.
pub(crate) fn verdict_word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Fail => "fail",
        Verdict::Inconclusive => "inconclusive",
        Verdict::Invalid => "invalid",
    }
}

/// A figure with its unit.
pub(crate) fn figure_words(figure: Figure, value: f64) -> String {
    match figure {
        Figure::Percentile(_) | Figure::Max => duration_words(value),
        Figure::Connected => format!("{value:.2} %"),
        Figure::Deliveries => format!("{value:.0}/s"),
        Figure::Lost | Figure::Late | Figure::Duplicated | Figure::OutOfOrder | Figure::Leaked => format!("{value:.0}"),
    }
}

/// [`duration_words`] of a histogram's value.
#[expect(clippy::cast_precision_loss, reason = "microseconds of at most a minute")]
pub(crate) fn micros_words(micros: u64) -> String {
    duration_words(micros as f64)
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
