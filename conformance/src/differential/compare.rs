//! Finds what no play of one server has in common with any play of the other.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{
    Difference, DifferenceKind, Plays, Seen,
    observe::{About, Ending, Failed, Observation, about},
    shape::{Parted, Piece, Place, Shape, masked, part, varying},
};
use crate::{
    case::Case,
    outcome::{ClauseReport, Level},
    report::filter_of,
};

/// A text in a difference is at most this long; the transcripts have the whole.
const SHOWN_CHARS_MAX: usize = 240;

/// Places in one event that are told one by one; where more differ, it is another event.
const PLACES_MAX: usize = 6;

/// Instead of a clause's words, where a difference was seen at places of several.
const EVERYWHERE: &str = "wherever it comes";

/// Where in a case the two part, and how.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) kind: DifferenceKind,
    pub(super) line: u32,
    pub(super) what: String,
    pub(super) first: String,
    pub(super) second: String,
    /// Of a failure: what it states.
    failed: Option<Box<Failed>>,
}

/// Where these plays of a case part; nothing where one play of each is alike.
pub(super) fn parts(first: &[Observation], second: &[Observation]) -> Vec<Part> {
    let mut found = Vec::new();
    let lines = |plays: &[Observation]| plays.iter().map(|play| play.ending.line()).collect::<BTreeSet<_>>();
    let (ends, other_ends) = (lines(first), lines(second));
    // Behind the line at which one of them was left, only the other has something to show.
    let until = ends.iter().chain(&other_ends).filter_map(|line| *line).min().unwrap_or(u32::MAX);
    let ends_alike = !ends.is_disjoint(&other_ends);
    if !ends_alike {
        found.extend(ending(first, second));
    }
    let places: BTreeSet<&(u32, String)> =
        first.iter().chain(second).flat_map(|play| play.places.keys()).filter(|(line, _)| *line < until).collect();
    for place in places {
        let at = |plays: &[Observation]| -> Vec<Vec<Shape>> {
            plays.iter().map(|play| play.places.get(place).cloned().unwrap_or_default()).collect()
        };
        found.extend(contents(place.0, at(first), at(second)));
    }
    if ends_alike && until == u32::MAX {
        found.extend(unasked(first, second));
    }
    found
}

fn ending(first: &[Observation], second: &[Observation]) -> Option<Part> {
    let (one, other) = (&first.first()?.ending, &second.first()?.ending);
    let failed = |ending: &Ending| if let Ending::Failed(failed) = ending { Some(failed.clone()) } else { None };
    // The one that fails earlier says where they part.
    let at = [failed(one), failed(other)].into_iter().flatten().min_by_key(|failed| failed.line)?;
    let words = |ending: &Ending| match ending {
        Ending::Failed(failed) if failed.line == at.line => format!("fails here: {}", clipped(&failed.got.show())),
        Ending::Failed(failed) => format!("goes on, and fails at line {}", failed.line),
        Ending::Held => "passes".to_owned(),
        Ending::NotRun(why) => why.clone(),
    };
    Some(Part {
        kind: DifferenceKind::Ending,
        line: at.line,
        what: clipped(&at.step),
        first: words(one),
        second: words(other),
        failed: Some(at),
    })
}

/// What came at one place, a list for each play.
fn contents(line: u32, mut first: Vec<Vec<Shape>>, mut second: Vec<Vec<Shape>>) -> Vec<Part> {
    mask(&mut first, &mut second);
    if first.iter().any(|one| second.contains(one)) {
        return Vec::new();
    }
    let differing = |a: &[Shape], b: &[Shape]| told(line, a, b);
    let pairs = first.iter().flat_map(|a| second.iter().map(move |b| (a, b)));
    pairs.map(|(a, b)| differing(a, b)).min_by_key(Vec::len).unwrap_or_default()
}

