//! A conversation that is nothing but HTTP, as lines for a shell.

use std::fmt::Write as _;

use regex::Regex;

use crate::{
    case::{Act, Case, Step, StepAct},
    outcome::{CaseReport, EntryKind, Exchange, Failure},
};

/// The lines; `None` where the case does more than ask and be answered, or needs what only the judge has.
pub(super) fn lines(case: &Case, failure: &Failure, played: &CaseReport) -> Option<String> {
    let asks = |step: &Step| {
        matches!(&step.act, StepAct::Actor { does: Act::Requests(_) | Act::Answered(..), .. } | StepAct::Wait(_))
    };
    if case.own.is_some() || !case.steps.iter().all(asks) || case.needs.iter().any(|need| need == "auth-stub") {
        return None;
    }
    let exchanges: Vec<&Exchange> = played.transcript.exchanges.iter().filter(|one| one.line <= failure.line).collect();
    if exchanges.is_empty() || exchanges.iter().any(|one| std::str::from_utf8(&one.body).is_err()) {
        return None;
    }
    let mut text = format!(
        "#!/bin/sh\n# {}\n# {} {}: expected {}\n# got: {}\n",
        plain(&case.title),
        failure.clause.0,
        failure.level,
        plain(&failure.expected),
        plain(&failure.got)
    );
    text.push_str("# Start the server with the same secret; BASE is where it listens. Tokens are those of the run, and end some day.\n");
    let _infallible = writeln!(text, "BASE=${{BASE:-{}}}", exchanges[0].base);
    let captures = captures(played, &exchanges);
    for (i, exchange) in exchanges.iter().enumerate() {
        let line = curl(exchange, exchanges[0], &captures);
        match captures.iter().find(|capture| capture.from == i) {
            None => text.push_str(&line),
            Some(Capture { variable, expression, .. }) => {
                let _infallible = write!(
                    text,
                    "answer=$({line})\nprintf '%s\\n' \"$answer\"\n{variable}=$(printf '%s' \"$answer\" | sed -n {} | head -n 1)",
                    quoted(expression)
                );
            }
        }
        text.push_str("\necho\n");
    }
    Some(text)
}

/// A value of an answer that a later request says.
struct Capture<'a> {
    value: &'a str,
    variable: String,
    /// Of the exchange whose answer has it.
    from: usize,
    expression: String,
}

/// Values that the case has captured, and that stand in a request behind the answer from which they are.
fn captures<'a>(played: &'a CaseReport, exchanges: &[&Exchange]) -> Vec<Capture<'a>> {
    let mut found: Vec<Capture<'a>> = Vec::new();
    let answers = |line_after: u32, until: u32| {
        played.transcript.entries.iter().filter(move |entry| {
            entry.kind == EntryKind::Received && entry.line.is_some_and(|line| line > line_after && line <= until)
        })
    };
    for (value, name) in &played.transcript.names {
        let said = |one: &&Exchange| one.path.contains(value) || String::from_utf8_lossy(&one.body).contains(value);
        let Some(first) = exchanges.iter().position(said) else { continue };
        let Ok(around) = Regex::new(&format!("\"(\\w+)\" ?: ?\"{}\"", regex::escape(value))) else { continue };
        for (from, exchange) in exchanges.iter().enumerate().take(first) {
            let until = exchanges[from + 1..].first().map_or(u32::MAX, |next| next.line);
            let key = answers(exchange.line, until).find_map(|entry| Some(around.captures(&entry.text)?[1].to_owned()));
            if let Some(key) = key {
                let variable: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
                let expression = format!("s/.*\"{key}\" *: *\"\\([^\"]*\\)\".*/\\1/p");
                found.push(Capture { value, variable, from, expression });
                break;
            }
        }
    }
    found
}

fn curl(exchange: &Exchange, first: &Exchange, captures: &[Capture]) -> String {
    // Captured values become variables: outside the single quotes.
    let said = |text: &str| {
        captures
            .iter()
            .fold(quoted(text), |text, capture| text.replace(capture.value, &format!("'\"${}\"'", capture.variable)))
    };
    let base = if exchange.base == first.base { "\"$BASE\"".to_owned() } else { quoted(&exchange.base) };
    let mut line = format!("curl -sS -i --max-time 10 -X {} {base}{}", exchange.method, said(&exchange.path));
    for (name, value) in &exchange.headers {
        let _infallible = write!(line, " \\\n  -H {}", said(&format!("{name}: {value}")));
    }
    if !exchange.body.is_empty() {
        let _infallible = write!(line, " \\\n  --data-raw {}", said(&String::from_utf8_lossy(&exchange.body)));
    }
    line
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn plain(text: &str) -> String {
    text.replace('\n', " ")
}
