//! One lane per backend and instance, one row per bot: who was connected when, what it sent and heard, and what was done to whom.

use std::{collections::BTreeSet, fmt::Write};

use maud::{Markup, html};

use super::scale::{LEFT, Scale, WIDTH, round};
use crate::{
    facts::{Facts, Outcome, Span},
    history::Source,
    report::{Report, millis},
    schedule::{FaultKind, Place},
};

const BACKEND_HEIGHT: f64 = 26.0;
const ROW_HEIGHT: f64 = 26.0;
const LANE_GAP: f64 = 10.0;
/// Above the first lane: words at the top of the picture.
const TOP: f64 = 20.0;
/// Sends stand above a bot's line and what it hears below it.
const SENT_UP: f64 = 8.0;
const HEARD_DOWN: f64 = 6.0;

/// Where each lane and row lies.
pub(super) struct Rows {
    /// The lane of each backend that something was done to.
    backends: Vec<Place>,
    /// Top of the lane of each instance, in order.
    instances: Vec<f64>,
    /// The line of each bot.
    bots: Vec<f64>,
    bottom: f64,
}

impl Rows {
    pub(super) fn of(facts: &Facts<'_>) -> Self {
        let of_backends = facts.schedule.faults.iter().map(|fault| &fault.target);
        let backends: BTreeSet<&Place> = of_backends.filter(|place| matches!(place, Place::Backend(_))).collect();
        let backends: Vec<Place> = backends.into_iter().cloned().collect();
        let mut top = TOP + (BACKEND_HEIGHT + LANE_GAP) * backends.iter().map(|_| 1.0).sum::<f64>();
        let mut rows = Self { backends, instances: Vec::new(), bots: vec![0.0; facts.plan.bots.len()], bottom: 0.0 };
        for instance in 1..=facts.schedule.instances {
            rows.instances.push(top);
            for (index, _) in facts.plan.bots.iter().enumerate().filter(|(_, bot)| bot.instance == instance) {
                rows.bots[index] = top + ROW_HEIGHT / 2.0;
                top += ROW_HEIGHT;
            }
            top += LANE_GAP;
        }
        rows.bottom = top - LANE_GAP;
        rows
    }

    pub(super) fn bottom(&self) -> f64 {
        self.bottom
    }

    /// Top and height of a lane.
    fn lane(&self, place: &Place) -> (f64, f64) {
        match place {
            Place::Backend(_) => {
                let before =
                    self.backends.iter().take_while(|other| *other != place).map(|_| BACKEND_HEIGHT + LANE_GAP);
                (TOP + before.sum::<f64>(), BACKEND_HEIGHT)
            }
            Place::Instance(number) => {
                let top = self.instances[number - 1];
                let next = self.instances.get(*number).copied().unwrap_or(self.bottom + LANE_GAP);
                (top, next - LANE_GAP - top)
            }
        }
    }
}

/// Each fault as a band in its lane, and faintly over the whole height: so one sees what else happened meanwhile.
pub(super) fn fault_bands(facts: &Facts<'_>, rows: &Rows, scale: &Scale, bottom: f64) -> Markup {
    let bands =
        facts.schedule.faults.iter().zip(&facts.faults).filter_map(|(fault, span)| Some((fault, span, span.from_us?)));
    html! {
        @for (fault, span, from_us) in bands {
            @let (x, width) = extent(scale, from_us, span);
            @let (top, height) = rows.lane(&fault.target);
            @let class = kind_class(fault.fault);
            rect class={ "shadow " (class) } x=(x) width=(width) y="0" height=(bottom) {}
            rect class={ "band " (class) } x=(x) width=(width) y=(top) height=(height) rx="3" {
                title { (fault) ", from " (millis(from_us)) @if let Some(to_us) = span.to_us { " to " (millis(to_us)) } }
            }
            @if let Place::Backend(_) = fault.target {
                text class="inside" x=(x + 6.0) y=(top + BACKEND_HEIGHT / 2.0 + 4.0) { (past(fault.fault)) }
            } @else {
                text class="above" x=(x) y=(top - 2.0) { (past(fault.fault)) }
            }
        }
    }
}