/// Puts `@varies` wherever the plays of one server differ among themselves.
fn mask(first: &mut [Vec<Shape>], second: &mut [Vec<Shape>]) {
    let form = |list: &[Shape]| -> Vec<String> { list.iter().map(Shape::skeleton).collect() };
    let mut varies: BTreeMap<Vec<String>, Vec<BTreeSet<Place>>> = BTreeMap::new();
    for side in [&*first, &*second] {
        let mut alike: BTreeMap<Vec<String>, Vec<&Vec<Shape>>> = BTreeMap::new();
        for list in side {
            alike.entry(form(list)).or_default().push(list);
        }
        for (form, lists) in alike {
            let length = form.len();
            let places = varies.entry(form).or_insert_with(|| vec![BTreeSet::new(); length]);
            for (i, places) in places.iter_mut().enumerate() {
                places.extend(varying(&lists.iter().map(|list| &list[i]).collect::<Vec<_>>()));
            }
        }
    }
    for list in first.iter_mut().chain(second.iter_mut()) {
        if let Some(places) = varies.get(&form(list)) {
            for (shape, places) in list.iter_mut().zip(places) {
                *shape = masked(shape, places);
            }
        }
    }
}

fn told(line: u32, first: &[Shape], second: &[Shape]) -> Vec<Part> {
    let content = |what: String, first: String, second: String| Part {
        kind: DifferenceKind::Content,
        line,
        what,
        first: clipped(&first),
        second: clipped(&second),
        failed: None,
    };
    let heads = |list: &[Shape]| list.iter().map(Shape::head).collect::<Vec<_>>();
    if heads(first) != heads(second) {
        // Something comes that does not come on the other side, or in another order.
        let words = |list: &[Shape]| if list.is_empty() { "nothing".to_owned() } else { heads(list).join(", ") };
        let event = |list: &[Shape]| list.iter().map(Shape::show).collect::<Vec<_>>().join(", ");
        return match (first, second) {
            ([one], [other]) => vec![content("what comes".to_owned(), one.show(), other.show())],
            (one, other) if one.is_empty() || other.is_empty() => {
                vec![content("what comes".to_owned(), or_nothing(event(one)), or_nothing(event(other)))]
            }
            (one, other) => vec![content("what comes, in this order".to_owned(), words(one), words(other))],
        };
    }
    let mut found = Vec::new();
    for (one, other) in first.iter().zip(second).filter(|(one, other)| one != other) {
        found.extend(inside(one, other).into_iter().map(|(what, a, b)| content(what, a, b)));
    }
    found
}

fn or_nothing(text: String) -> String {
    if text.is_empty() { "nothing".to_owned() } else { text }
}

/// The places inside an event or answer at which the two part.
fn inside(one: &Shape, other: &Shape) -> Vec<(String, String, String)> {
    let whole = || vec![(one.head(), one.show(), other.show())];
    if one.skeleton() != other.skeleton() {
        return whole();
    }
    let mut found = Vec::new();
    let several = one.0.iter().filter(|piece| matches!(piece, Piece::Json(_))).count() > 1;
    for (number, pieces) in one.0.iter().zip(&other.0).enumerate() {
        let (Piece::Json(a), Piece::Json(b)) = pieces else {
            if pieces.0 != pieces.1 {
                return whole();
            }
            continue;
        };
        let mut parted = Vec::new();
        part(Some(a), Some(b), &mut Vec::new(), &mut parted);
        for Parted { path, a, b } in parted {
            let argument = if several { format!(" argument {number}") } else { String::new() };
            let path: String = path.iter().map(|key| step_into(key)).collect();
            // A field that only one has is one difference, whatever stands in it.
            let lacks = a.is_none() || b.is_none();
            let show = |value: Option<Value>| match value {
                None => "absent".to_owned(),
                Some(value) if lacks => kind(&value).to_owned(),
                Some(value) => value.to_string(),
            };
            let parting = (format!("{}{argument} {path}", one.head()).trim_end().to_owned(), show(a), show(b));
            if !found.contains(&parting) {
                found.push(parting);
            }
        }
    }
    if found.len() > PLACES_MAX { whole() } else { found }
}

/// A step of a path: a field, or any element of an array.
fn step_into(key: &str) -> String {
    if key.bytes().all(|byte| byte.is_ascii_digit()) { "[]".to_owned() } else { format!(".{key}") }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "@bool",
        Value::Number(_) => "@number",
        Value::String(_) => "@string",
        Value::Array(_) => "@array",
        Value::Object(_) => "@object",
    }
}

