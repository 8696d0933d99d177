//! Nobody outside a room hears it.

use super::{Finding, seconds};
use crate::facts::Facts;

/// A bot heard a message of a room that it never joined, or under the name of another room.
pub(super) fn outsiders(facts: &Facts<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (bot, heard) in facts.heard.iter().enumerate() {
        for message in heard {
            let Some(op) = message.op else { continue };
            let room = facts.plan.sends[op].room;
            let at = seconds(message.at_us);
            let text = if !facts.plan.bots[bot].rooms.contains(&room) {
                format!("{} is no member and heard {} at {at}", facts.name(bot), facts.message(op))
            } else if message.room != facts.plan.rooms[room] {
                format!(
                    "{} heard {} at {at} as if it were said in {}",
                    facts.name(bot),
                    facts.message(op),
                    message.room
                )
            } else {
                continue;
            };
            findings.push(Finding { text, op: Some(op), bot: Some(bot) });
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use crate::{checkers::story::Story, history::Source};

    #[test]
    fn an_outsider_who_hears_a_room_is_noticed() {
        let mut story = Story::good();
        let outsider = story.outsider_of(3);
        story.hear_again(3, outsider, Source::Live);
        assert_eq!(story.broken(), ["nobody outside"]);
    }

    #[test]
    fn a_message_under_the_name_of_another_room_is_noticed() {
        let mut story = Story::good();
        story.rename_room_of_delivery(3);
        assert_eq!(story.broken(), ["nobody outside"]);
    }
}
