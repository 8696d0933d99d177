//! The clauses of each SPEC with what the run says about them.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::{anchor, clause_anchor, prose, standing_class};
use crate::{
    outcome::{CaseReport, ClauseId, ClauseReport, Level, RunReport},
    report::{Coverage, Standing, filter_of},
};

/// Links to cases in one row; a clause that more cases name is well covered.
const LINKS_MAX: usize = 6;

/// One table for each SPEC.
pub(super) fn section(report: &RunReport, standings: &BTreeMap<&ClauseId, Standing>) -> Markup {
    // In the order of the report, which is that of the SPECs.
    let mut specs: Vec<(&str, Vec<&ClauseReport>)> = Vec::new();
    for clause in &report.clauses {
        let spec = clause.id.0.split_once('/').map_or(clause.id.0.as_str(), |(spec, _)| spec);
        match specs.iter_mut().find(|(name, _)| *name == spec) {
            Some((_, clauses)) => clauses.push(clause),
            None => specs.push((spec, vec![clause])),
        }
    }
    html! {
        @if !specs.is_empty() {
            section.coverage aria-label="Clauses" {
                h2 { "Clauses" }
                @for (spec, clauses) in &specs { (table(report, spec, clauses, standings)) }
            }
        }
    }
}

fn table(
    report: &RunReport,
    spec: &str,
    clauses: &[&ClauseReport],
    standings: &BTreeMap<&ClauseId, Standing>,
) -> Markup {
    let ours = |clause: &ClauseReport| clauses.iter().any(|own| own.id == clause.id);
    let wire = Coverage::of(report, |clause| ours(clause) && clause.wire && clause.level == Level::Must);
    let deployment = Coverage::of(report, |clause| ours(clause) && !clause.wire);
    html! {
        details.spec {
            summary {
                span.name { (spec) }
                (meter("wire MUST", wire))
                @if deployment.clauses > 0 { (meter("deployment", deployment)) }
            }
            div.scroll {
                table {
                    thead { tr { th scope="col" { "clause" } th scope="col" { "level" } th scope="col" { "says" } th scope="col" { "stands" } th scope="col" { "cases" } } }
                    tbody { @for clause in clauses { (row(report, clause, standings)) } }
                }
            }
        }
    }
}

fn meter(what: &str, coverage: Coverage) -> Markup {
    html! {
        span.meter {
            span.track { span.fill style={ "width:" (coverage.percent()) "%" } {} }
            span { (what) ": " b { (coverage.named) } " of " (coverage.clauses) " named, " (coverage.held) " held" }
            @if coverage.broken > 0 { span.bad { (coverage.broken) " broken" } }
        }
    }
}

fn row(report: &RunReport, clause: &ClauseReport, standings: &BTreeMap<&ClauseId, Standing>) -> Markup {
    let standing = standings.get(&clause.id).copied().unwrap_or(Standing::Unnamed);
    html! {
        tr id=(clause_anchor(report, &clause.id)) {
            th scope="row" { (clause.id.0) }
            td.level { (clause.level) @if !clause.wire { br; span.quiet { "deployment" } } }
            td { (prose(&clause.text)) }
            td { span.pill.{ (standing_class(standing)) } { (standing.as_str()) } }
            td.cases {
                @for name in clause.cases.iter().take(LINKS_MAX) { (link(report, name)) }
                @if clause.cases.len() > LINKS_MAX { span.quiet { "and " (clause.cases.len() - LINKS_MAX) " more" } }
            }
        }
    }
}

/// A link to the case, if it is part of this run.
fn link(report: &RunReport, name: &str) -> Markup {
    let of_run = |case: &&CaseReport| case.name == name || filter_of(&case.name) == name;
    html! {
        @match report.cases.iter().find(of_run) {
            Some(case) => a href={ "#" (anchor(report, &case.name)) } { (name) },
            None => span.quiet { (name) },
        }
    }
}
