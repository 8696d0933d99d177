//! Parses a whole case file, or the steps of a preamble: header lines first, then one step per line.

use super::{
    ast::{Case, Step, StepAct},
    cursor::{CaseError, Cursor, Parsed},
    parse_header::{HEADERS, header},
    parse_pattern::variable,
    parse_step,
    parse_value::{span, value},
    parse_world,
};

/// Words that start a line of their own and so cannot name an actor.
pub(super) const RESERVED: [&str; 20] = [
    "clause", "needs", "within", "manual", "let", "own", "with", "without", "dotenv", "use", "wait", "repeat", "retry",
    "end", "auth", "target", "backend", "ear", "limits", "timing",
];

/// How deep blocks may nest: two loops say all that a case should say.
const BLOCK_DEPTH_MAX: usize = 4;

/// What the parser needs to know about where a text stands.
pub(super) struct Source<'a> {
    pub(super) file: &'a str,
    pub(super) lines: Vec<&'a str>,
    /// The SPEC that `§5.1` means: `rooms`, `engine-io`, ...
    pub(super) spec: String,
}

/// Reads a case. `file` is for errors, `name` becomes the case's name.
///
/// # Errors
/// [`CaseError`] names the place and says what was expected there.
pub fn parse_case(file: &str, name: &str, text: &str) -> Result<Case, CaseError> {
    let mut source =
        Source { file, lines: text.lines().collect(), spec: name.split('/').next().unwrap_or(name).to_owned() };
    let mut case = empty_case(name, text);
    let mut at = title(&source, &mut case)?;
    while at < source.lines.len() {
        let (mut c, spanned) = Cursor::over(file, &source.lines, at);
        if !c.at_end() && !header(&mut c, &mut case)? {
            break;
        }
        if let Some(first) = case.clauses.first() {
            source.spec = first.0.rsplit_once('/').map_or(first.0.as_str(), |(spec, _)| spec).to_owned();
        }
        at += spanned;
    }
    if case.clauses.is_empty() {
        let (c, _) = Cursor::over(file, &source.lines, 0);
        return Err(
            c.error_at(0, "expected a header line `clause SPEC/NUMBER`: a case names the clauses that it proves")
        );
    }
    if case.own.is_none() && case.needs.iter().any(|need| need.starts_with("port")) {
        let (c, _) = Cursor::over(file, &source.lines, 0);
        return Err(c.error_at(0, "`needs port=N` is for an instance of the case's own: add the line `own instance`"));
    }
    case.steps = steps(&source, &mut at, 0)?;
    super::names::check(file, &case)?;
    Ok(case)
}

/// Reads the steps of a preamble or a fence; `spec` is what `§5.1` means there.
///
/// # Errors
/// [`CaseError`] names the place and says what was expected there.
pub fn parse_steps(file: &str, spec: &str, text: &str) -> Result<Vec<Step>, CaseError> {
    let source = Source { file, lines: text.lines().collect(), spec: spec.to_owned() };
    steps(&source, &mut 0, 0)
}

fn empty_case(name: &str, text: &str) -> Case {
    Case {
        name: name.to_owned(),
        title: String::new(),
        clauses: Vec::new(),
        needs: Vec::new(),
        within: None,
        manual_pings: false,
        lets: Vec::new(),
        own: None,
        steps: Vec::new(),
        source: text.to_owned(),
    }
}

fn title(source: &Source, case: &mut Case) -> Parsed<usize> {
    let first = source.lines.first().copied().unwrap_or_default();
    let title = first.trim_start().strip_prefix('#').map(str::trim).unwrap_or_default();
    if title.is_empty() {
        let (c, _) = Cursor::over(source.file, if source.lines.is_empty() { &[""] } else { &source.lines }, 0);
        return Err(c.error_at(0, "expected `# TITLE`: the first line of a case says what it proves"));
    }
    title.clone_into(&mut case.title);
    Ok(1)
}

/// Reads steps up to the end of the text, or to the `end` of a block.
fn steps(source: &Source, at: &mut usize, depth: usize) -> Parsed<Vec<Step>> {
    let mut steps: Vec<Step> = Vec::new();
    while *at < source.lines.len() {
        let (mut c, spanned) = Cursor::over(source.file, &source.lines, *at);
        let line = u32::try_from(*at + 1).unwrap_or(u32::MAX);
        if c.at_end() {
            *at += spanned;
            continue;
        }
        if c.eat_word("end") {
            return if depth == 0 { Err(c.error_at(0, "`end` without a `repeat` or `retry`")) } else { Ok(steps) };
        }
        *at += spanned;
        if c.eat_word("repeat") {
            steps.push(repeat(source, c, line, at, depth)?);
            continue;
        }
        if c.eat_word("retry") {
            steps.push(retry(source, c, line, at, depth)?);
            continue;
        }
        step(source, &mut c, line, &mut steps)?;
        if !c.at_end() {
            return Err(c.expected("the end of the line"));
        }
    }
    if depth == 0 {
        return Ok(steps);
    }
    let (c, _) = Cursor::over(source.file, &source.lines, source.lines.len().saturating_sub(1));
    Err(c.error("expected `end` of a `repeat` or `retry` before the end of the file"))
}

fn repeat(source: &Source, mut c: Cursor, line: u32, at: &mut usize, depth: usize) -> Parsed<Step> {
    let name = variable(&mut c)?;
    c.blanks();
    let from = value(&mut c)?;
    c.expect("..")?;
    let to = value(&mut c)?;
    Ok(Step { line, act: StepAct::Repeat { name, from, to, steps: block(source, &mut c, at, depth)? } })
}

fn retry(source: &Source, mut c: Cursor, line: u32, at: &mut usize, depth: usize) -> Parsed<Step> {
    if !c.eat_word("within") {
        return Err(c.expected("`within` and for how long"));
    }
    let within = span(&mut c)?;
    Ok(Step { line, act: StepAct::Retry { within, steps: block(source, &mut c, at, depth)? } })
}

/// The steps up to the block's `end`, from behind its first line.
fn block(source: &Source, c: &mut Cursor, at: &mut usize, depth: usize) -> Parsed<Vec<Step>> {
    if depth >= BLOCK_DEPTH_MAX {
        return Err(c.error_at(0, "blocks nest too deep"));
    }
    if !c.at_end() {
        return Err(c.expected("the end of the line"));
    }
    let inner = steps(source, at, depth + 1)?;
    *at += 1;
    Ok(inner)
}

fn step(source: &Source, c: &mut Cursor, line: u32, steps: &mut Vec<Step>) -> Parsed<()> {
    let word = c.peek_word();
    if HEADERS.contains(&word.as_str()) {
        return Err(c.error(&format!("`{word}` is a header line: it stands before the first step")));
    }
    if let Some(act) = parse_world::world(source, c)? {
        steps.push(Step { line, act });
        return Ok(());
    }
    let actor = parse_step::actor_name(c)?;
    c.blanks();
    if c.eat("&") {
        c.blanks();
        let expected = parse_step::expected(source, c, line)?;
        return parse_step::join_group(c, steps, &actor, expected);
    }
    let does = parse_step::act(source, c, line)?;
    steps.push(Step { line, act: StepAct::Actor { actor, does } });
    Ok(())
}
