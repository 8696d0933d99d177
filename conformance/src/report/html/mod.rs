//! The report for people who look closely: one page that needs nothing else, not even a network.

mod clocks;
mod conversation;
mod coverage;

use std::collections::BTreeMap;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{
    Coverage, Standing, Summary, clause, shared_line, standings,
    words::{clipped, filter_of, rerun_command, script_commands, show_elapsed},
};
use crate::outcome::{CaseReport, CheckReport, ClauseId, Failure, Phase, RunReport, Verdict};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
/// A text of a step or a packet that is longer is cut: the page has to stay readable, and small enough to mail.
const TEXT_CHARS_MAX: usize = 1000;

/// The groups of cases in the order of their urgency.
const GROUPS: [(Verdict, &str); 8] = [
    (Verdict::Fail, "Failed"),
    (Verdict::UnexpectedPass, "Passed although listed as failing"),
    (Verdict::NonStrict, "Not strict"),
    (Verdict::Otherwise, "Otherwise than the reference, where no clause judges"),
    (Verdict::KnownFailure, "Known failures"),
    (Verdict::Inconclusive, "Inconclusive"),
    (Verdict::NotRun, "Not run"),
    (Verdict::Pass, "Passed"),
];

/// A page that needs nothing else: this body in the house's style, and what it adds to that.
pub(in crate::report) fn page(title: &Markup, own_style: &str, body: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                style { (PreEscaped(STYLE)) (PreEscaped(own_style)) }
            }
            body { (body) }
        }
    };
    page.into_string()
}

/// The whole page.
#[must_use]
pub fn render(report: &CheckReport) -> String {
    let summary = Summary::total(report);
    let first = report.runs.first();
    let title = html! { (summary.last_line()) " · " (heading(report)) };
    let body = html! {
        a.skip href="#cases" { "Skip to the cases" }
        (head(report, &summary))
        main {
            (tiles(report, &summary))
            @for run in &report.runs { (adapted(run)) }
            (filter(&summary))
            div #cases {
                @for run in &report.runs { (self::run(run, report.runs.len() > 1)) }
                p #nothing hidden { "No case matches the filter." }
            }
        }
        @if let Some(run) = first {
            footer { "Made by chatwright " (run.version) ". The seed of this run was " (run.seed) "." }
        }
        script { (PreEscaped(SCRIPT)) }
    };
    page(&title, "", &body)
}

/// What was judged: the target, or several.
fn heading(report: &CheckReport) -> String {
    match report.runs.as_slice() {
        [one] => one.target.clone(),
        several => several.iter().map(|run| run.dialect.as_str()).collect::<Vec<_>>().join(", "),
    }
}

/// The cases of one dialect, and its clauses.
fn run(run: &RunReport, among_others: bool) -> Markup {
    html! {
        section.dialect id=(format!("dialect-{}", slug(&run.dialect))) aria-label={ "Cases of " (run.dialect) } {
            @if among_others { h2.dialect { (run.dialect) " " small { (Summary::of(run).last_line()) } } }
            @for (verdict, heading) in GROUPS { (group(run, verdict, heading)) }
            (clocks::section(run))
            (not_judged(run))
            (coverage::section(run, &standings(run)))
        }
    }
}

/// What no case plays, of which contract, and why.
fn not_judged(run: &RunReport) -> Markup {
    html! {
        @if !run.not_judged.is_empty() {
            section.adapted {
                h2 { "Not run for anybody, and counted nowhere" }
                ul { @for part in &run.not_judged { li { b { (part.what) } " (" code { (part.spec) } "): " (prose(&part.reason)) } } }
            }
        }
    }
}

fn head(report: &CheckReport, summary: &Summary) -> Markup {
    let cases = || report.runs.iter().flat_map(|run| &run.cases);
    let total = cases().count().max(1);
    html! {
        header.top {
            div.wide {
                p.brand { "chatwright check" }
                h1 { (heading(report)) }
                @for run in &report.runs { (about(run)) }
                p.outcome.bad[summary.failed > 0] { (summary.last_line()) }
                div.bar role="img" aria-label=(summary.last_line()) {
                    @for (verdict, heading) in GROUPS {
                        @let count = cases().filter(|case| case.verdict == verdict).count();
                        @if count > 0 {
                            span class=(class(verdict)) title={ (heading) ": " (count) } style={ "flex:" (count * 1000 / total + 1) } {}
                        }
                    }
                }
                @if report.runs.len() > 1 { (dialects(report)) }
            }
        }
    }
}

fn about(run: &RunReport) -> Markup {
    html! {
        p.about {
            span { "dialect " b { (run.dialect) } }
            @if run.origin != run.target { span { code { (run.origin) } } }
            span { (run.cases.len()) " cases in " (show_elapsed(run.elapsed)) }
            @if let Some(version) = &run.about.version { span { "version " (version) } }
            @if let Some(runtime) = run.about.runtime.as_ref().or(run.about.language.as_ref()) { span { (runtime) } }
            span { "seed " (run.seed) }
            @if run.strict { span { "strict" } }
        }
    }
}

