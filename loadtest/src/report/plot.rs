//! The two plots: the percentile spectrum with the requirements drawn in, and latency over time with the load in a strip below.

use std::ops::Range;

use plotters::{
    coord::{Shift, types::RangedCoordf64},
    prelude::*,
};

use super::{Report, duration_words};
use crate::latency::Series;

/// Colours that hold on white and, inverted in hue only by the page's style, on dark paper.
const LINE: RGBColor = RGBColor(37, 99, 235);
const SECOND: RGBColor = RGBColor(13, 148, 136);
const THIRD: RGBColor = RGBColor(217, 119, 6);
const BOUND: RGBColor = RGBColor(220, 38, 38);
const GRID: RGBColor = RGBColor(120, 130, 145);

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Outcome = Result<(), Box<dyn std::error::Error>>;

/// Percentiles on a scale where each nine takes the same room: x = log10(1 / (1 - quantile)).
pub(super) fn spectrum(report: &Report) -> String {
    svg((860, 380), |area| draw_spectrum(report, &area))
}

/// p50, p95 and p99 of each second, and below them the deliveries of that second.
pub(super) fn over_time(report: &Report) -> String {
    svg((860, 420), |area| {
        let (above, below) = area.split_vertically(300);
        draw_seconds(report, &above)?;
        draw_load(report, &below)
    })
}

