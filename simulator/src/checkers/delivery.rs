//! Each confirmed message reaches each member once, and nothing else does.

use std::collections::BTreeSet;

use super::{Finding, Promise, seconds};
use crate::{
    facts::{Facts, Outcome},
    promises::Promises,
};

/// Where nobody catches up, a message has to arrive only if everything was well until this long after its confirmation.
const ARRIVES_WITHIN_US: u64 = 2_000_000;

/// Whom a confirmed message reaches.
pub(super) fn promise(promises: &Promises) -> Promise {
    Promise::Made(if !promises.catch_up {
        "every confirmed message reaches every member who was there, while all was well"
    } else if promises.history_lags() {
        "every confirmed message reaches every member who stayed, or came back before a backend had failed"
    } else {
        "every confirmed message reaches every member who stayed, or came back and could read the history"
    })
}

/// Whether a confirmed message has to reach this member: one who stayed or came back. Where nobody catches up, one who was there
/// throughout, as the sender was, while nothing was wrong. Where the history lags, whoever comes back reads it once, after the lag; a
/// backend that has failed leaves a queue of messages to be stored, which lengthens the lag by what nobody promised (`gateway/10.3`). That
/// such a message is in the history in the end is looked after by `stored`. Whoever comes back while the store fails may be told no history
/// at all; while it does not fail, that is a breach.
fn is_due(facts: &Facts<'_>, op: usize, bot: usize, confirmed_us: u64) -> bool {
    let Some(from) = facts.ops[op].invoked_us else { return false };
    let to = confirmed_us.saturating_add(ARRIVES_WITHIN_US);
    if facts.plan.promises.catch_up {
        let excused = || {
            let late = facts.plan.promises.history_lags() && facts.backend_failed_before_return(bot, confirmed_us);
            late || facts.could_not_read(bot, confirmed_us)
        };
        return facts.is_there_at_the_end(bot) && (facts.stayed(bot, from, to) || !excused());
    }
    let sender = facts.plan.sends[op].bot;
    facts.stayed(bot, from, to) && facts.stayed(sender, from, confirmed_us) && !facts.troubled(from, to)
}

/// A member who stayed or came back never heard a confirmed message.
pub(super) fn lost(facts: &Facts<'_>) -> Vec<Finding> {
    let heard: Vec<BTreeSet<usize>> =
        facts.heard.iter().map(|heard| heard.iter().filter_map(|message| message.op).collect()).collect();
    let mut findings = Vec::new();
    for op in facts.confirmed() {
        let send = &facts.plan.sends[op];
        let Outcome::Confirmed(at_us) = facts.ops[op].outcome else { continue };
        let members =
            facts.plan.members(send.room).filter(|bot| *bot != send.bot || facts.plan.promises.own_messages());
        for bot in members.filter(|bot| is_due(facts, op, *bot, at_us) && !heard[*bot].contains(&op)) {
            let text = format!(
                "{} was confirmed at {}, and {} never heard it",
                facts.message(op),
                seconds(at_us),
                facts.name(bot)
            );
            findings.push(Finding { text, op: Some(op), bot: Some(bot) });
        }
    }
    findings
}

/// Somebody heard the same message again.
pub(super) fn twice(facts: &Facts<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (bot, heard) in facts.heard.iter().enumerate() {
        let mut seen = BTreeSet::new();
        for message in heard.iter().filter(|message| !seen.insert((message.room, message.text))) {
            let text = format!("{} heard `{}` again at {}", facts.name(bot), message.text, seconds(message.at_us));
            findings.push(Finding { text, op: message.op, bot: Some(bot) });
        }
    }
    findings
}

