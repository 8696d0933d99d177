//! The page: verdict first, then requirements, then the plots, then every figure.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{PERCENTILES, Report, figure_words, micros_words, plot, returns_words, verdict_word};
use crate::{latency::Series, requirement::Figure, usage::Usage, verdict::Judged};

const STYLE: &str = include_str!("report.css");

pub(super) fn page(report: &Report) -> String {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "Load on " (report.target) ": " (verdict_word(report.judgement.verdict)) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    (head(report))
                    (requirements(report))
                    section {
                        h2 { "Percentile spectrum" }
                        p .note { "Each nine takes the same width. Latency counts from the intended send, so a stalled server cannot hide." }
                        figure { (PreEscaped(plot::spectrum(report))) }
                    }
                    section {
                        h2 { "Over time" }
                        figure { (PreEscaped(plot::over_time(report))) }
                    }
                    (account(report))
                    (series(report))
                    footer {
                        p { "Repeat: " code { (report.replay) } }
                        p { "chatwright " (report.version) ", seed " (report.seed) }
                    }
                }
            }
        }
    }
    .into_string()
}

fn head(report: &Report) -> Markup {
    let deliver = report.measured.total(Series::Deliver);
    html! {
        header {
            p .eyebrow { "chatwright load · " (report.dialect) }
            h1 { (report.target) }
            p class={ "verdict " (verdict_word(report.judgement.verdict)) } { (verdict_word(report.judgement.verdict)) }
            @for reason in &report.judgement.invalid { p .reason { (reason) } }
        }
        dl .tiles {
            (tile("connections", &format!("{} / {}", report.connections_made, report.connections_planned)))
            (tile("messages sent", &report.sent.to_string()))
            (tile("delivered", &report.counts.delivered.to_string()))
            (tile("lost", &report.counts.lost.to_string()))
            (tile("p50", &micros_words(deliver.value_at_percentile(50.0))))
            (tile("p99", &micros_words(deliver.value_at_percentile(99.0))))
        }
    }
}

fn tile(name: &str, value: &str) -> Markup {
    html! { div { dt { (name) } dd { (value) } } }
}

fn requirements(report: &Report) -> Markup {
    if report.judgement.requirements.is_empty() {
        return html! {};
    }
    html! {
        section {
            h2 { "Requirements" }
            table {
                thead { tr { th { "requirement" } th { "measured" } th { "95 % interval" } th { "verdict" } } }
                tbody {
                    @for (judged, requirement) in report.judgement.requirements.iter().zip(&report.requirements) {
                        tr {
                            td { code { (judged.requirement) } }
                            td .number { (figure_words(requirement.figure, judged.value)) }
                            td .number { (interval_words(requirement.figure, judged)) }
                            td { span class={ "chip " (verdict_word(judged.verdict)) } { (verdict_word(judged.verdict)) } }
                        }
                    }
                }
            }
        }
    }
}

fn account(report: &Report) -> Markup {
    let counts = report.counts;
    html! {
        section {
            h2 { "Every message, every member" }
            table {
                thead { tr { th { "expected" } th { "delivered" } th { "lost" } th { "late (> 1 s)" } th { "duplicated" } th { "out of order" } th { "leaked" } } }
                tbody {
                    tr {
                        @for count in [counts.expected, counts.delivered, counts.lost, counts.late, counts.duplicated, counts.out_of_order, counts.leaked] {
                            td .number { (count) }
                        }
                    }
                }
            }
            p .note {
                (report.connections_planned) " connections in rooms of " (report.room_size) ", " (report.rate) " messages/s planned for "
                (report.planned_seconds) " s; took " (format!("{:.1}", report.elapsed_seconds)) " s."
                @if let Some(cpu) = report.generator_cpu { " Generator: " (format!("{:.0}", cpu * 100.0)) " % of all processors." }
            }
            @if let Some(returns) = &report.returns { p .note { (returns_words(returns, counts)) "." } }
            @if let Some(usage) = report.target_usage { p .note { (usage_words(report, usage)) } }
            @for (trouble, connections) in &report.troubles {
                p .reason { (trouble) " (" (connections) " connections)" }
            }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts and bytes are far below 2^52")]
fn usage_words(report: &Report, usage: Usage) -> String {
    let deliveries = report.counts.delivered.max(1) as f64;
    let grown = usage.resident_bytes as f64 - usage.resident_bytes_before as f64;
    format!(
        "Target: {:.2} s of processor time ({:.0} µs per delivery), {:.1} MiB resident ({:.1} KiB more per connection).",
        usage.cpu_seconds,
        usage.cpu_seconds * 1e6 / deliveries,
        usage.resident_bytes as f64 / f64::from(1 << 20),
        grown / 1024.0 / f64::from(report.connections_made.max(1)),
    )
}

fn series(report: &Report) -> Markup {
    html! {
        section {
            h2 { "Latencies" }
            p .note { "Delivery: from the intended send to the receipt. Send lag: from the intended to the actual send. Connecting: from nothing, step by step." }
            table {
                thead { tr { th { "series" } th { "samples" } @for percent in PERCENTILES { th { (percentile_name(percent)) } } } }
                tbody {
                    @for (series, name) in Series::ALL {
                        @let total = report.measured.total(series);
                        tr {
                            td { (name) }
                            td .number { (total.len()) }
                            @for percent in PERCENTILES { td .number { (if total.is_empty() { "–".to_owned() } else { micros_words(total.value_at_percentile(percent)) }) } }
                        }
                    }
                }
            }
        }
    }
}

fn percentile_name(percent: f64) -> String {
    if percent >= 100.0 { "max".to_owned() } else { format!("p{percent}") }
}

fn interval_words(figure: Figure, judged: &Judged) -> String {
    judged.interval.map_or_else(
        || "exact".to_owned(),
        |(low, high)| format!("{} to {}", figure_words(figure, low), figure_words(figure, high)),
    )
}
