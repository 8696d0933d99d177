//! The clocks of a target as the judge measured them: numbers, and a small plot of each.

use std::time::Duration;

use maud::{Markup, html};

use super::super::words::show_elapsed;
use crate::{
    clocks::{Calibration, Distribution, Timeliness, calibration, distributions},
    outcome::RunReport,
};

/// The plot's own measures.
const WIDTH: f64 = 320.0;
const HEIGHT: f64 = 24.0;
/// More points than this are not to be told apart.
const POINTS_MAX: usize = 400;
/// Beside the outermost thing that is shown, so much of the width stays free.
const MARGIN: f64 = 0.06;

/// What was measured of each clock; nothing where nothing was.
pub(super) fn section(report: &RunReport) -> Markup {
    let clocks = distributions(report);
    html! {
        @if !clocks.is_empty() {
            section.clocks aria-label={ "Clocks of " (report.dialect) } {
                h2 { "Clocks" }
                p.quiet { (about(calibration(report))) }
                div.scroll {
                    table {
                        thead { tr {
                            @for heading in ["clock", "is", "measured", "min", "median", "max", "tolerance", "", "verdict"] { th scope="col" { (heading) } }
                        } }
                        tbody { @for clock in &clocks { (row(clock)) } }
                    }
                }
            }
        }
    }
}

fn about(judge: Calibration) -> String {
    let Calibration { task_ms, loopback_ms, repeated } = judge;
    let again = match repeated {
        0 => "no case had to be played again for that".to_owned(),
        1 => "one case was played again for that".to_owned(),
        more => format!("{more} cases were played again for that"),
    };
    format!(
        "The judge itself was at most {task_ms} ms late, a loopback round trip took it at most {loopback_ms} ms; {again}."
    )
}

fn row(clock: &Distribution) -> Markup {
    let class = match clock.timeliness() {
        Timeliness::OnTime => "pass",
        Timeliness::Early | Timeliness::Late => "fail",
    };
    let latest = clock.latest.map_or_else(|| "any".to_owned(), show_elapsed);
    let found = match (clock.early, clock.late) {
        (0, 0) => Timeliness::OnTime.as_str().to_owned(),
        (early, late) => format!("{early} early, {late} late"),
    };
    html! {
        tr {
            th scope="row" { code { (clock.clock) } }
            td { (show_elapsed(clock.nominal)) }
            td { (clock.measured.len()) @if clock.judged > 0 { " " span.quiet { "(" (clock.judged) " judged)" } } }
            td { (show_elapsed(clock.min())) } td { (show_elapsed(clock.median())) } td { (show_elapsed(clock.max())) }
            td { (show_elapsed(clock.earliest)) " to " (latest) }
            td { (plot(clock)) }
            td { span.pill.{ (class) } { (found) } }
        }
    }
}

/// The readings as points over the tolerance.
fn plot(clock: &Distribution) -> Markup {
    let ms = |span: Duration| span.as_secs_f64() * 1000.0;
    let first = ms(clock.earliest.min(clock.min()));
    let last = ms(clock.latest.unwrap_or_default().max(clock.max()).max(clock.nominal));
    let room = (last - first).max(1.0) * MARGIN;
    let (first, span) = (first - room, (last - first).max(1.0) + 2.0 * room);
    let x = |time: Duration| format!("{:.1}", (ms(time) - first) / span * WIDTH);
    let end = clock.latest.map_or(WIDTH, |latest| (ms(latest) - first) / span * WIDTH);
    let begin = (ms(clock.earliest) - first) / span * WIDTH;
    let step = clock.measured.len().div_ceil(POINTS_MAX).max(1);
    let words = format!("{} from {} to {}", clock.clock, show_elapsed(clock.min()), show_elapsed(clock.max()));
    html! {
        svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label=(words) {
            rect.tolerance x=(format!("{begin:.1}")) y="3" width=(format!("{:.1}", (end - begin).max(1.0))) height="18" {}
            line.nominal x1=(x(clock.nominal)) x2=(x(clock.nominal)) y1="0" y2=(HEIGHT) {}
            @for (i, reading) in clock.measured.iter().enumerate().step_by(step) {
                circle.reading cx=(x(*reading)) cy=(7 + i * 5 % 11) r="2" {}
            }
            line.median x1=(x(clock.median())) x2=(x(clock.median())) y1="3" y2="21" {}
        }
    }
}
