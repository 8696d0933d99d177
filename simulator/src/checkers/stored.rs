//! Every confirmed message stands in the history once, and every instance tells the same history.

use std::collections::{BTreeMap, BTreeSet};

use super::{Finding, Promise};
use crate::{
    facts::{Facts, Outcome},
    promises::Promises,
};

/// Messages that are sent at once are stored in any order: which of so many fell off the end of a full history cannot be told.
const STORED_AT_ONCE: usize = 16;

/// What an instance tells of the past.
pub(super) fn promise(promises: &Promises) -> Promise {
    if promises.stored {
        Promise::Made(
            "every confirmed message stands in the history once, and the history is the same at every instance that tells it",
        )
    } else {
        Promise::NotMade("a history that an instance tells over HTTP")
    }
}

/// The history of a room, as some instance tells it at the end, misses a confirmed message, repeats one, or differs from another instance's.
pub(super) fn history(facts: &Facts<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for room in 0..facts.plan.rooms.len() {
        let name = &facts.plan.rooms[room];
        for instance in 1..=facts.schedule.instances {
            let Some(texts) = facts.stored.get(&(instance, room)) else {
                findings.push(Finding {
                    text: format!("instance {instance} does not tell the history of {name}"),
                    op: None,
                    bot: None,
                });
                continue;
            };
            findings.extend(holes_and_repeats(facts, room, instance, texts));
            if facts.stored.get(&(1, room)).is_some_and(|first| first != texts) {
                let text = format!("instance {instance} tells another history of {name} than instance 1");
                findings.push(Finding { text, op: None, bot: None });
            }
        }
    }
    findings
}

fn holes_and_repeats(facts: &Facts<'_>, room: usize, instance: usize, texts: &[String]) -> Vec<Finding> {
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    for text in texts {
        *times.entry(text).or_default() += 1;
    }
    let of_room = facts.plan.sends.iter().enumerate().filter(|(_, send)| send.room == room);
    let stored: BTreeSet<usize> =
        of_room.clone().filter(|(_, send)| times.contains_key(send.text.as_str())).map(|(op, _)| op).collect();
    let fell_off = |op: usize| stored.range(op + 1..).count() + STORED_AT_ONCE >= facts.plan.history_kept;
    of_room
        .filter_map(|(op, send)| {
            let problem = match times.get(send.text.as_str()).copied().unwrap_or(0) {
                0 if matches!(facts.ops[op].outcome, Outcome::Confirmed(_)) && !fell_off(op) => "misses".to_owned(),
                0 | 1 => return None,
                times => format!("has {times} times"),
            };
            let text = format!("the history at instance {instance} {problem} {}", facts.message(op));
            Some(Finding { text, op: Some(op), bot: None })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use crate::checkers::story::Story;

    #[test]
    fn a_confirmed_message_that_every_history_misses_is_noticed() {
        let mut story = Story::good();
        story.edit_histories(|_, texts| texts.retain(|text| !text.starts_with("m5 ")));
        assert_eq!(story.broken(), ["stored"]);
    }

    #[test]
    fn a_message_that_stands_twice_is_noticed() {
        let mut story = Story::good();
        story.edit_histories(|_, texts| texts.extend(texts.last().cloned()));
        assert_eq!(story.broken(), ["stored"]);
    }

    #[test]
    fn an_instance_that_tells_another_history_is_noticed() {
        let mut story = Story::good();
        story.edit_histories(|instance, texts| {
            if instance == 2 {
                texts.swap(0, 1);
            }
        });
        assert_eq!(story.broken(), ["stored"]);
    }

    #[test]
    fn an_instance_that_tells_none_is_noticed() {
        let mut story = Story::good();
        story.silence_instance(2);
        assert_eq!(story.broken(), ["stored", "presence"]);
    }

    #[test]
    fn a_message_without_confirmation_may_be_missing() {
        let mut story = Story::good();
        story.unconfirm(5);
        story.edit_histories(|_, texts| texts.retain(|text| !text.starts_with("m5 ")));
        assert!(story.broken().is_empty());
    }

    #[test]
    fn the_oldest_messages_may_fall_off_a_full_history_and_no_others() {
        let keep_newest = |keep: usize| {
            move |_: usize, texts: &mut Vec<String>| {
                texts.drain(..texts.len() - keep);
            }
        };
        let mut story = Story::good();
        story.plan.history_kept = 40;
        story.edit_histories(keep_newest(40));
        assert!(story.broken().is_empty());
        story.edit_histories(|_, texts| {
            texts.remove(30);
        });
        assert_eq!(story.broken(), ["stored"]);
        let mut story = Story::good();
        story.plan.history_kept = 1_000;
        story.edit_histories(keep_newest(40));
        assert_eq!(story.broken(), ["stored"]);
    }
}
