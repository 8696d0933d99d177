//! A badge: a small picture with the counts, and the same as data for services that draw badges themselves.

use maud::html;
use serde::Serialize;

use super::Summary;
use crate::outcome::CheckReport;

/// Width of a letter in the font of badges at this size, on average; rounded up, so that nothing is cut.
const LETTER_PIXELS: usize = 7;
/// On either side of a text.
const MARGIN_PIXELS: usize = 6;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Endpoint {
    schema_version: u32,
    label: String,
    message: String,
    color: &'static str,
}

/// The badge's two texts and its colour. What was not run is said: a badge must not look better than the run.
fn texts(report: &CheckReport) -> Endpoint {
    let mut dialects: Vec<&str> = report.runs.iter().map(|run| run.dialect.as_str()).collect();
    dialects.dedup();
    let summary = Summary::total(report);
    let color =
        match (summary.failed, summary.passed, summary.non_strict + summary.known_failures + summary.inconclusive) {
            (1.., _, _) => "#c02b37",
            (0, 0, _) => "#5d6672",
            (0, _, 0) => "#1f7a4d",
            (0, _, _) => "#95650a",
        };
    let label = if let [one] = dialects.as_slice() { format!("chatwright {one}") } else { "chatwright".to_owned() };
    Endpoint { schema_version: 1, label, message: summary.last_line(), color }
}

/// The data that `img.shields.io/endpoint` reads.
#[must_use]
pub fn endpoint(report: &CheckReport) -> String {
    serde_json::to_string_pretty(&texts(report)).expect("strings are always JSON") + "\n"
}

/// The picture.
#[must_use]
pub fn svg(report: &CheckReport) -> String {
    let Endpoint { label, message, color, .. } = texts(report);
    let width = |text: &str| text.chars().count() * LETTER_PIXELS + 2 * MARGIN_PIXELS;
    let (left, right) = (width(&label), width(&message));
    let title = format!("{label}: {message}");
    let picture = html! {
        svg xmlns="http://www.w3.org/2000/svg" width=(left + right) height="20" role="img" aria-label=(title) {
            title { (title) }
            rect width=(left + right) height="20" rx="4" fill="#3a3f47" {}
            path fill=(color) d={ "M" (left) " 0h" (right - 4) "a4 4 0 0 1 4 4v12a4 4 0 0 1-4 4h-" (right - 4) "z" } {}
            g fill="#fff" font-family="Verdana,DejaVu Sans,Geneva,sans-serif" font-size="11" text-anchor="middle" {
                text x=(left / 2) y="14" { (label) }
                text x=(left + right / 2) y="14" { (message) }
            }
        }
    };
    picture.into_string() + "\n"
}