/// Names, connections, sends and deliveries.
pub(super) fn lanes(facts: &Facts<'_>, rows: &Rows, scale: &Scale) -> Markup {
    html! {
        @for backend in &rows.backends {
            (lane_frame(&backend.to_string(), rows.lane(backend)))
        }
        @for instance in 1..=facts.schedule.instances {
            (lane_frame(&format!("instance {instance}"), rows.lane(&Place::Instance(instance))))
        }
        @for (bot, plan) in facts.plan.bots.iter().enumerate() {
            @let y = rows.bots[bot];
            text class="bot" x=(LEFT - 8.0) y=(y + 4.0) { (plan.user) }
            @for span in &facts.spans[bot] {
                @if let Some(from_us) = span.from_us {
                    @let (x, width) = extent(scale, from_us, span);
                    rect class="online" x=(x) width=(width) y=(y - 1.0) height="2" {}
                }
            }
            path class="live" d=(dots(facts, bot, Source::Live, y + HEARD_DOWN, scale)) {}
            path class="caught" d=(dots(facts, bot, Source::CatchUp, y + HEARD_DOWN, scale)) {}
        }
        @for (op, send) in facts.plan.sends.iter().enumerate() {
            @if let Some(at_us) = facts.ops[op].invoked_us {
                @let (class, words) = outcome(facts, op, at_us);
                @let x = round(scale.x(at_us));
                @let y = rows.bots[send.bot];
                line class=(class) x1=(x) x2=(x) y1=(y - SENT_UP) y2=(y - 2.0) { title { (facts.message(op)) ", sent at " (millis(at_us)) ", " (words) } }
            }
        }
    }
}

/// A red ring at each bot that a finding is about, at the time of the message that it is about.
pub(super) fn marks(report: &Report, facts: &Facts<'_>, rows: &Rows, scale: &Scale) -> Markup {
    let findings = report.checks.iter().flat_map(|checked| &checked.findings);
    html! {
        @for finding in findings {
            @if let Some(op) = finding.op {
                @let x = round(scale.x(facts.ops[op].invoked_us.unwrap_or(0)));
                @let sender = rows.bots[facts.plan.sends[op].bot];
                @let y = finding.bot.map_or(sender, |bot| rows.bots[bot]);
                line class="finding" x1=(x) x2=(x) y1=(sender) y2=(y) {}
                circle class="finding" cx=(x) cy=(y) r="5" { title { (finding.text) } }
            }
        }
    }
}

fn lane_frame(name: &str, (top, height): (f64, f64)) -> Markup {
    html! {
        rect class="lane" x="2" width=(WIDTH - 4.0) y=(top) height=(height) rx="4" {}
        text class="lane" x="10" y=(top + height / 2.0 + 4.0) { (name) }
    }
}

/// Hundreds of dots as one path: each is a stroke of no length with round ends.
fn dots(facts: &Facts<'_>, bot: usize, source: Source, y: f64, scale: &Scale) -> String {
    let mut path = String::new();
    for message in facts.heard[bot].iter().filter(|message| message.source == source) {
        // Writing to a String cannot fail.
        let _ = write!(path, "M{} {}h0", round(scale.x(message.at_us)), round(y));
    }
    path
}

fn extent(scale: &Scale, from_us: u64, span: &Span) -> (f64, f64) {
    let x = scale.x(from_us);
    let width = scale.x(span.to_us.unwrap_or(scale.end_us())) - x;
    (round(x), round(width.max(1.0)))
}

fn outcome(facts: &Facts<'_>, op: usize, sent_us: u64) -> (&'static str, String) {
    match facts.ops[op].outcome {
        Outcome::Confirmed(at_us) => ("sent", format!("confirmed after {}", millis(at_us.saturating_sub(sent_us)))),
        Outcome::Refused => ("refused", "refused".to_owned()),
        Outcome::Unknown => ("unknown", "no answer".to_owned()),
    }
}

fn kind_class(kind: FaultKind) -> &'static str {
    match kind {
        FaultKind::Kill => "kill",
        FaultKind::Restart => "restart",
        FaultKind::Pause => "pause",
    }
}

fn past(kind: FaultKind) -> &'static str {
    match kind {
        FaultKind::Kill => "killed",
        FaultKind::Restart => "restarted",
        FaultKind::Pause => "paused",
    }
}