/// Somebody heard what was never sent, or before it was sent.
pub(super) fn invented(facts: &Facts<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (bot, heard) in facts.heard.iter().enumerate() {
        let was_sent = |op: usize, at_us| facts.ops[op].invoked_us.is_some_and(|sent| sent <= at_us);
        for message in heard.iter().filter(|message| !message.op.is_some_and(|op| was_sent(op, message.at_us))) {
            let text = format!(
                "{} heard `{}` at {}, which nobody had sent",
                facts.name(bot),
                message.text,
                seconds(message.at_us)
            );
            findings.push(Finding { text, op: message.op, bot: Some(bot) });
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use chatwright_client_sdk::protocol::dialects::{Confirmation, gateway};

    use crate::{
        checkers::story::Story,
        history::{Source, What},
    };

    #[test]
    fn a_confirmed_message_that_one_member_never_hears_is_lost() {
        let mut story = Story::good();
        story.forget_delivery(7, 1);
        assert_eq!(story.broken(), ["nothing lost"]);
    }

    #[test]
    fn a_message_without_confirmation_may_be_missed() {
        let mut story = Story::good();
        story.unconfirm(7);
        story.forget_delivery(7, 1);
        assert!(story.broken().is_empty());
    }

    #[test]
    fn where_nobody_catches_up_only_who_was_there_has_to_hear_it() {
        let mut story = Story::good();
        story.plan.promises.catch_up = false;
        story.away(1, 5, 8, None);
        assert!(story.broken().is_empty());
        story.forget_delivery(20, 1);
        assert_eq!(story.broken(), ["nothing lost"]);
    }

    #[test]
    fn where_the_history_lags_a_backend_that_failed_before_the_return_excuses_what_it_does_not_tell_yet() {
        let lagging = || {
            let mut story = Story::good();
            story.plan.promises.dialect = &gateway::DIALECT;
            story.plan.promises.room_order = false;
            story.away(1, 5, 8, None);
            story
        };
        assert!(lagging().broken().contains(&"nothing lost"));
        let mut story = lagging();
        story.store_fails_during(40, 42);
        assert!(story.broken().contains(&"nothing lost"), "it failed after the return");
        let mut story = lagging();
        story.store_fails_during(1, 2);
        assert!(!story.broken().contains(&"nothing lost"), "{:?}", story.broken());
    }

    #[test]
    fn who_could_read_no_history_when_he_came_back_is_excused_while_the_store_fails_and_only_then() {
        let unread = || {
            let mut story = Story::good();
            story.away(1, 5, 8, None);
            story.could_not_read(1);
            story
        };
        assert_eq!(unread().broken(), ["nothing lost"]);
        let mut story = unread();
        story.store_fails_during(6, 7);
        assert!(story.broken().is_empty(), "{:?}", story.broken());
    }

    #[test]
    fn who_is_not_told_his_own_messages_need_not_hear_them() {
        let mut story = Story::good();
        let send = story.plan.sends[7].clone();
        let own = story.plan.members(send.room).position(|member| member == send.bot).expect("a member");
        story.forget_delivery(7, own);
        assert_eq!(story.broken(), ["nothing lost"]);
        story.plan.promises.confirmation = Confirmation::Event;
        assert!(story.broken().is_empty());
    }

    #[test]
    fn a_member_who_came_back_must_have_caught_up() {
        let mut story = Story::good();
        story.away(1, 5, 8, None);
        assert_eq!(story.broken(), ["nothing lost"]);
        let mut story = Story::good();
        story.away(1, 5, 8, Some(Source::CatchUp));
        assert!(story.broken().is_empty());
    }

    #[test]
    fn the_same_message_heard_live_and_again_in_the_history_is_heard_twice() {
        let mut story = Story::good();
        story.hear_again(4, 2, Source::CatchUp);
        assert!(story.broken().contains(&"nothing twice"), "{:?}", story.broken());
    }

    #[test]
    fn a_text_that_nobody_sent_is_invented() {
        let mut story = Story::good();
        let room = story.plan.rooms[0].clone();
        story.append(What::Delivered { bot: 1, room, text: "m9999 from nobody".to_owned(), source: Source::Live });
        assert_eq!(story.broken(), ["nothing invented"]);
    }

    #[test]
    fn a_message_heard_before_it_was_sent_is_invented() {
        let mut story = Story::good();
        story.hear_early(9);
        assert!(story.broken().contains(&"nothing invented"), "{:?}", story.broken());
    }
}
