//! After the faults everybody is back and nobody is a ghost.

use super::{Finding, Promise};
use crate::{facts::Facts, promises::Promises};

/// Who is there after the faults.
pub(super) fn promise(promises: &Promises) -> Promise {
    Promise::Made(if promises.rosters() {
        "after the faults everybody is back, and every instance that tells members tells the same and true ones"
    } else {
        "after the faults everybody is back"
    })
}

/// A bot did not come back, or an instance's last word about a room is not the list of its members.
pub(super) fn converged(facts: &Facts<'_>) -> Vec<Finding> {
    let stays = |bot: &usize| facts.plan.bots[*bot].quits_ms.is_none();
    let away = (0..facts.plan.bots.len()).filter(stays).filter(|bot| !facts.is_there_at_the_end(*bot));
    let mut findings: Vec<Finding> = away
        .map(|bot| Finding { text: format!("{} did not come back", facts.name(bot)), op: None, bot: Some(bot) })
        .collect();
    if !facts.plan.promises.rosters() {
        return findings;
    }
    for room in 0..facts.plan.rooms.len() {
        let name = &facts.plan.rooms[room];
        let mut expected: Vec<&str> =
            facts.plan.members(room).filter(stays).map(|bot| facts.plan.bots[bot].user.as_str()).collect();
        expected.sort_unstable();
        for instance in 1..=facts.schedule.instances {
            let text = match facts.rosters.get(&(instance, room)) {
                None => format!("instance {instance} does not tell who is in {name}"),
                Some(users) if users.iter().eq(expected.iter()) => continue,
                Some(users) => format!(
                    "instance {instance} says {name} holds [{}]; it holds [{}]",
                    users.join(", "),
                    expected.join(", ")
                ),
            };
            findings.push(Finding { text, op: None, bot: None });
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use crate::{checkers::story::Story, history::What};

    #[test]
    fn a_ghost_in_a_roster_is_noticed() {
        let mut story = Story::good();
        story.edit_rosters(|_, users| users.push("zoe".to_owned()));
        assert_eq!(story.broken(), ["presence"]);
    }

    #[test]
    fn a_member_missing_at_one_instance_is_noticed() {
        let mut story = Story::good();
        story.edit_rosters(|instance, users| users.truncate(users.len() - usize::from(instance == 2)));
        assert_eq!(story.broken(), ["presence"]);
    }

    #[test]
    fn a_bot_that_does_not_come_back_is_noticed() {
        let mut story = Story::good();
        story.append(What::Offline { bot: 2, reason: "transport closed".to_owned() });
        assert_eq!(story.broken(), ["presence"]);
    }

    #[test]
    fn who_went_for_good_must_be_gone_from_every_roster() {
        let mut story = Story::good();
        story.quits(2);
        assert_eq!(story.broken(), ["presence"]);
        let gone = story.plan.bots[2].user.clone();
        story.edit_rosters(|_, users| users.retain(|user| *user != gone));
        assert!(story.broken().is_empty());
    }
}
