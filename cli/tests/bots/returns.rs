//! A lost connection in the other dialects: where a history can be read nothing is missed, and where none can the bot says so.

use chatwright_client_sdk::{Bot, BotEvent};
use chatwright_protocol::{
    dialects::{Dialect, direct, gateway, sessions},
    vocabulary::{Audience, RoomId, UserId},
};

use crate::{
    numbered,
    world::{PATIENCE, World, hear},
};

const ROOM: &str = "a room: with *, / and é";
/// The listener of `gateway` that tells histories.
const GATEWAY: &str = "gateway";

/// Two that have met: Bob over a wire that can be cut.
struct Pair {
    world: World,
    alice: Bot,
    bob: Bot,
    /// Whom Alice means by Bob, or by their room.
    to_bob: Audience,
}

impl Pair {
    async fn met(dialect: &'static Dialect) -> Self {
        let world = World::of(dialect).await;
        let bob = world.shaky_bot("bob").await;
        Self::meet(world, bob).await
    }

    async fn met_with_history(dialect: &'static Dialect, listener: &str) -> Self {
        let world = World::of(dialect).await;
        let bob = world.shaky_reader("bob", listener).await;
        Self::meet(world, bob).await
    }

    async fn meet(world: World, mut bob: Bot) -> Self {
        let mut alice = world.bot("alice").await;
        let to_bob = alice.meet(ROOM, &[UserId::from("bob")]).await.expect("let in");
        bob.meet(ROOM, &[UserId::from("alice")]).await.expect("let in");
        Self { world, alice, bob, to_bob }
    }

    async fn say(&mut self, text: &str) {
        self.alice.send_to(&self.to_bob, text).await.expect("taken");
    }

    /// Bob loses his connection, Alice says so many things, he comes back: what he says about his return.
    async fn missed(&mut self, count: u32) -> (usize, Vec<RoomId>) {
        self.world.wire.cut();
        self.bob.wait_for(|event| matches!(event, BotEvent::Disconnected { .. }), PATIENCE).await.expect("gone");
        for text in numbered(0..count) {
            self.say(&text).await;
        }
        self.world.wire.mend();
        let back = self.bob.wait_for(|event| matches!(event, BotEvent::Reconnected { .. }), PATIENCE).await;
        let Ok(BotEvent::Reconnected { missed, gaps }) = back else { panic!("bob did not come back: {back:?}") };
        (missed, gaps)
    }

    /// Bob hears what he missed, once and in order, and what is said now.
    async fn catches_up(mut self, count: u32) {
        let back = self.missed(count).await;
        self.say("after").await;
        let mut heard = hear(&mut self.bob, count as usize + 1).await;
        assert_eq!(heard.pop().as_deref(), Some("after"));
        assert_eq!(heard, numbered(0..count));
        assert_eq!(back, (count as usize, Vec::new()));
    }

    /// Bob tells that he cannot know what was said in his room, and goes on with what is said now.
    async fn tells_the_gap(mut self) {
        self.say("before").await;
        assert_eq!(hear(&mut self.bob, 1).await, ["before"]);
        assert_eq!(self.missed(5).await, (0, vec![RoomId::from(ROOM)]));
        self.say("after").await;
        assert_eq!(hear(&mut self.bob, 1).await, ["after"], "nothing of what was said while he was away");
    }
}

#[tokio::test]
async fn in_direct_a_bot_that_was_away_hears_what_it_missed_once_and_in_order() {
    let mut pair = Pair::met(&direct::DIALECT).await;
    pair.say("before").await;
    assert_eq!(hear(&mut pair.bob, 1).await, ["before"]);
    pair.catches_up(130).await;
}

#[tokio::test]
async fn in_direct_a_bot_hears_of_a_conversation_that_begins_while_it_is_away() {
    Pair::met(&direct::DIALECT).await.catches_up(20).await;
}

#[tokio::test]
async fn in_direct_what_two_said_before_they_met_again_is_not_told_as_missed() {
    let mut pair = Pair::met(&direct::DIALECT).await;
    for text in numbered(100..120) {
        pair.say(&text).await;
    }
    let bob = pair.world.shaky_bot("bob").await;
    let mut again = Pair::meet(pair.world, bob).await;
    again.say("before").await;
    assert_eq!(hear(&mut again.bob, 1).await, ["before"]);
    again.catches_up(20).await;
}

#[tokio::test]
async fn in_direct_under_many_cuts_every_message_is_heard_once_and_in_order() {
    let Pair { world, mut alice, mut bob, to_bob } = Pair::met(&direct::DIALECT).await;
    let all = numbered(0..200);
    let talking = async {
        for (number, text) in all.iter().enumerate() {
            alice.send_to(&to_bob, text).await.expect("confirmed");
            match number % 40 {
                10 => world.wire.cut(),
                25 => world.wire.mend(),
                _ => tokio::time::sleep(std::time::Duration::from_millis(5)).await,
            }
        }
    };
    let ((), heard) = tokio::join!(talking, hear(&mut bob, all.len()));
    assert_eq!(heard, all);
}

#[tokio::test]
async fn in_gateway_a_bot_that_was_away_hears_what_it_missed_once_and_in_order() {
    let mut pair = Pair::met_with_history(&gateway::DIALECT, GATEWAY).await;
    pair.say("before").await;
    assert_eq!(hear(&mut pair.bob, 1).await, ["before"]);
    pair.catches_up(130).await;
}

#[tokio::test]
async fn in_gateway_a_bot_that_cannot_read_the_history_says_that_it_may_have_missed_something() {
    Pair::met(&gateway::DIALECT).await.tells_the_gap().await;
}

#[tokio::test]
async fn in_sessions_a_bot_that_was_away_says_that_it_may_have_missed_something() {
    Pair::met(&sessions::DIALECT).await.tells_the_gap().await;
}

#[tokio::test]
async fn in_gateway_a_bot_returns_to_several_rooms_one_after_the_other() {
    let mut pair = Pair::met_with_history(&gateway::DIALECT, GATEWAY).await;
    for room in ["second", "third"] {
        pair.alice.join(room).await.expect("let in");
        pair.bob.join(room).await.expect("let in");
    }
    pair.world.wire.cut();
    pair.bob.wait_for(|event| matches!(event, BotEvent::Disconnected { .. }), PATIENCE).await.expect("gone");
    for room in ["second", "third"] {
        pair.alice.send(&RoomId::from(room), &format!("in the {room}")).await.expect("confirmed");
    }
    pair.world.wire.mend();
    let back = pair.bob.wait_for(|event| matches!(event, BotEvent::Reconnected { .. }), 3 * PATIENCE).await;
    assert_eq!(back, Ok(BotEvent::Reconnected { missed: 2, gaps: Vec::new() }));
    assert_eq!(hear(&mut pair.bob, 2).await, ["in the second", "in the third"]);
}