/// A row for each dialect.
fn dialects(report: &CheckReport) -> Markup {
    html! {
        div.scroll {
            table.dialects {
                thead { tr {
                    @for heading in ["dialect", "passed", "failed", "not strict", "otherwise", "known failures", "not run", "wire MUST clauses named", "deployment clauses named", "took"] {
                        th scope="col" { (heading) }
                    }
                } }
                tbody {
                    @for run in &report.runs {
                        @let summary = Summary::of(run);
                        @let (wire, deployment) = (Coverage::wire_must(run), Coverage::deployment(run));
                        tr {
                            th scope="row" { a href={ "#dialect-" (slug(&run.dialect)) } { (run.dialect) } @if let Some(shared) = shared_line(run) { br; span.quiet { (prose(&shared)) } } }
                            td { (summary.passed) } td.bad[summary.failed > 0] { (summary.failed) } td { (summary.non_strict) } td { (summary.otherwise) }
                            td { (summary.known_failures) } td { (summary.not_run) }
                            td { (wire.named) " of " (wire.clauses) } td { (deployment.named) " of " (deployment.clauses) }
                            td { (show_elapsed(run.elapsed)) }
                        }
                    }
                }
            }
        }
    }
}

fn tiles(report: &CheckReport, summary: &Summary) -> Markup {
    let (wire, deployment) =
        (Coverage::total(report, Coverage::wire_must), Coverage::total(report, Coverage::deployment));
    let tile =
        |count: String, what: &str, class: &str| html! { div.tile.{ (class) } { b { (count) } span { (what) } } };
    html! {
        section.tiles aria-label="Summary" {
            (tile(summary.passed.to_string(), "passed", "pass"))
            (tile(summary.failed.to_string(), "failed", if summary.failed > 0 { "fail" } else { "none" }))
            (tile(summary.non_strict.to_string(), "not strict", if summary.non_strict > 0 { "nonstrict" } else { "none" }))
            @if summary.otherwise > 0 { (tile(summary.otherwise.to_string(), "otherwise than the reference", "otherwise")) }
            (tile(summary.known_failures.to_string(), "known failures", if summary.known_failures > 0 { "known" } else { "none" }))
            @if summary.inconclusive > 0 { (tile(summary.inconclusive.to_string(), "inconclusive", "inconclusive")) }
            (tile(summary.not_run.to_string(), "not run", if summary.not_run > 0 { "notrun" } else { "none" }))
            (tile(summary.unproven.to_string(), "unproven", if summary.unproven > 0 { "nonstrict" } else { "none" }))
            @if wire.clauses > 0 {
                (tile(format!("{} %", wire.percent()), &format!("of {} wire MUST clauses named by cases", wire.clauses), "cover"))
            }
            @if deployment.clauses > 0 {
                (tile(format!("{} %", deployment.percent()), &format!("of {} deployment clauses named by probes", deployment.clauses), "cover"))
            }
        }
    }
}

fn adapted(run: &RunReport) -> Markup {
    html! {
        @if !run.adapted.is_empty() {
            section.adapted {
                h2 { "Adapted" }
                ul { @for line in &run.adapted { li { (prose(line)) } } }
            }
        }
    }
}

fn filter(summary: &Summary) -> Markup {
    let counts = [
        (Verdict::Fail, summary.failed - summary.unexpected_passes),
        (Verdict::UnexpectedPass, summary.unexpected_passes),
        (Verdict::NonStrict, summary.non_strict),
        (Verdict::Otherwise, summary.otherwise),
        (Verdict::KnownFailure, summary.known_failures),
        (Verdict::Inconclusive, summary.inconclusive),
        (Verdict::NotRun, summary.not_run),
        (Verdict::Pass, summary.passed),
    ];
    html! {
        form.filter role="search" onsubmit="return false" {
            label for="find" { "Filter" }
            input #find type="search" placeholder="a name, a clause, a word" autocomplete="off" aria-controls="cases";
            div.chips role="group" aria-label="Verdicts shown" {
                @for (verdict, count) in counts {
                    @if count > 0 {
                        button.chip.{ (class(verdict)) } type="button" aria-pressed="true" data-verdict=(class(verdict)) { (word(verdict)) " " (count) }
                    }
                }
                button.chip.plain type="button" #fold aria-pressed="false" { "open all" }
            }
            output #shown for="find" {}
        }
    }
}

fn group(report: &RunReport, verdict: Verdict, heading: &str) -> Markup {
    let mut by_folder: BTreeMap<&str, Vec<&CaseReport>> = BTreeMap::new();
    for case in report.cases.iter().filter(|case| case.verdict == verdict) {
        by_folder.entry(case.name.rsplit_once('/').map_or("", |(folder, _)| folder)).or_default().push(case);
    }
    let count: usize = by_folder.values().map(Vec::len).sum();
    html! {
        @if count > 0 {
            section.group data-group=(class(verdict)) {
                h2 { (heading) " " small { (count) } }
                @for (folder, cases) in by_folder {
                    @if verdict == Verdict::Pass && !folder.is_empty() { h3 { (folder) } }
                    @for case in cases { (self::case(report, case)) }
                }
            }
        }
    }
}