fn svg(size: (u32, u32), draw: impl FnOnce(Area<'_>) -> Outcome) -> String {
    let mut text = String::new();
    let root = SVGBackend::with_string(&mut text, size).into_drawing_area();
    let drawn = draw(root.clone()).and_then(|()| Ok(root.present()?));
    drop(root);
    drawn.map_or_else(|problem| format!("<p>The plot could not be drawn: {problem}</p>"), |()| text)
}

fn draw_spectrum(report: &Report, area: &Area<'_>) -> Outcome {
    let total = report.measured.total(Series::Deliver);
    // Beyond one sample in all there is nothing to show.
    let resolved = 1.0 - 1.0 / value(total.len().max(10));
    let points: Vec<(f64, f64)> = total
        .iter_quantiles(4)
        .map(|step| (nines(step.quantile_iterated_to().min(resolved)), value(step.value_iterated_to())))
        .collect();
    let bounds = report.percentile_bounds();
    let right = points.last().map_or(2.0, |(x, _)| x.max(2.0)) * 1.02;
    let low = points.first().map_or(100.0, |(_, y)| *y).max(1.0) / 1.4;
    let high = bounds.iter().chain(&points).map(|(_, y)| *y).fold(low * 10.0, f64::max) * 1.4;
    let mut chart = chart(area, 0.0..right, low..high)?;
    chart
        .configure_mesh()
        .x_labels(whole(right))
        .x_label_formatter(&|x| percentile_words(*x))
        .y_label_formatter(&|y| duration_words(*y))
        .y_desc("delivery latency")
        .x_desc("percentile")
        .axis_style(GRID)
        .max_light_lines(0)
        .bold_line_style(GRID.mix(0.25))
        .label_style(("sans-serif", 13, &GRID))
        .draw()?;
    chart.draw_series(LineSeries::new(points, LINE.stroke_width(3)))?;
    for (percent, bound) in bounds {
        let x = nines((percent / 100.0).min(0.999_999)).min(right);
        chart.draw_series(LineSeries::new([(0.0, bound), (x, bound), (x, low)], BOUND.stroke_width(2)))?;
        let words = format!("p{percent} < {}", duration_words(bound));
        chart.draw_series([Text::new(
            words,
            (right * 0.01, bound * 0.86),
            ("sans-serif", 14).into_font().color(&BOUND),
        )])?;
    }
    Ok(())
}

fn draw_seconds(report: &Report, area: &Area<'_>) -> Outcome {
    let line = |percent: f64| -> Vec<(f64, f64)> {
        report
            .measured
            .per_second(Series::Deliver)
            .map(|(second, part)| (value(second) + 0.5, value(part.value_at_percentile(percent))))
            .collect()
    };
    let lines = [(99.0, THIRD), (95.0, SECOND), (50.0, LINE)];
    // Room above the lines for the legend.
    let high = line(99.0).iter().map(|(_, y)| *y).fold(100.0, f64::max) * 4.0;
    let low = line(50.0).iter().map(|(_, y)| *y).fold(high, f64::min).max(1.0) / 1.6;
    let mut chart = chart(area, 0.0..seconds_end(report), low..high)?;
    chart
        .configure_mesh()
        .y_label_formatter(&|y| duration_words(*y))
        .y_desc("delivery latency")
        .axis_style(GRID)
        .max_light_lines(0)
        .bold_line_style(GRID.mix(0.25))
        .label_style(("sans-serif", 13, &GRID))
        .draw()?;
    for (percent, colour) in lines {
        chart
            .draw_series(LineSeries::new(line(percent), colour.stroke_width(2)))?
            .label(format!("p{percent}"))
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(3)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .label_font(("sans-serif", 13, &GRID))
        .draw()?;
    Ok(())
}

fn draw_load(report: &Report, area: &Area<'_>) -> Outcome {
    let bars: Vec<(f64, f64)> =
        report.measured.per_second(Series::Deliver).map(|(second, part)| (value(second), value(part.len()))).collect();
    let high = bars.iter().map(|(_, y)| *y).fold(1.0, f64::max) * 1.15;
    let mut chart = ChartBuilder::on(area)
        .margin_right(16)
        .set_label_area_size(LabelAreaPosition::Left, 84)
        .set_label_area_size(LabelAreaPosition::Bottom, 40)
        .build_cartesian_2d(0.0..seconds_end(report), 0.0..high)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .y_labels(3)
        .x_desc("seconds")
        .y_desc("deliveries / s")
        .axis_style(GRID)
        .max_light_lines(0)
        .bold_line_style(GRID.mix(0.2))
        .label_style(("sans-serif", 13, &GRID))
        .draw()?;
    chart.draw_series(
        bars.into_iter().map(|(x, y)| Rectangle::new([(x + 0.06, 0.0), (x + 0.94, y)], LINE.mix(0.55).filled())),
    )?;
    Ok(())
}

type Chart<'a, 'b> =
    ChartContext<'b, SVGBackend<'a>, Cartesian2d<RangedCoordf64, plotters::coord::combinators::LogCoord<f64>>>;

fn chart<'a, 'b>(area: &'b Area<'a>, x: Range<f64>, y: Range<f64>) -> Result<Chart<'a, 'b>, Box<dyn std::error::Error>>
where
    'a: 'b,
{
    Ok(ChartBuilder::on(area)
        .margin(16)
        .margin_left(0)
        .set_label_area_size(LabelAreaPosition::Left, 84)
        .set_label_area_size(LabelAreaPosition::Bottom, 44)
        .build_cartesian_2d(x, y.log_scale())
        .map_err(|problem| problem.to_string())?)
}

/// How far right a quantile stands: 0.9 at 1, 0.99 at 2, 0.999 at 3.
fn nines(quantile: f64) -> f64 {
    -(1.0 - quantile).log10()
}

fn percentile_words(nines: f64) -> String {
    let percent = 100.0 * (1.0 - 10_f64.powf(-nines));
    let digits =
        [(1.5, 0), (2.5, 0), (3.5, 1), (4.5, 2), (5.5, 3)].iter().find(|(end, _)| nines < *end).map_or(4, |(_, d)| *d);
    format!("{percent:.digits$}")
}

/// The end of the time axis: the planned seconds, and whole ones that began beyond them.
fn seconds_end(report: &Report) -> f64 {
    let last = report.measured.per_second(Series::Deliver).map(|(second, _)| value(second + 1)).fold(1.0, f64::max);
    report.planned_seconds.ceil().max(last)
}

/// Labels for an axis of nines: one at each.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a handful of nines")]
fn whole(right: f64) -> usize {
    right.ceil() as usize + 1
}

#[expect(clippy::cast_precision_loss, reason = "microseconds and counts are far below 2^52")]
fn value(number: u64) -> f64 {
    number as f64
}
