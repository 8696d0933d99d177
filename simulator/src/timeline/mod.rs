//! The page that shows a run: the verdict first, then one picture of everything over time, then what was broken. One file, no network.

mod lanes;
mod latency;
mod scale;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use self::scale::Scale;
use crate::{
    facts::Facts,
    history::What,
    report::{Report, Verdict, millis},
};

const STYLE: &str = include_str!("style.css");

/// The whole page.
pub(crate) fn page(report: &Report) -> String {
    let facts = Facts::read(&report.plan, &report.schedule, &report.history);
    let title = format!("{} · seed {} · {}", report.verdict, report.seed, report.target);
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    (headline(report))
                    (picture(report, &facts))
                    (promises(report))
                    (faults(report))
                }
            }
        }
    };
    markup.into_string()
}

fn headline(report: &Report) -> Markup {
    let totals = &report.totals;
    html! {
        header {
            h1 { span class={ "verdict " (verdict_class(report.verdict)) } { (report.verdict) } " " (report.target) }
            p { (says(report)) }
            @if !report.reasons.is_empty() {
                ul class="reasons" { @for reason in &report.reasons { li { (reason) } } }
            }
            dl {
                div { dt { "Seed" } dd { (report.seed) } }
                div { dt { "Instances" } dd { (report.schedule.instances) } }
                div { dt { "Behind them" } dd { (report.backends.join(", ")) } }
                div { dt { "Sent" } dd { (totals.sent) } }
                div { dt { "Confirmed" } dd { (totals.confirmed) } }
                div { dt { "No answer" } dd { (totals.unknown) } }
                div { dt { "Refused" } dd { (totals.refused) } }
                div { dt { "Heard" } dd { (totals.heard) } }
                div { dt { "Caught up" } dd { (totals.caught_up) " in " (totals.returns) " returns" } }
                div { dt { "Delivery p50 / p99" } dd { (millis(totals.delivery.p50_us)) " / " (millis(totals.delivery.p99_us)) } }
            }
            p class="replay" { "See it again: " code { (report.replay) } }
        }
    }
}

fn says(report: &Report) -> &'static str {
    match report.verdict {
        Verdict::Pass => "Every promise held, the faults met traffic, and somebody came back and caught up.",
        Verdict::Fail => "A promise was broken. Red marks in the picture show where.",
        Verdict::Inconclusive => "No promise was broken, but the run did not meet what it was made for:",
        Verdict::Invalid => "The run did not happen as planned and says nothing:",
    }
}

fn picture(report: &Report, facts: &Facts<'_>) -> Markup {
    let end_us = report.history.last().map_or(0, |record| record.at_us).max(report.schedule.seconds * 1_000_000);
    let scale = Scale::new(end_us);
    let rows = lanes::Rows::of(facts);
    let latency_top = rows.bottom() + latency::GAP;
    let bottom = latency_top + latency::HEIGHT;
    let height = bottom + scale::AXIS_HEIGHT;
    let healed_us = report.history.iter().find(|record| record.what == What::Healed).map(|record| record.at_us);
    html! {
        figure {
            (legend())
            div class="scroll" {
                svg viewBox={ "0 0 " (scale::WIDTH) " " (height) } role="img" aria-label="what happened over time, one lane per backend and instance" {
                    (lanes::fault_bands(facts, &rows, &scale, bottom))
                    (lanes::lanes(facts, &rows, &scale))
                    (lanes::marks(report, facts, &rows, &scale))
                    (latency::strip(facts, &scale, latency_top))
                    (scale.axis(bottom, healed_us))
                }
            }
        }
    }
}

fn legend() -> Markup {
    let entry = |class: &str, words: &str| html! { span { i class=(class) {} (words) } };
    html! {
        figcaption {
            (entry("key sent", "sent and confirmed"))
            (entry("key unknown", "sent, no answer"))
            (entry("key refused", "refused"))
            (entry("key live", "heard live"))
            (entry("key caught", "caught up after a return"))
            (entry("key online", "connected"))
            (entry("key kill", "killed"))
            (entry("key restart", "restarted"))
            (entry("key pause", "paused"))
        }
    }
}

fn promises(report: &Report) -> Markup {
    html! {
        section {
            h2 { "Promises" }
            table {
                thead { tr { th { "" } th { "Promise" } th { "Breaches" } } }
                tbody {
                    @for checked in &report.checks {
                        tr {
                            td {
                                @if !checked.promised { "not promised" }
                                @else if checked.broken == 0 { span class="held" { "held" } }
                                @else { span class="broken" { "broken" } }
                            }
                            td {
                                (checked.promise)
                                @if !checked.findings.is_empty() {
                                    ul { @for finding in &checked.findings { li { (finding.text) } } }
                                }
                            }
                            td class="number" { (checked.broken) }
                        }
                    }
                }
            }
        }
    }
}

fn faults(report: &Report) -> Markup {
    html! {
        section {
            h2 { "Faults" }
            table {
                thead { tr { th { "At" } th { "Fault" } th { "What happened" } } }
                tbody {
                    @for (index, fault) in report.schedule.faults.iter().enumerate() {
                        tr {
                            td class="number" { (fault.at_ms) " ms" }
                            td { (fault) }
                            td { @for note in notes(report, index) { (note) br; } }
                        }
                    }
                }
            }
            details {
                summary { "The schedule as a file for " code { "chatwright sim --replay FILE" } }
                pre { (report.schedule.to_json()) }
            }
        }
    }
}

/// What the control said about a fault, with times.
fn notes(report: &Report, index: usize) -> Vec<String> {
    let said = report.history.iter().filter_map(|record| {
        if let What::Done { fault, note } = &record.what
            && *fault == index
        {
            return Some(format!("{}: {note}", millis(record.at_us)));
        }
        None
    });
    said.collect()
}

fn verdict_class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Fail => "fail",
        Verdict::Inconclusive => "inconclusive",
        Verdict::Invalid => "invalid",
    }
}

#[cfg(test)]
mod tests {
    use crate::{checkers::Story, history::Source, report::Report};

    #[test]
    fn the_page_shows_verdict_lanes_faults_and_findings_and_needs_no_network() {
        let mut story = Story::good();
        story.fault_during(5, 8);
        story.away(1, 5, 8, Some(Source::CatchUp));
        story.forget_delivery(20, 1);
        let page = Report::judge(story.evidence(&[])).to_html();
        for part in [
            "FAIL",
            "redis",
            "instance 1",
            "instance 2",
            "bot-6",
            "never heard it",
            "kill instance 1",
            "chatwright sim --seed 1",
        ] {
            assert!(page.contains(part), "`{part}` is missing");
        }
        assert!(
            !page.contains("http://") && !page.contains("https://") && !page.contains("<script"),
            "the page reaches out"
        );
    }

    #[test]
    fn what_users_and_servers_write_cannot_become_markup() {
        let mut story = Story::good();
        story.edit_rosters(|_, users| users.push("<script>alert(1)</script>".to_owned()));
        let page = Report::judge(story.evidence(&["<b>trouble</b>"])).to_html();
        assert!(page.contains("&lt;script&gt;") && !page.contains("<script>") && !page.contains("<b>trouble"));
    }
}
