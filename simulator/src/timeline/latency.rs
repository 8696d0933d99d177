//! How long messages took, below the lanes and on the same axis: one dot per delivery, on a logarithmic scale.

use std::fmt::Write;

use maud::{Markup, html};

use super::scale::{LEFT, Scale, WIDTH, round};
use crate::{
    facts::{Facts, Heard},
    history::Source,
};

/// Between the last lane and the strip: its title.
pub(super) const GAP: f64 = 40.0;
pub(super) const HEIGHT: f64 = 130.0;
/// The scale's ends: below is the speed of a loopback, above is a run.
const LOWEST_US: f64 = 100.0;
const HIGHEST_US: f64 = 10_000_000.0;
const LABELS: [(f64, &str); 6] = [
    (100.0, "0.1 ms"),
    (1_000.0, "1 ms"),
    (10_000.0, "10 ms"),
    (100_000.0, "100 ms"),
    (1_000_000.0, "1 s"),
    (10_000_000.0, "10 s"),
];

/// The strip.
pub(super) fn strip(facts: &Facts<'_>, scale: &Scale, top: f64) -> Markup {
    html! {
        g class="latency" {
            text class="title" x="10" y=(top - 14.0) { "From sending to hearing" }
            @for (us, label) in LABELS {
                @let y = round(place(us, top));
                line class="grid" x1=(LEFT) x2=(WIDTH - 16.0) y1=(y) y2=(y) {}
                text class="bot" x=(LEFT - 8.0) y=(y + 4.0) { (label) }
            }
            path class="live" d=(dots(facts, Source::Live, scale, top)) {}
            path class="caught" d=(dots(facts, Source::CatchUp, scale, top)) {}
        }
    }
}

fn dots(facts: &Facts<'_>, source: Source, scale: &Scale, top: f64) -> String {
    let mut path = String::new();
    for message in facts.heard.iter().flatten().filter(|message| message.source == source) {
        let Some(took_us) = took_us(facts, message) else { continue };
        // Writing to a String cannot fail.
        let _ = write!(path, "M{} {}h0", round(scale.x(message.at_us)), round(place(took_us, top)));
    }
    path
}

#[expect(clippy::cast_precision_loss, reason = "a picture has fewer points than 2^52 microseconds")]
fn took_us(facts: &Facts<'_>, message: &Heard<'_>) -> Option<f64> {
    Some(message.at_us.saturating_sub(facts.ops[message.op?].invoked_us?) as f64)
}

fn place(us: f64, top: f64) -> f64 {
    let share = (us.clamp(LOWEST_US, HIGHEST_US) / LOWEST_US).ln() / (HIGHEST_US / LOWEST_US).ln();
    top + HEIGHT * (1.0 - share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slower_is_higher_and_nothing_leaves_the_strip() {
        assert!(place(1_000_000.0, 0.0) < place(1_000.0, 0.0));
        assert!((place(1.0, 0.0) - HEIGHT).abs() < 1e-9 && place(1e12, 0.0).abs() < 1e-9);
    }
}
