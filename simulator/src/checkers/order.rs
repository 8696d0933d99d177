//! One sender's messages arrive in the order sent; a room's confirmed messages arrive in one order everywhere, that of its history.

use std::collections::BTreeMap;

use super::{Finding, Promise, seconds};
use crate::{
    facts::{Facts, Outcome},
    promises::Promises,
};

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

/// In which order the members of a room hear it.
pub(super) fn promise(promises: &Promises) -> Promise {
    match (promises.room_order, promises.stored) {
        (true, true) => Promise::Made("all members hear the confirmed messages of a room in the order of its history"),
        (true, false) => Promise::Made("all members hear the confirmed messages of a room in one order"),
        (false, _) => Promise::NotMade("one order of a room for all its members"),
    }
}

/// A bot heard two confirmed messages of a room in another order than the history has them, or than another member where no history is
/// told. While the store fails, live delivery may go on without an order: what was heard then has no place that anybody promised.
pub(super) fn per_room(facts: &Facts<'_>) -> Vec<Finding> {
    if facts.plan.promises.stored { against_the_history(facts) } else { among_members(facts) }
}

fn against_the_history(facts: &Facts<'_>) -> Vec<Finding> {
    let places = places(facts);
    let mut findings = Vec::new();
    for bot in 0..facts.plan.bots.len() {
        for room in 0..facts.plan.rooms.len() {
            for (op, before, at_us) in displaced(ordered(facts, bot, room), &places) {
                let text = format!(
                    "{} heard {} at {}, after {}, which stands behind it in the history",
                    facts.name(bot),
                    facts.message(op),
                    seconds(at_us),
                    facts.message(before)
                );
                findings.push(Finding { text, op: Some(op), bot: Some(bot) });
            }
        }
    }
    findings
}

/// Each member against each that stands before it in the plan, by what both heard.
fn among_members(facts: &Facts<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for room in 0..facts.plan.rooms.len() {
        let members: Vec<usize> = facts.plan.members(room).collect();
        for (place, bot) in members.iter().enumerate() {
            for other in &members[..place] {
                let theirs = ordered(facts, *other, room).map(|(op, _)| op);
                let places: BTreeMap<usize, usize> = theirs.enumerate().map(|(place, op)| (op, place)).collect();
                for (op, before, at_us) in displaced(ordered(facts, *bot, room), &places) {
                    let text = format!(
                        "{} heard {} at {}, after {}; {} heard them the other way round",
                        facts.name(*bot),
                        facts.message(op),
                        seconds(at_us),
                        facts.message(before),
                        facts.name(*other)
                    );
                    findings.push(Finding { text, op: Some(op), bot: Some(*bot) });
                }
            }
        }
    }
    findings
}

/// The confirmed messages of a room that a bot heard while the store did not fail, and when, in the order of hearing.
fn ordered<'a>(facts: &'a Facts<'_>, bot: usize, room: usize) -> impl Iterator<Item = (usize, u64)> + 'a {
    let heard = facts.heard[bot].iter().filter(|message| !facts.store_failed(message.at_us));
    let known = heard.filter_map(|message| message.op.map(|op| (op, message.at_us)));
    known.filter(move |(op, _)| {
        facts.plan.sends[*op].room == room && matches!(facts.ops[*op].outcome, Outcome::Confirmed(_))
    })
}

/// Those that were heard after one with a later place, with that one; what has no place is left out.
fn displaced(
    heard: impl Iterator<Item = (usize, u64)>,
    places: &BTreeMap<usize, usize>,
) -> impl Iterator<Item = (usize, usize, u64)> {
    let mut latest: Option<(usize, usize)> = None;
    heard.filter_map(move |(op, at_us)| {
        let place = *places.get(&op)?;
        let before = latest.filter(|(latest, _)| place < *latest);
        latest = latest.max(Some((place, op)));
        before.map(|(_, before)| (op, before, at_us))
    })
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
    fn where_no_history_is_told_two_members_who_hear_another_order_are_noticed() {
        let mut story = Story::good();
        story.plan.promises.stored = false;
        assert!(story.broken().is_empty());
        let (first, second) = story.two_of_two_senders();
        story.swap_deliveries(first, second, 2);
        assert_eq!(story.broken(), ["room order"]);
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
