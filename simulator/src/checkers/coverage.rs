//! What a run must really have met to say anything: faults that hit traffic, and somebody who came back and caught up.

use crate::{
    facts::{Facts, Span},
    history::Source,
    schedule::{FaultKind, Place},
};

/// What the run did not meet, as sentences; empty when a pass means something.
#[must_use]
pub fn missed(facts: &Facts<'_>) -> Vec<String> {
    let mut missed = Vec::new();
    for (index, fault) in facts.schedule.faults.iter().enumerate() {
        let span = facts.faults[index];
        if !traffic_during(facts, &span) {
            missed.push(format!("{fault}: nobody sent anything while it lasted"));
        }
        let breaks_connections = matches!(fault.fault, FaultKind::Kill | FaultKind::Restart);
        if let (Place::Instance(instance), true) = (&fault.target, breaks_connections)
            && !somebody_lost(facts, *instance, &span)
        {
            missed.push(format!("{fault}: no bot at instance {instance} lost its connection"));
        }
    }
    let breaking = facts.schedule.faults.iter().any(|fault| {
        matches!((&fault.target, fault.fault), (Place::Instance(_), FaultKind::Kill | FaultKind::Restart))
    });
    if breaking && facts.plan.promises.catch_up && !somebody_caught_up(facts) {
        missed.push("no bot came back to messages that it had missed".to_owned());
    }
    if facts.confirmed().next().is_none() {
        missed.push("no message was confirmed".to_owned());
    }
    missed
}

fn traffic_during(facts: &Facts<'_>, span: &Span) -> bool {
    facts.ops.iter().filter_map(|op| op.invoked_us).any(|at_us| span.holds(at_us))
}

/// Whether a bot of this instance went off-line while the fault lasted: a drain may take until its end.
fn somebody_lost(facts: &Facts<'_>, instance: usize, fault: &Span) -> bool {
    let bots = facts.plan.bots.iter().enumerate().filter(|(_, bot)| bot.instance == instance);
    bots.flat_map(|(bot, _)| &facts.spans[bot]).filter_map(|span| span.to_us).any(|at_us| fault.holds(at_us))
}

fn somebody_caught_up(facts: &Facts<'_>) -> bool {
    facts.heard.iter().flatten().any(|message| message.source == Source::CatchUp)
}

#[cfg(test)]
mod tests {
    use crate::{checkers::story::Story, history::Source};

    #[test]
    fn a_run_whose_faults_met_traffic_and_a_return_missed_nothing() {
        let mut story = Story::good();
        story.fault_during(5, 8);
        story.away(1, 5, 8, Some(Source::CatchUp));
        assert_eq!(story.missed(), Vec::<String>::new());
    }

    #[test]
    fn a_fault_that_met_no_traffic_is_said() {
        let mut story = Story::good();
        story.fault_after_the_traffic();
        assert!(story.missed().iter().any(|missed| missed.contains("nobody sent anything")), "{:?}", story.missed());
    }

    #[test]
    fn a_kill_that_cut_nobody_off_is_said() {
        let mut story = Story::good();
        story.fault_during(5, 8);
        assert!(story.missed().iter().any(|missed| missed.contains("lost its connection")), "{:?}", story.missed());
    }

    #[test]
    fn a_return_without_anything_to_catch_up_is_said() {
        let mut story = Story::good();
        story.fault_during(5, 8);
        story.away(1, 5, 8, None);
        assert!(story.missed().iter().any(|missed| missed.contains("came back")), "{:?}", story.missed());
    }

    #[test]
    fn a_run_without_any_confirmation_is_said() {
        let mut story = Story::good();
        for op in 0..story.plan.sends.len() {
            story.unconfirm(op);
        }
        assert!(story.missed().iter().any(|missed| missed.contains("confirmed")), "{:?}", story.missed());
    }
}
