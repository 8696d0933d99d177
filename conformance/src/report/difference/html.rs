//! A comparison as one page that needs nothing else: what the two have instead of each other, side by side, under the clause that it is about.

use maud::{Markup, html};

use super::{GROUPS, by_clause, last_line, left_out};
use crate::{
    differential::{Comparison, Difference, DifferenceKind, Side},
    report::{
        html::{page, prose},
        words::show_elapsed,
    },
};

/// Places shown open; the others are behind a click.
const SEEN_MAX: usize = 3;

/// The whole page.
#[must_use]
pub fn render(comparison: &Comparison) -> String {
    let title = html! { (last_line(comparison)) };
    let body = html! {
        (head(comparison))
        main {
            (tiles(comparison))
            @for (kind, heading) in GROUPS { (group(comparison, kind, heading)) }
            (not_compared(comparison))
        }
        footer { "Made by chatwright " (comparison.version) ". The seed of this comparison was " (comparison.seed) "." }
    };
    page(&title, "", &body)
}

fn head(comparison: &Comparison) -> Markup {
    let side = |side: &Side| {
        html! {
            (side.target) @if side.origin != side.target { " " code { (side.origin) } }
        }
    };
    html! {
        header.top {
            div.wide {
                p.brand { "chatwright check --against" }
                h1 { (comparison.first.target) " against " (comparison.second.target) }
                p.about {
                    span { "dialect " b { (comparison.dialect) } }
                    span { (side(&comparison.first)) } span { (side(&comparison.second)) }
                    span { "in " (show_elapsed(comparison.elapsed)) } span { "seed " (comparison.seed) }
                }
                p.outcome.bad[!comparison.differences.is_empty()] { (last_line(comparison)) }
            }
        }
    }
}

fn tiles(comparison: &Comparison) -> Markup {
    let count = |kind| comparison.differences.iter().filter(|one| one.kind == kind).count();
    let tile = |count: usize, what: &str, class: &str| {
        html! {
            div.tile.{ (if count > 0 { class } else { "none" }) } { b { (count) } span { (what) } }
        }
    };
    html! {
        section.tiles aria-label="Summary" {
            (tile(comparison.alike, "cases alike", "pass"))
            (tile(comparison.compared - comparison.alike, "cases in which they differ", "nonstrict"))
            (tile(count(DifferenceKind::Ending), "verdicts that differ", "fail"))
            (tile(count(DifferenceKind::Content), "answers that differ where both pass", "nonstrict"))
            (tile(count(DifferenceKind::Unasked), "events of one alone", "known"))
            (tile(comparison.left_out.len(), "cases not compared", "notrun"))
        }
    }
}

fn group(comparison: &Comparison, kind: DifferenceKind, heading: &str) -> Markup {
    let groups = by_clause(comparison, kind);
    let class = match kind {
        DifferenceKind::Ending => "fail",
        DifferenceKind::Content => "nonstrict",
        DifferenceKind::Unasked => "known",
    };
    html! {
        @if !groups.is_empty() {
            section.group {
                h2 { (heading) " " small { (groups.iter().map(|(_, _, list)| list.len()).sum::<usize>()) } }
                @for (key, about, differences) in groups {
                    article.parted.{ (class) } {
                        h3 { (key) @if let Some(level) = about.level { " " span.level { (level) } } }
                        @if about.clause.is_some() { p.quiet { (prose(&about.words)) } }
                        @for one in differences { (difference(comparison, one)) }
                    }
                }
            }
        }
    }
}

fn difference(comparison: &Comparison, one: &Difference) -> Markup {
    let place = |seen: &crate::differential::Seen| {
        html! {
            li { code { (seen.case) @if seen.line > 0 { ":" (seen.line) } } " " @if seen.line > 0 { span.quiet { (seen.step) } } }
        }
    };
    html! {
        div.parting {
            h4 { code { (one.what) } }
            dl.sides {
                dt { (comparison.first.target) } dd { code { (one.first) } }
                dt { (comparison.second.target) } dd { code { (one.second) } }
            }
            ul.seen { @for seen in one.seen.iter().take(SEEN_MAX) { (place(seen)) } }
            @if one.seen.len() > SEEN_MAX {
                details { summary { (one.seen.len() - SEEN_MAX) " more" } ul.seen { @for seen in one.seen.iter().skip(SEEN_MAX) { (place(seen)) } } }
            }
        }
    }
}

fn not_compared(comparison: &Comparison) -> Markup {
    let reasons = left_out(comparison);
    html! {
        @if !reasons.is_empty() {
            section.group {
                h2 { "Not compared " small { (comparison.left_out.len()) } }
                ul { @for (reason, count) in reasons { li { (count) ": " (reason) } } }
            }
        }
    }
}
