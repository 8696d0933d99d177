//! The report for the terminal: only what matters, failures in full, and the counts at the very end.

use std::{collections::BTreeMap, fmt::Write as _};

use super::{
    Coverage, Summary, clause, names, shared_line,
    words::{
        clipped, clock_lines, filter_of, not_judged_lines, rerun_command, script_commands, show_elapsed,
        transcript_line,
    },
};
use crate::clocks::Timeliness;
use crate::outcome::{CaseReport, CheckReport, EntryKind, Failure, Phase, RunReport, Verdict};

/// What a stretch of text is; a style decides how that looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Something to read first.
    Heading,
    /// It is well.
    Good,
    /// It is not.
    Bad,
    /// It may be.
    Doubtful,
    /// What surrounds the rest.
    Quiet,
    /// What can be copied and run.
    Command,
}

/// How roles look.
pub trait Style {
    /// The text with whatever makes it look so around it.
    fn paint(&self, role: Role, text: &str) -> String;
}

/// No colours: for files, pipes and `NO_COLOR`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Plain;

impl Style for Plain {
    fn paint(&self, _role: Role, text: &str) -> String {
        text.to_owned()
    }
}

/// The sixteen colours that every terminal has, in the shades that its owner chose.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ansi;

impl Style for Ansi {
    fn paint(&self, role: Role, text: &str) -> String {
        let code = match role {
            Role::Heading => "1",
            Role::Good => "32",
            Role::Bad => "1;31",
            Role::Doubtful => "33",
            Role::Quiet => "2",
            Role::Command => "36",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

/// Lines of a transcript around its end that are shown; the HTML report has all of them.
const TRANSCRIPT_LINES_MAX: usize = 60;
/// Longer lines are cut.
const LINE_CHARS_MAX: usize = 400;
/// Failures shown in full; a server that fails everything is not helped by a thousand transcripts.
const FULL_FAILURES_MAX: usize = 20;
/// Names in one list.
const NAMES_MAX: usize = 12;

/// The whole report; its last line is `N passed, N failed`, with `, N not run` where so.
#[must_use]
pub fn render(report: &CheckReport, style: &dyn Style) -> String {
    let mut text: String = report.runs.iter().map(|run| one_run(run, style)).collect::<Vec<_>>().join("\n\n");
    if report.runs.len() > 1 {
        text.push('\n');
        text.push_str(&style.paint(Role::Heading, &format!("dialects, in {}", show_elapsed(report.elapsed))));
        text.push('\n');
        let width = report.runs.iter().map(|run| run.dialect.len()).max().unwrap_or_default();
        for run in &report.runs {
            text.push_str(&dialect_line(run, width, style));
        }
    }
    let summary = Summary::total(report);
    let role = if summary.failed > 0 { Role::Bad } else { Role::Good };
    text.push('\n');
    text.push_str(&style.paint(role, &summary.last_line()));
    text.push('\n');
    text
}

/// One dialect of several, in a line.
fn dialect_line(run: &RunReport, width: usize, style: &dyn Style) -> String {
    let summary = Summary::of(run);
    let role = if summary.failed > 0 { Role::Bad } else { Role::Good };
    let wire = Coverage::wire_must(run);
    let (must, deployment) = (Coverage::deployment_must(run), Coverage::deployment(run));
    let about = format!(
        "not strict {}, otherwise {}, known failures {}; MUST clauses: wire {} of {}, deployment {} of {} ({} of {} of all levels); {}",
        summary.non_strict,
        summary.otherwise,
        summary.known_failures,
        wire.named,
        wire.clauses,
        must.named,
        must.clauses,
        deployment.named,
        deployment.clauses,
        show_elapsed(run.elapsed)
    );
    format!(
        "  {:width$}  {}  {}\n",
        run.dialect,
        style.paint(role, &summary.last_line()),
        style.paint(Role::Quiet, &about)
    )
}

fn one_run(report: &RunReport, style: &dyn Style) -> String {
    let mut page = Page { report, style, text: String::new() };
    page.head();
    page.failures();
    page.surprises();
    page.kept_otherwise();
    page.known_failures();
    page.inconclusive();
    page.not_run();
    page.clocks();
    page.unproven();
    page.coverage();
    page.text
}

struct Page<'a> {
    report: &'a RunReport,
    style: &'a dyn Style,
    text: String,
}

impl Page<'_> {
    fn line(&mut self, text: impl AsRef<str>) {
        self.text.push_str(text.as_ref().trim_end());
        self.text.push('\n');
    }

    fn paint(&self, role: Role, text: impl AsRef<str>) -> String {
        self.style.paint(role, text.as_ref())
    }

    fn with(&self, verdict: Verdict) -> Vec<CaseReport> {
        self.report.cases.iter().filter(|case| case.verdict == verdict).cloned().collect()
    }

    fn head(&mut self) {
        let report = self.report;
        let strict = if report.strict { ", strict" } else { "" };
        let about = format!(
            "{} cases in {}, dialect {}, seed {}{strict}",
            report.cases.len(),
            show_elapsed(report.elapsed),
            report.dialect,
            report.seed
        );
        let name = self.paint(Role::Heading, &report.target);
        let origin = if report.origin == report.target {
            String::new()
        } else {
            self.paint(Role::Quiet, format!(" ({})", report.origin))
        };
        self.line(format!("{name}{origin}: {about}"));
        if let Some(shared) = shared_line(report) {
            let line = self.paint(Role::Quiet, format!("  {shared}"));
            self.line(line);
        }
        for adapted in &report.adapted {
            let line = self.paint(Role::Quiet, format!("  adapted: {adapted}"));
            self.line(line);
        }
    }

    fn failures(&mut self) {
        let failed = self.with(Verdict::Fail);
        for case in failed.iter().take(FULL_FAILURES_MAX) {
            self.failure(case);
        }
        if failed.len() > FULL_FAILURES_MAX {
            let rest = names(&failed[FULL_FAILURES_MAX..]);
            self.line("");
            let heading = self.paint(Role::Bad, format!("and {} more failed", failed.len() - FULL_FAILURES_MAX));
            self.line(heading);
            self.name_list(rest.into_iter());
        }
    }

    fn failure(&mut self, case: &CaseReport) {
        self.line("");
        let head = format!("{} {}", self.paint(Role::Bad, "FAIL"), self.paint(Role::Heading, &case.name));
        self.line(head);
        self.line(format!("  {}", case.title));
        let Some(failure) = &case.failure else {
            self.line(format!("  {}", case.reason.as_deref().unwrap_or("without a reason")));
            return;
        };
        let words = clause(self.report, &failure.clause).map_or("(not in the SPEC)", |clause| clause.text.as_str());
        let citation = self.paint(Role::Doubtful, format!("{} {}", failure.clause.0, failure.level));
        self.line(format!("  {citation} {words}"));
        self.line("");
        self.difference(failure);
        self.line("");
        self.transcript(case, failure);
        self.line("");
        for command in [rerun_command(self.report, &case.name)].into_iter().chain(script_commands(self.report, case)) {
            let command = self.paint(Role::Command, command);
            self.line(format!("  {command}"));
        }
    }

    fn difference(&mut self, failure: &Failure) {
        let place = match failure.phase {
            Phase::Preamble => format!("line {} (preamble: says nothing about the clauses of the case)", failure.line),
            Phase::Step => format!("line {}", failure.line),
            Phase::End => format!("line {} (at the end)", failure.line),
        };
        let rows = [
            (Role::Quiet, place.as_str(), failure.step.as_str()),
            (Role::Good, "expected", &failure.expected),
            (Role::Bad, "got", &failure.got),
        ];
        for (role, what, text) in rows {
            let what = self.paint(role, format!("{what:<9}"));
            self.line(format!("  {what} {}", clipped(text, LINE_CHARS_MAX)));
        }
        if !failure.why.is_empty() {
            let what = self.paint(Role::Bad, format!("{:<9}", "differs"));
            self.line(format!("  {what} {}", clipped(&failure.why, LINE_CHARS_MAX)));
        }
    }

    fn transcript(&mut self, case: &CaseReport, failure: &Failure) {
        let entries = &case.transcript.entries;
        let hidden = entries.len().saturating_sub(TRANSCRIPT_LINES_MAX);
        if hidden > 0 {
            let line = self.paint(Role::Quiet, format!("  {:>9}  ... {hidden} lines before", ""));
            self.line(line);
        }
        for entry in &entries[hidden..] {
            let at = self.paint(Role::Quiet, format!("{:>9}", show_elapsed(entry.at)));
            let text = clipped(&transcript_line(entry), LINE_CHARS_MAX);
            let text = match entry.kind {
                EntryKind::Note => self.paint(Role::Quiet, text),
                EntryKind::Received if entry.line == Some(failure.line) => self.paint(Role::Bad, text),
                EntryKind::Sent | EntryKind::Received => text,
            };
            self.line(format!("  {at}  {text}"));
        }
    }

    fn surprises(&mut self) {
        let cases = self.with(Verdict::UnexpectedPass);
        self.section(Role::Bad, "passed although listed as failing; take them off the list", &cases, |case| {
            case.reason.clone().unwrap_or_default()
        });
    }

    fn kept_otherwise(&mut self) {
        let about = |case: &CaseReport| {
            let about = |failure: &Failure| match failure.why.as_str() {
                "" => format!("{}: expected {}, got {}", failure.clause.0, failure.expected, failure.got),
                why => format!("{}: {why}", failure.clause.0),
            };
            case.failure.as_ref().map(about).unwrap_or_default()
        };
        let cases = self.with(Verdict::NonStrict);
        let heading = "not strict: a SHOULD is kept otherwise (a failure with --strict)";
        self.section(Role::Doubtful, heading, &cases, about);
        let cases = self.with(Verdict::Otherwise);
        let heading = "otherwise than the reference, where no clause judges (REF, MAY)";
        self.section(Role::Quiet, heading, &cases, about);
    }

    fn known_failures(&mut self) {
        let cases = self.with(Verdict::KnownFailure);
        self.section(Role::Doubtful, "known failures", &cases, |case| case.reason.clone().unwrap_or_default());
    }

    /// One short line per case.
    fn section(&mut self, role: Role, heading: &str, cases: &[CaseReport], about: impl Fn(&CaseReport) -> String) {
        if cases.is_empty() {
            return;
        }
        self.line("");
        let heading = self.paint(role, heading);
        self.line(heading);
        for case in cases {
            let about = self.paint(Role::Quiet, clipped(&about(case).replace('\n', " "), LINE_CHARS_MAX));
            self.line(format!("  {}  {about}", case.name));
        }
    }

    fn inconclusive(&mut self) {
        let cases = self.with(Verdict::Inconclusive);
        self.section(
            Role::Doubtful,
            "inconclusive: they failed by time alone, and the judge was late itself; play them on a quieter machine",
            &cases,
            |case| case.reason.clone().unwrap_or_default(),
        );
    }

    fn clocks(&mut self) {
        for (i, (about, verdict)) in clock_lines(self.report).into_iter().enumerate() {
            if i == 0 {
                self.line("");
            }
            let role = if verdict == Timeliness::OnTime { Role::Quiet } else { Role::Doubtful };
            let line = self.paint(role, about);
            self.line(line);
        }
    }

    fn not_run(&mut self) {
        not_judged_lines(self.report).into_iter().for_each(|line| self.line(clipped(&line, LINE_CHARS_MAX)));
        let mut by_reason: BTreeMap<String, Vec<CaseReport>> = BTreeMap::new();
        for case in self.with(Verdict::NotRun) {
            by_reason
                .entry(case.reason.clone().unwrap_or_else(|| "no reason given".to_owned()))
                .or_default()
                .push(case);
        }
        if by_reason.is_empty() {
            return;
        }
        self.line("");
        let heading = self.paint(Role::Doubtful, "not run");
        self.line(heading);
        for (reason, cases) in &by_reason {
            self.line(format!("  {reason}: {}", cases.len()));
            self.name_list(names(cases).into_iter());
        }
    }

    fn unproven(&mut self) {
        let unproven = names(self.report.cases.iter().filter(|case| !case.proven));
        if unproven.is_empty() {
            return;
        }
        self.line("");
        let heading = self.paint(
            Role::Doubtful,
            format!("unproven, for no wrong server is known that they catch: {}", unproven.len()),
        );
        self.line(heading);
        self.name_list(unproven.into_iter());
    }

    fn name_list<'n>(&mut self, names: impl ExactSizeIterator<Item = &'n str>) {
        let count = names.len();
        let mut list = String::new();
        for (i, name) in names.take(NAMES_MAX).enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            let _infallible = write!(list, "{comma}{}", filter_of(name));
        }
        if count > NAMES_MAX {
            let _infallible = write!(list, ", and {} more", count - NAMES_MAX);
        }
        let list = self.paint(Role::Quiet, list);
        self.line(format!("    {list}"));
    }

    fn coverage(&mut self) {
        if self.report.clauses.is_empty() {
            return;
        }
        let (wire, deployment) = (Coverage::wire_must(self.report), Coverage::deployment(self.report));
        self.line("");
        let show = |kind: &str, by: &str, c: Coverage| {
            format!(
                "{kind}: {} of {} {by} ({} %), {} held, {} broken",
                c.named,
                c.clauses,
                c.percent(),
                c.held,
                c.broken
            )
        };
        let line = self.paint(Role::Quiet, show("wire MUST clauses", "named by cases", wire));
        self.line(line);
        let must = Coverage::deployment_must(self.report);
        for (kind, coverage) in [("deployment MUST clauses", must), ("deployment clauses of all levels", deployment)] {
            if coverage.clauses > 0 {
                let line = self.paint(Role::Quiet, show(kind, "named by probes", coverage));
                self.line(line);
            }
        }
    }
}
