//! Makes cases shorter.

use std::collections::BTreeSet;

use crate::{
    case::{Act, Case, Step, StepAct},
    outcome::{Failure, Phase},
};

/// The case without what comes behind its failing line. Lines that hold for the whole case stay.
pub(super) fn behind(case: &Case, failure: &Failure) -> Case {
    if failure.phase == Phase::End {
        return case.clone();
    }
    let holds_always = |step: &Step| {
        matches!(&step.act, StepAct::Actor { does: Act::Never(_) | Act::Allows(_) | Act::AllowsEnd { .. }, .. })
    };
    let steps = case.steps.iter().filter(|step| step.line <= failure.line || holds_always(step)).cloned().collect();
    Case { steps, ..case.clone() }
}

/// The users of a case, the last that comes in first.
pub(super) fn users(case: &Case) -> Vec<String> {
    let mut found = Vec::new();
    collect(&case.steps, &mut found);
    let mut seen = BTreeSet::new();
    found.retain(|user| seen.insert(user.clone()));
    found.reverse();
    found
}

fn collect(steps: &[Step], found: &mut Vec<String>) {
    for step in steps {
        match &step.act {
            StepAct::Use { actors, .. } => found.extend(actors.iter().map(|actor| actor.user.clone())),
            StepAct::Actor { actor, .. } => found.push(actor.user.clone()),
            StepAct::Repeat { steps, .. } | StepAct::Retry { steps, .. } => collect(steps, found),
            StepAct::Wait(_)
            | StepAct::Auth { .. }
            | StepAct::Target { .. }
            | StepAct::Backend { .. }
            | StepAct::Listens { .. }
            | StepAct::Asks { .. } => {}
        }
    }
}

/// The case without all that this user does.
pub(super) fn without(case: &Case, user: &str) -> Case {
    Case { steps: left(&case.steps, user), ..case.clone() }
}

fn left(steps: &[Step], user: &str) -> Vec<Step> {
    let keep = |step: &Step| -> Option<Step> {
        let act = match &step.act {
            StepAct::Use { actors, preamble, options } => {
                let actors: Vec<_> = actors.iter().filter(|actor| actor.user != user).cloned().collect();
                if actors.is_empty() {
                    return None;
                }
                StepAct::Use { actors, preamble: preamble.clone(), options: options.clone() }
            }
            StepAct::Actor { actor, .. } if actor.user == user => return None,
            StepAct::Repeat { name, from, to, steps } => {
                let steps = left(steps, user);
                if steps.is_empty() {
                    return None;
                }
                StepAct::Repeat { name: name.clone(), from: from.clone(), to: to.clone(), steps }
            }
            StepAct::Retry { within, steps } => {
                let steps = left(steps, user);
                if steps.is_empty() {
                    return None;
                }
                StepAct::Retry { within: within.clone(), steps }
            }
            StepAct::Actor { .. }
            | StepAct::Wait(_)
            | StepAct::Auth { .. }
            | StepAct::Target { .. }
            | StepAct::Backend { .. }
            | StepAct::Listens { .. }
            | StepAct::Asks { .. } => step.act.clone(),
        };
        Some(Step { line: step.line, act })
    };
    steps.iter().filter_map(keep).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        case::parse_case,
        outcome::{ClauseId, Level},
    };

    fn case() -> Case {
        let text = "# Words.\nclause rooms/5.1\nuse alice, bob in $room\nuse carol\nbob never typing\nalice > a {}\nalice < a\nbob < a\ncarol > c\ncarol never x\n";
        parse_case("x", "x", text).expect("well-formed")
    }

    fn failure(phase: Phase, line: u32) -> Failure {
        Failure {
            phase,
            line,
            step: String::new(),
            clause: ClauseId("rooms/5.1".to_owned()),
            level: Level::Must,
            expected: String::new(),
            got: String::new(),
            why: String::new(),
            timed: false,
        }
    }

    #[test]
    fn what_comes_behind_the_failing_line_goes_and_what_holds_always_stays() {
        let cut = behind(&case(), &failure(Phase::Step, 7));
        let lines: Vec<u32> = cut.steps.iter().map(|step| step.line).collect();
        assert_eq!(lines, [3, 4, 5, 6, 7, 10]);
        assert_eq!(behind(&case(), &failure(Phase::End, 7)), case());
    }

    #[test]
    fn a_user_goes_with_all_of_their_lines() {
        assert_eq!(users(&case()), ["carol", "bob", "alice"]);
        let printed = without(&without(&case(), "carol"), "bob").to_string();
        assert!(printed.contains("use alice in $room"), "{printed}");
        assert!(!printed.contains("bob") && !printed.contains("carol"), "{printed}");
    }
}
