//! A transcript drawn as a conversation: one column for each actor, one for the server, an arrow for each thing said.

use maud::{Markup, html};

use super::{TEXT_CHARS_MAX, clipped, show_elapsed};
use crate::outcome::{CaseReport, Entry, EntryKind, Failure, Phase};

/// Colours for actors; more actors share them.
const HUES: usize = 6;
/// A longer conversation is shown by its beginning and its end; the JSON report has all of it.
const ROWS_MAX: usize = 160;
/// A conversation with more columns cannot be read; the rest talk in the last one.
const COLUMNS_MAX: usize = 8;

/// Draws a case's transcript.
pub(super) fn draw(case: &CaseReport) -> Markup {
    let columns = Columns::of(case);
    let failed = case.failure.as_ref();
    let entries = &case.transcript.entries;
    let left_out = entries.len().saturating_sub(ROWS_MAX);
    let first = if left_out > 0 { ROWS_MAX / 2 } else { entries.len() };
    html! {
        figure.talk style={ "--columns:" (columns.names.len() + 1) } {
            figcaption.heads {
                span.when { "time" }
                @for (i, name) in columns.names.iter().enumerate() { span.who.{ "h" (i % HUES) } { (name) } }
                span.who.server { "server" }
            }
            div.lines {
                @for i in 0..=columns.names.len() { i.life style={ "--at:" (i) } {} }
                ol {
                    @for entry in &entries[..first] { (row(entry, &columns, failed)) }
                    @if left_out > 0 { li.world { span.when { "" } span.said { "… " (left_out) " more left out here" } } }
                    @for entry in &entries[first + left_out..] { (row(entry, &columns, failed)) }
                    @if let Some(failure) = failed { (missing(failure, &columns)) }
                }
            }
        }
    }
}

struct Columns<'a> {
    names: Vec<&'a str>,
}

impl<'a> Columns<'a> {
    /// The actors in the order in which they first speak.
    fn of(case: &'a CaseReport) -> Self {
        let mut names: Vec<&str> = Vec::new();
        for entry in &case.transcript.entries {
            if !entry.actor.is_empty() && !names.contains(&entry.actor.as_str()) && names.len() < COLUMNS_MAX {
                names.push(&entry.actor);
            }
        }
        Self { names }
    }

    fn index(&self, actor: &str) -> Option<usize> {
        if actor.is_empty() {
            return None;
        }
        Some(self.names.iter().position(|name| *name == actor).unwrap_or(self.names.len().saturating_sub(1)))
    }

    /// Whether an actor stands so close to the server that the words need more room than the arrow.
    fn is_near(&self, actor: usize) -> bool {
        actor > 0 && actor + 1 == self.names.len()
    }

    /// The stretch of the grid from an actor's column to the server's; the first column of the grid is the time.
    fn span(&self, actor: usize) -> String {
        format!("grid-column:{} / {};--span:{}", actor + 2, self.names.len() + 3, self.names.len() + 1 - actor)
    }
}

fn row(entry: &Entry, columns: &Columns<'_>, failed: Option<&Failure>) -> Markup {
    let at_fault =
        entry.kind == EntryKind::Received && entry.line.is_some() && entry.line == failed.map(|failure| failure.line);
    let text = clipped(&entry.text, TEXT_CHARS_MAX);
    let Some(actor) = columns.index(&entry.actor).filter(|_| entry.kind != EntryKind::Note) else {
        let actor = columns.index(&entry.actor);
        return html! {
            li.world data-line=[entry.line] {
                span.when { (show_elapsed(entry.at)) }
                span.said { @if let Some(actor) = actor { b.{ "h" (actor % HUES) } { (entry.actor) } " " } (text) }
            }
        };
    };
    let direction = if entry.kind == EntryKind::Sent { "sent" } else { "got" };
    html! {
        li.{ (direction) }.{ "h" (actor % HUES) }.near[columns.is_near(actor)].fault[at_fault] data-line=[entry.line] {
            span.when { (show_elapsed(entry.at)) }
            span.arrow style=(columns.span(actor)) {
                span.hear { (entry.actor) @if direction == "sent" { " to server: " } @else { " from server: " } }
                (said(&text))
            }
        }
    }
}

/// The first word is what kind of thing was said; the rest is what it held. A long text shows its beginning until it is pointed at.
fn said(text: &str) -> Markup {
    let (head, rest) = text.split_once(' ').unwrap_or((text, ""));
    html! { span.said tabindex="0" { b { (head) } @if !rest.is_empty() { " " (rest) } } }
}

/// What should have come and did not, as an arrow that is not there.
fn missing(failure: &Failure, columns: &Columns<'_>) -> Markup {
    let actor = columns.names.iter().position(|name| {
        failure.step.split([' ', '.', '@']).next() == Some(name.split(['.', '@']).next().unwrap_or(name))
    });
    let heading = match failure.phase {
        Phase::Preamble | Phase::Step => "expected ",
        Phase::End => "not expected here: ",
    };
    let text = clipped(if failure.phase == Phase::End { &failure.got } else { &failure.expected }, TEXT_CHARS_MAX);
    let sent_by_actor = failure.step.split_whitespace().nth(1) == Some(">");
    html! {
        @match actor {
            Some(actor) if !sent_by_actor => li.got.missing.{ "h" (actor % HUES) }.near[columns.is_near(actor)] data-line=(failure.line) {
                span.when { "" }
                span.arrow style=(columns.span(actor)) { span.said tabindex="0" { b { (heading) } (text) } }
            },
            Some(_) | None => li.world.missing data-line=(failure.line) { span.when { "" } span.said { b { (heading) } (text) } },
        }
    }
}
