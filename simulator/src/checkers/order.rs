//! One sender's messages arrive in the order sent; a room's confirmed messages arrive in one order everywhere, that of its history.

use std::collections::BTreeMap;

use super::{Finding, seconds};
use crate::facts::{Facts, Outcome};

/// A bot heard a sender's earlier message after a later one.
pub(super) fn per_sender(facts: &Facts<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (bot, heard) in facts.heard.iter().enumerate() {
        let mut last: BTreeMap<(usize, usize), usize> = BTreeMap::new();
        for message in heard {
            let Some(op) = message.op else { continue };
            let send = &facts.plan.sends[op];
            let latest = last.entry((send.room, send.bot)).or_insert(op);
            if op < *latest {
                let text = format!(
                    "{} heard {} at {}, after {}, which was sent later",
                    facts.name(bot),
                    facts.message(op),
                    seconds(message.at_us),
                    facts.message(*latest)
                );
                findings.push(Finding { text, op: Some(op), bot: Some(bot) });
            }
            *latest = (*latest).max(op);
        }
    }
    findings
}

/// A bot heard two confirmed messages of a room in another order than the history has them. While the store fails, live delivery may go on
/// without an order: what was heard then has no place that anybody promised.
pub(super) fn per_room(facts: &Facts<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !facts.plan.promises.room_order {
        return findings;
    }
    let places = places(facts);
    for (bot, heard) in facts.heard.iter().enumerate() {
        let mut last: BTreeMap<usize, (usize, usize)> = BTreeMap::new();
        for message in heard.iter().filter(|message| !facts.store_failed(message.at_us)) {
            let placed = message.op.and_then(|op| places.get(&op).map(|place| (op, *place)));
            let Some((op, place)) = placed.filter(|(op, _)| matches!(facts.ops[*op].outcome, Outcome::Confirmed(_)))
            else {
                continue;
            };
            let latest = last.entry(facts.plan.sends[op].room).or_insert((place, op));
            if place < latest.0 {
                let text = format!(
                    "{} heard {} at {}, after {}, which stands behind it in the history",
                    facts.name(bot),
                    facts.message(op),
                    seconds(message.at_us),
                    facts.message(latest.1)
                );
                findings.push(Finding { text, op: Some(op), bot: Some(bot) });
            }
            *latest = (*latest).max((place, op));
        }
    }
    findings
}

/// Where each message stands in the history of its room, as the first instance says.
fn places(facts: &Facts<'_>) -> BTreeMap<usize, usize> {
    let by_text: BTreeMap<&str, usize> =
        facts.plan.sends.iter().enumerate().map(|(op, send)| (send.text.as_str(), op)).collect();
    let first = facts.stored.iter().filter(|((instance, _), _)| *instance == 1);
    first
        .flat_map(|(_, texts)| texts.iter().enumerate())
        .filter_map(|(place, text)| Some((*by_text.get(text.as_str())?, place)))
        .collect()
}

#[cfg(test)]
mod tests {
    use crate::checkers::story::Story;

    #[test]
    fn two_messages_of_one_sender_heard_the_wrong_way_round_are_noticed() {
        let mut story = Story::good();
        let (first, second) = story.two_of_one_sender();
        story.swap_deliveries(first, second, 2);
        assert_eq!(story.broken(), ["sender order", "room order"]);
    }

    #[test]
    fn two_messages_of_two_senders_heard_in_another_order_than_the_history_are_noticed() {
        let mut story = Story::good();
        let (first, second) = story.two_of_two_senders();
        story.swap_deliveries(first, second, 2);
        assert_eq!(story.broken(), ["room order"]);
    }

    #[test]
    fn where_no_order_of_a_room_is_promised_two_senders_may_be_heard_in_any() {
        let mut story = Story::good();
        story.plan.promises.room_order = false;
        let (first, second) = story.two_of_two_senders();
        story.swap_deliveries(first, second, 2);
        assert!(story.broken().is_empty());
    }

    #[test]
    fn messages_of_two_senders_without_confirmation_have_no_promised_order() {
        let mut story = Story::good();
        let (first, second) = story.two_of_two_senders();
        story.unconfirm(first);
        story.swap_deliveries(first, second, 2);
        assert!(story.broken().is_empty());
    }

    #[test]
    fn what_is_heard_live_while_the_store_fails_has_no_promised_order_among_senders() {
        let mut story = Story::good();
        let (first, second) = story.two_of_two_senders();
        story.swap_deliveries(first, second, 2);
        story.store_fails_during(first, second);
        assert!(story.broken().is_empty());
    }
}