/// What each play of one server sends unasked, and no play of the other.
fn unasked(first: &[Observation], second: &[Observation]) -> Vec<Part> {
    let kinds = |play: &Observation| -> BTreeSet<String> { play.unasked.values().flatten().map(Shape::head).collect() };
    let always = |plays: &[Observation]| -> BTreeSet<String> {
        let mut plays = plays.iter().map(kinds);
        let first = plays.next().unwrap_or_default();
        plays.fold(first, |all, play| all.intersection(&play).cloned().collect())
    };
    let ever = |plays: &[Observation]| -> BTreeSet<String> {
        // What a line took was asked for here; that it came is the same.
        let asked = plays.iter().flat_map(|play| play.places.values().flatten().map(Shape::head));
        plays.iter().flat_map(kinds).chain(asked).collect()
    };
    let only = |these: &[Observation], those: &[Observation]| -> Vec<String> {
        always(these).difference(&ever(those)).cloned().collect()
    };
    let part = |what: String, first: &str, second: &str| Part {
        kind: DifferenceKind::Unasked,
        line: 0,
        what,
        first: first.to_owned(),
        second: second.to_owned(),
        failed: None,
    };
    let mine = only(first, second).into_iter().map(|what| part(what, "sends it", "does not"));
    let theirs = only(second, first).into_iter().map(|what| part(what, "does not", "sends it"));
    mine.chain(theirs).collect()
}

/// All differences, each told once with every case in which it was seen.
pub(super) fn differences(plays: &Plays, cases: &BTreeMap<&str, &Case>, clauses: &[ClauseReport]) -> Vec<Difference> {
    let mut found: Vec<Difference> = Vec::new();
    for (name, (first, second)) in &plays.both {
        let Some(case) = cases.get(filter_of(name)) else { continue };
        for part in parts(first, second) {
            let seen = Seen { case: name.clone(), line: part.line, step: step_of(case, part.line) };
            let difference = difference(part, case, clauses);
            // What one has instead of the other is told once, wherever it comes; how a case ends belongs to its clause.
            let is_same = |known: &&mut Difference| {
                known.kind == difference.kind
                    && (known.kind == DifferenceKind::Content || known.clause == difference.clause)
                    && known.what == difference.what
                    && (&known.first, &known.second) == (&difference.first, &difference.second)
            };
            let Some(known) = found.iter_mut().find(is_same) else {
                found.push(Difference { seen: vec![seen], ..difference });
                continue;
            };
            if known.words != difference.words {
                (known.clause, known.level) = (None, None);
                EVERYWHERE.clone_into(&mut known.words);
            }
            if known.seen.last() != Some(&seen) {
                known.seen.push(seen);
            }
        }
    }
    let order = |id: &Option<crate::outcome::ClauseId>| {
        id.as_ref().and_then(|id| clauses.iter().position(|clause| clause.id == *id))
    };
    let weight = |one: &Difference| std::cmp::Reverse(one.level.unwrap_or(Level::May));
    found.sort_by(|a, b| {
        (a.kind, weight(a), order(&a.clause), &a.what).cmp(&(b.kind, weight(b), order(&b.clause), &b.what))
    });
    found
}

fn difference(part: Part, case: &Case, clauses: &[ClauseReport]) -> Difference {
    let place = match &part.failed {
        Some(failed) => About::Clause(failed.clause.clone()),
        None if part.kind == DifferenceKind::Unasked => About::Nothing,
        None => about(case, part.line),
    };
    let (clause, level, words) = match place {
        About::Clause(id) => {
            let known = clauses.iter().find(|clause| clause.id == id);
            let level = part.failed.as_ref().map(|failed| failed.level).or(known.map(|clause| clause.level));
            (Some(id), level, known.map_or_else(String::new, |clause| clause.text.clone()))
        }
        About::Preamble(name) => (None, None, format!("how actors come in (`{name}`)")),
        About::Nothing => (None, None, "what no line asks for".to_owned()),
    };
    let Part { kind, what, first, second, .. } = part;
    Difference { kind, clause, level, words, what, first, second, seen: Vec::new() }
}

fn step_of(case: &Case, line: u32) -> String {
    let line = (line as usize).checked_sub(1).and_then(|line| case.source.lines().nth(line));
    clipped(line.unwrap_or_default().trim())
}

fn clipped(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text.to_owned(),
    }
}
