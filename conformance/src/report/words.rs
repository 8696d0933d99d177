//! The small texts that all reports share.

use std::time::Duration;

use crate::{
    clocks::{Distribution, Timeliness, calibration, distributions},
    outcome::{CaseReport, CheckReport, Entry, EntryKind, RunReport},
    target::command_of,
};

/// `840 ms`, `3.20 s`, `2 m 05 s`.
#[must_use]
pub fn show_elapsed(elapsed: Duration) -> String {
    let ms = elapsed.as_millis();
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{:.2} s", elapsed.as_secs_f64()),
        _ => format!("{} m {:02} s", elapsed.as_secs() / 60, elapsed.as_secs() % 60),
    }
}

/// The name of a case without its transport: what `--filter` takes.
#[must_use]
pub fn filter_of(name: &str) -> &str {
    name.split_once(" [").map_or(name, |(name, _)| name)
}

/// The command that runs one case alone on the same target.
#[must_use]
pub fn rerun_command(report: &RunReport, case: &str) -> String {
    let transport = case.split_once(" [").map(|(_, rest)| format!(" --transport {}", rest.trim_end_matches(']')));
    format!("{}{} --filter {}", check_command(report), transport.unwrap_or_default(), single_quoted(filter_of(case)))
}

fn check_command(report: &RunReport) -> String {
    let strict = if report.strict { " --strict" } else { "" };
    let target = match report.origin.as_str() {
        "reference" => format!(" --dialect {}", quote(&report.dialect)),
        "reference on containers" => format!(" --dialect {} --backends containers", quote(&report.dialect)),
        url if url.contains("://") => format!(" --dialect {} --url {}", quote(&report.dialect), quote(url)),
        file => format!(" --target {}", quote(file)),
    };
    let target = command_of(&report.origin).map_or(target, |command| format!(" --client {}", quote(command)));
    format!("chatwright check{target}{strict}")
}

/// What no case plays, under its heading; nothing where there is no such thing.
pub(super) fn not_judged_lines(report: &RunReport) -> Vec<String> {
    if report.not_judged.is_empty() {
        return Vec::new();
    }
    let parts = report.not_judged.iter().map(|part| format!("  {} of {}: {}", part.what, part.spec, part.reason));
    ["", "not run for anybody, and counted nowhere"].map(ToOwned::to_owned).into_iter().chain(parts).collect()
}

/// Where below the folder of reports the scripts of failures lie.
const SCRIPTS: &str = "failures";

/// The script of a case: its path below the folder of reports, without the ending.
fn script_path(report: &RunReport, case: &CaseReport) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '.' };
    let name: String = case.name.replace(" [", ".").replace(']', "").chars().map(plain).collect();
    if name.starts_with(&format!("{}.", report.dialect)) {
        format!("{SCRIPTS}/{name}")
    } else {
        format!("{SCRIPTS}/{}.{name}", report.dialect)
    }
}

/// The files that show failures alone, by their paths below the folder of reports.
#[must_use]
pub fn scripts(report: &CheckReport) -> Vec<(String, &str)> {
    let mut files = Vec::new();
    for run in &report.runs {
        for case in &run.cases {
            let Some(script) = &case.script else { continue };
            files.push((format!("{}.case", script_path(run, case)), script.case.as_str()));
            files.extend(script.curl.as_ref().map(|curl| (format!("{}.sh", script_path(run, case)), curl.as_str())));
        }
    }
    files
}

/// What shows a failure alone: the cut case played, and the shell's lines where there are some. Nothing where no files were written.
pub(super) fn script_commands(report: &RunReport, case: &CaseReport) -> Vec<String> {
    let Some((script, folder)) = case.script.as_ref().and_then(|script| Some((script, script.folder.as_ref()?))) else {
        return Vec::new();
    };
    let transport = match case.name.split_once(" [") {
        Some((_, name)) => format!(" --transport {}", name.trim_end_matches(']')),
        None => String::new(),
    };
    let path = format!("{folder}/{}", script_path(report, case));
    let mut commands = vec![format!("{} --cases {}{transport}", check_command(report), quote(&format!("{path}.case")))];
    commands.extend(script.curl.as_ref().map(|_| format!("sh {}", quote(&format!("{path}.sh")))));
    commands
}

fn quote(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-:=@".contains(c);
    if !text.is_empty() && text.chars().all(plain) { text.to_owned() } else { single_quoted(text) }
}

fn single_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// What an actor does that is no event.
const DEEDS: [&str; 14] = [
    "connects", "tries", "opens", "upgrades", "leaves", "closes", "dials", "requests", "sends", "drops", "returns",
    "stops", "resumes", "answers",
];
/// What an actor gets that is no event.
const THINGS: [&str; 8] = ["packet", "text", "binary", "ping", "pong", "close", "end", "bytes"];

/// One entry as a line of the case language; what the language cannot say is a comment.
#[must_use]
pub fn transcript_line(entry: &Entry) -> String {
    let (actor, text) = (&entry.actor, &entry.text);
    let head = text.split(' ').next().unwrap_or_default();
    let is_status = head.len() == 3 && head.bytes().all(|byte| byte.is_ascii_digit());
    match entry.kind {
        EntryKind::Sent if DEEDS.contains(&head) => format!("{actor} {text}"),
        EntryKind::Sent => format!("{actor} > {text}"),
        EntryKind::Received if THINGS.contains(&head) => format!("{actor} gets {text}"),
        EntryKind::Received if is_status => format!("{actor} answered {text}"),
        EntryKind::Received => format!("{actor} < {text}"),
        EntryKind::Note if actor.is_empty() => format!("# {text}"),
        EntryKind::Note => format!("# {actor} {text}"),
    }
}

/// A text of at most so many characters, with a word on what was left out. What a server says must not steer the reader's
/// terminal: control characters are shown, not sent.
pub(super) fn clipped(text: &str, chars_max: usize) -> String {
    let (shown, left_out) = match text.char_indices().nth(chars_max) {
        None => (text, 0),
        Some((at, _)) => (&text[..at], text.len() - at),
    };
    let mut clean = String::with_capacity(shown.len());
    for c in shown.chars() {
        if c.is_control() && c != '\n' {
            clean.extend(c.escape_default());
        } else {
            clean.push(c);
        }
    }
    if left_out > 0 {
        clean.push_str(&format!(" … (+{left_out} bytes)"));
    }
    clean
}

/// A line for each clock that was measured, and then one for the judge itself.
pub(super) fn clock_lines(report: &RunReport) -> Vec<(String, Timeliness)> {
    let clocks = distributions(report);
    if clocks.is_empty() {
        return Vec::new();
    }
    let line = |clock: &Distribution| {
        let verdict = clock.timeliness();
        let latest = clock.latest.map_or_else(|| "any time".to_owned(), show_elapsed);
        let about = format!(
            "clock {}, {}: {} measured, {} judged; min {}, median {}, max {}; tolerance {} to {latest}: {}",
            clock.clock,
            show_elapsed(clock.nominal),
            clock.measured.len(),
            clock.judged,
            show_elapsed(clock.min()),
            show_elapsed(clock.median()),
            show_elapsed(clock.max()),
            show_elapsed(clock.earliest),
            verdict.as_str()
        );
        (about, verdict)
    };
    let judge = calibration(report);
    let about = format!(
        "judge: at most {} ms late, loopback round trips at most {} ms, cases played again: {}",
        judge.task_ms, judge.loopback_ms, judge.repeated
    );
    clocks.iter().map(line).chain([(about, Timeliness::OnTime)]).collect()
}
