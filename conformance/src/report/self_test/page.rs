//! The self-test for people who want to know what the judge can see: one page that needs nothing else, every planted defect a row with what
//! noticed it.

use maud::{Markup, PreEscaped, html};

use super::{SelfTest, reason, spec_of, verdict, words::counted};
use crate::{
    report::{
        html::{page, prose},
        show_elapsed,
        words::clipped,
    },
    wrong::{Kill, KillRow},
};

const OWN_STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
/// A step that is longer is cut: a row has to stay a row.
const STEP_CHARS_MAX: usize = 160;
/// So many kills in a row; a defect that more cases notice is well noticed.
const KILLS_MAX: usize = 4;

/// The whole page.
#[must_use]
pub fn render(report: &SelfTest) -> String {
    let title = html! { (report.score().percent()) " % · the judge, judged" };
    let body = html! {
        a.skip href="#servers" { "Skip to the wrong servers" }
        (head(report))
        main {
            (tiles(report))
            (open_ends(report))
            (filter(report))
            (servers(report))
        }
        footer { "Made by chatwright " (report.version) ". The seed of this run was " (report.seed) "." }
        script { (PreEscaped(SCRIPT)) }
    };
    page(&title, OWN_STYLE, &body)
}

fn head(report: &SelfTest) -> Markup {
    let score = report.score();
    html! {
        header.top {
            div.wide {
                p.brand { "chatwright check --self-test" }
                h1 { "The judge, judged" }
                p.about {
                    span { "Each of these servers has one planted defect. It counts as noticed when each case that is meant for it fails at the clause that it breaks, while cases of other clauses still pass." }
                }
                p.outcome.bad[!report.is_complete()] { (report.headline()) }
                div.bar role="img" aria-label=(report.headline()) {
                    @if score.caught > 0 { span.pass title="noticed" style={ "flex:" (score.caught) } {} }
                    @if score.servers > score.caught { span.fail title="not noticed" style={ "flex:" (score.servers - score.caught) } {} }
                }
            }
        }
    }
}

fn tiles(report: &SelfTest) -> Markup {
    let score = report.score();
    let tile =
        |count: String, what: &str, class: &str| html! { div.tile.{ (class) } { b { (count) } span { (what) } } };
    html! {
        section.tiles aria-label="Summary" {
            (tile(format!("{} %", score.percent()), "detection score", if report.is_complete() { "pass" } else { "fail" }))
            (tile(score.servers.to_string(), "wrong servers", "cover"))
            (tile(report.clauses.len().to_string(), "clauses broken by them", "cover"))
            (tile((score.servers - score.caught).to_string(), "not noticed", if score.caught < score.servers { "fail" } else { "none" }))
            (tile(report.unproven.len().to_string(), "unproven cases", if report.unproven.is_empty() { "none" } else { "fail" }))
            (tile(report.not_run.len().to_string(), "not run", if report.not_run.is_empty() { "none" } else { "notrun" }))
            (tile(show_elapsed(report.elapsed), "taken", "none"))
        }
    }
}

/// What is missing from the proof.
fn open_ends(report: &SelfTest) -> Markup {
    html! {
        @if !report.unproven.is_empty() {
            section.ends {
                h2 { "Unproven" }
                p.quiet { (counted(report.unproven.len(), "case")) " failed on no wrong server: nothing shows that they can fail." }
                ul.names { @for name in &report.unproven { li { code { (name) } } } }
            }
        }
        @if !report.not_run.is_empty() {
            section.ends {
                h2 { "Not run" }
                ul { @for one in &report.not_run { li { code { (one.name) } " (" (one.clause.0) "): " (prose(&one.title)) " " span.quiet { (one.why) } } } }
            }
        }
        @if !report.clones.is_empty() {
            section.ends {
                h2 { "Noticed by the same steps" }
                ul { @for clones in &report.clones { li { code { (clones.join(", ")) } } } }
            }
        }
    }
}

fn filter(report: &SelfTest) -> Markup {
    html! {
        form.filter role="search" onsubmit="return false" {
            label for="find" { "Filter" }
            input #find type="search" placeholder="a defect, a clause, a case" autocomplete="off" aria-controls="servers";
            div.chips role="group" aria-label="Contracts shown" {
                @for (spec, score) in report.scores() {
                    @let class = if score.caught == score.servers { "pass" } else { "fail" };
                    button.chip.{ (class) } type="button" aria-pressed="false" data-spec=(spec) title={ (score.caught) " of " (score.servers) " noticed" } {
                        (spec) " " (score.caught) @if score.caught < score.servers { "/" (score.servers) }
                    }
                }
            }
            output #shown for="find" {}
        }
    }
}

fn servers(report: &SelfTest) -> Markup {
    let (caught, not): (Vec<_>, Vec<_>) = report.rows.iter().partition(|row| row.is_caught());
    html! {
        div.scroll.planted {
            table #servers {
                thead { tr {
                    th scope="col" { "planted defect" }
                    th scope="col" { "breaks" }
                    th scope="col" { "caught by" }
                    th scope="col" title="cases of other clauses that still pass" { "others pass" }
                } }
                tbody { @for row in not.iter().chain(&caught) { (server(report, row)) } }
            }
        }
        p #nothing hidden { "No wrong server matches the filter." }
    }
}

fn server(report: &SelfTest, row: &KillRow) -> Markup {
    let cases: Vec<&str> =
        row.kills.iter().map(|kill| kill.case.as_str()).chain(row.caught_by.iter().map(String::as_str)).collect();
    let search = format!("{} {} {} {} {}", row.name, row.title, row.planted, row.clause.0, cases.join(" "));
    let words = report.clauses.get(&row.clause).map_or("", String::as_str);
    let (passed, of) = row.others_passed;
    html! {
        tr.server.{ (if row.is_caught() { "pass" } else { "fail" }) } id=(row.name) data-spec=(spec_of(row)) data-search=(search.to_lowercase()) {
            td {
                @if !row.is_caught() { span.pill { (verdict(row)) } " " }
                b { (row.title) }
                span.where { a href={ "#" (row.name) } { (row.name) } " · " (row.planted) }
                @if let Some(reason) = reason(row) { pre.reason { (clipped(&reason, 2000)) } }
            }
            td { span.cite { (row.clause.0) } span.says { (prose(words)) } }
            td {
                @for kill in row.kills.iter().take(KILLS_MAX) { (self::kill(kill)) }
                @if row.kills.len() > KILLS_MAX { span.quiet { "and " (row.kills.len() - KILLS_MAX) " more" } }
            }
            td.count { (passed) " of " (of) }
        }
    }
}

fn kill(kill: &Kill) -> Markup {
    html! {
        div.kill {
            span.cite { (kill.case) ":" (kill.line) }
            @if !kill.step.is_empty() { code { (clipped(&kill.step, STEP_CHARS_MAX)) } }
        }
    }
}
