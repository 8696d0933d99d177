//! From time to place on the picture, and the axis that says so.

use maud::{Markup, html};

/// Width of the picture in its own units.
pub(super) const WIDTH: f64 = 1_240.0;
/// Where time begins: left of it stand the names of the lanes.
pub(super) const LEFT: f64 = 150.0;
const RIGHT: f64 = 16.0;
/// Room for the axis below everything.
pub(super) const AXIS_HEIGHT: f64 = 26.0;
/// Labels closer than this run into each other.
const LABEL_GAP: f64 = 56.0;
/// Distances between labels that people can read, in seconds.
const STEPS: [u64; 9] = [1, 2, 5, 10, 30, 60, 300, 600, 1_800];

/// The horizontal scale.
pub(super) struct Scale {
    end_us: u64,
}

impl Scale {
    pub(super) fn new(end_us: u64) -> Self {
        Self { end_us: end_us.max(1) }
    }

    /// The place of a time.
    #[expect(clippy::cast_precision_loss, reason = "a picture has fewer points than 2^52 microseconds")]
    pub(super) fn x(&self, at_us: u64) -> f64 {
        LEFT + (WIDTH - LEFT - RIGHT) * (at_us.min(self.end_us) as f64 / self.end_us as f64)
    }

    /// The last time on the picture.
    pub(super) fn end_us(&self) -> u64 {
        self.end_us
    }

    /// Times with labels, and a line where the faults had ended.
    pub(super) fn axis(&self, top: f64, healed_us: Option<u64>) -> Markup {
        let second = self.x(1_000_000.min(self.end_us)) - self.x(0);
        #[expect(clippy::cast_precision_loss, reason = "steps are small")]
        let step = STEPS.into_iter().find(|step| second * *step as f64 >= LABEL_GAP).unwrap_or(STEPS[STEPS.len() - 1]);
        let last = self.end_us / 1_000_000;
        html! {
            g class="axis" {
                line x1=(LEFT) x2=(WIDTH - RIGHT) y1=(top) y2=(top) {}
                @for at in (0..=last).filter(|at| at % step == 0) {
                    @let x = round(self.x(at * 1_000_000));
                    line class="grid" x1=(x) x2=(x) y1="0" y2=(top) {}
                    text x=(x) y=(top + 18.0) { (at) " s" }
                }
                @if let Some(healed_us) = healed_us {
                    @let x = round(self.x(healed_us));
                    line class="healed" x1=(x) x2=(x) y1="0" y2=(top) {}
                    text class="healed" x=(x - 4.0) y="12" { "healed" }
                }
            }
        }
    }
}

/// A tenth of a unit is finer than a pixel, and halves the size of the page.
pub(super) fn round(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_runs_from_the_left_to_the_right_edge_and_not_beyond() {
        let scale = Scale::new(2_000_000);
        assert!((scale.x(0) - LEFT).abs() < 1e-9);
        assert!((scale.x(2_000_000) - (WIDTH - RIGHT)).abs() < 1e-9);
        assert!((scale.x(9_000_000) - (WIDTH - RIGHT)).abs() < 1e-9);
    }
}