fn case(report: &RunReport, case: &CaseReport) -> Markup {
    let open = matches!(case.verdict, Verdict::Fail);
    let clauses: Vec<&str> = case.clauses.iter().map(|clause| clause.0.as_str()).collect();
    let search = format!("{} {} {} {}", report.dialect, case.name, case.title, clauses.join(" ")).to_lowercase();
    html! {
        details.case.{ (class(case.verdict)) } id=(anchor(report, &case.name)) data-verdict=(class(case.verdict)) data-search=(search) open[open] {
            summary {
                span.pill.{ (class(case.verdict)) } { (word(case.verdict)) }
                span.name { (case.name) }
                span.title { (case.title) }
                @if !case.proven { span.mark title="no wrong server is known that this case catches" { "unproven" } }
                span.took { (show_elapsed(case.elapsed)) }
            }
            div.body {
                p.cites { "proves " @for id in &case.clauses { (cite(report, id)) " " } }
                @if let Some(reason) = &case.reason { p.reason { (reason) } }
                @if let Some(failure) = &case.failure { (self::failure(report, case, failure)) }
                div.two {
                    (source(case))
                    @if case.transcript.entries.is_empty() { p.quiet { "Nothing was said." } } @else { (conversation::draw(case)) }
                }
            }
        }
    }
}

fn failure(report: &RunReport, case: &CaseReport, failure: &Failure) -> Markup {
    let place = match failure.phase {
        Phase::Preamble => "in a preamble: this says nothing about the clauses of the case",
        Phase::Step => "at this step",
        Phase::End => "at the end of the case",
    };
    html! {
        div.failure {
            @if let Some(clause) = clause(report, &failure.clause) {
                blockquote { (cite(report, &failure.clause)) " " b { (failure.level) } " " (prose(&clause.text)) }
            } @else {
                p { (cite(report, &failure.clause)) " " b { (failure.level) } }
            }
            dl {
                dt { "line " (failure.line) } dd { code { (clipped(&failure.step, TEXT_CHARS_MAX)) } " " span.quiet { (place) } }
                dt.good { "expected" } dd { code { (clipped(&failure.expected, TEXT_CHARS_MAX)) } }
                dt.bad { "got" } dd { code { (clipped(&failure.got, TEXT_CHARS_MAX)) } }
                @if !failure.why.is_empty() { dt.bad { "differs" } dd { code { (clipped(&failure.why, TEXT_CHARS_MAX)) } } }
            }
            @for command in [rerun_command(report, &case.name)].into_iter().chain(script_commands(report, case)) {
                p.rerun { code { (command) } button.copy type="button" hidden { "copy" } }
            }
        }
    }
}

fn source(case: &CaseReport) -> Markup {
    let failed = case.failure.as_ref().map(|failure| failure.line);
    html! {
        figure.source {
            figcaption { (filter_of(&case.name)) ".case" }
            ol {
                @for (i, line) in case.source.lines().enumerate() {
                    @let number = u32::try_from(i + 1).unwrap_or(u32::MAX);
                    li.at[failed == Some(number)].note[line.starts_with('#')] data-line=(number) { (clipped(line, TEXT_CHARS_MAX)) }
                }
            }
        }
    }
}

fn cite(report: &RunReport, id: &ClauseId) -> Markup {
    let title = clause(report, id).map(|clause| clause.text.as_str());
    html! { a.cite href={ "#" (clause_anchor(report, id)) } title=[title] { (id.0) } }
}

fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Fail => "fail",
        Verdict::NonStrict => "nonstrict",
        Verdict::Otherwise => "otherwise",
        Verdict::KnownFailure => "known",
        Verdict::UnexpectedPass => "surprise",
        Verdict::Inconclusive => "inconclusive",
        Verdict::NotRun => "notrun",
    }
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Fail => "fail",
        Verdict::NonStrict => "not strict",
        Verdict::Otherwise => "otherwise",
        Verdict::KnownFailure => "known",
        Verdict::UnexpectedPass => "surprise",
        Verdict::Inconclusive => "inconclusive",
        Verdict::NotRun => "not run",
    }
}

fn standing_class(standing: Standing) -> &'static str {
    match standing {
        Standing::Broken => "fail",
        Standing::NotKept => "nonstrict",
        Standing::Held => "pass",
        Standing::NotJudged | Standing::Unnamed => "notrun",
    }
}

/// Words with code between backticks.
pub(super) fn prose(text: &str) -> Markup {
    html! {
        @for (i, part) in text.split('`').enumerate() {
            @if i % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

/// An id that is a plain word in a URL, of its own in each dialect: protocols can be judged with several.
fn anchor(report: &RunReport, name: &str) -> String {
    format!("case-{}", below_dialect(report, name))
}

fn clause_anchor(report: &RunReport, id: &ClauseId) -> String {
    format!("clause-{}", below_dialect(report, &id.0))
}

fn below_dialect(report: &RunReport, name: &str) -> String {
    match name.split_once('/') {
        Some((spec, _)) if spec == report.dialect => slug(name),
        Some(_) | None => format!("{}-{}", slug(&report.dialect), slug(name)),
    }
}

fn slug(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' }).collect()
}
