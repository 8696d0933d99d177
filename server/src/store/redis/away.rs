//! Connections whose clients are away, on Redis: a hash for each, and a bounded stream of what it was told. Both expire by themselves.

use std::{collections::HashMap, time::Duration};

use chatwright_protocol::vocabulary::{RoomId, UserId};
use redis::{Script, ScriptInvocation};

use crate::{
    redis_link::RedisLink,
    store::{
        DeviceId, Position, StoreError, StoreFuture,
        away::{Away, AwayStore, Told, Trail},
    },
};

/// A room's name, and the generation and sequence of a position.
type StandingJson = (String, u64, u64);

/// An entry of the stream: its id, and its fields by name.
type Entry = (String, HashMap<String, String>);

/// Id, keeper, standing, forgotten offset, entries.
type Taken = Option<(String, String, String, String, Vec<Entry>)>;

/// Who is away, on Redis.
#[derive(Debug)]
pub struct RedisAway {
    link: RedisLink,
    script: Script,
}

impl RedisAway {
    /// Over this link.
    #[must_use]
    pub fn new(link: RedisLink) -> Self {
        Self { link, script: Script::new(include_str!("away.lua")) }
    }

    fn keys(&self, private_id: &str) -> [String; 2] {
        [self.link.key("chatwright:away:", private_id, ""), self.link.key("chatwright:told:", private_id, "")]
    }

    fn step(&self, step: &str, private_id: &str) -> ScriptInvocation<'_> {
        let [away, told] = self.keys(private_id);
        let mut invocation = self.script.key(away);
        invocation.key(told).arg(step);
        invocation
    }
}

fn arg_trail(invocation: &mut ScriptInvocation<'_>, trail: &Trail) {
    let standing = trail.standing.iter().map(|(room, Position { generation, sequence })| {
        let standing: StandingJson = (room.to_string(), *generation, *sequence);
        standing
    });
    let standing = serde_json::to_string(&standing.collect::<Vec<_>>()).expect("texts and numbers always serialise");
    invocation.arg(standing).arg(trail.forgotten.as_deref().unwrap_or_default());
    for Told { offset, text } in &trail.told {
        invocation.arg(offset).arg(text);
    }
}

impl AwayStore for RedisAway {
    fn keep<'a>(&'a self, private_id: &'a str, away: &'a Away, window: Duration) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let window_ms = u64::try_from(window.as_millis()).unwrap_or(u64::MAX).max(1);
            let mut invocation = self.step("keep", private_id);
            invocation.arg(window_ms).arg(away.user.as_str()).arg(away.id.as_str()).arg(&away.keeper);
            arg_trail(&mut invocation, &away.trail);
            let _: i64 = self.link.run_script(&invocation).await?;
            Ok(())
        })
    }

    fn add<'a>(&'a self, private_id: &'a str, more: &'a Trail, told_max: usize) -> StoreFuture<'a, bool> {
        Box::pin(async move {
            let mut invocation = self.step("add", private_id);
            invocation.arg(told_max);
            arg_trail(&mut invocation, more);
            let is_kept: i64 = self.link.run_script(&invocation).await?;
            Ok(is_kept == 1)
        })
    }

    fn take<'a>(&'a self, private_id: &'a str, user: &'a UserId) -> StoreFuture<'a, Option<Away>> {
        Box::pin(async move {
            let mut invocation = self.step("take", private_id);
            invocation.arg(user.as_str());
            let taken: Taken = self.link.run_script(&invocation).await?;
            let Some((id, keeper, standing, forgotten, entries)) = taken else { return Ok(None) };
            let corrupt = |problem: &dyn std::fmt::Display| StoreError::Corrupt(problem.to_string());
            let standing: Vec<StandingJson> = serde_json::from_str(&standing).map_err(|problem| corrupt(&problem))?;
            let standing = standing
                .into_iter()
                .map(|(room, generation, sequence)| (RoomId::from(room), Position { generation, sequence }));
            let told = entries.into_iter().map(|(_, mut fields)| {
                let (offset, text) = (fields.remove("o"), fields.remove("t"));
                Some(Told { offset: offset?, text: text? })
            });
            let told = told.collect::<Option<_>>().ok_or_else(|| corrupt(&"an entry without offset or text"))?;
            let forgotten = Some(forgotten).filter(|offset| !offset.is_empty());
            let trail = Trail { standing: standing.collect(), forgotten, told };
            Ok(Some(Away { user: user.clone(), id: DeviceId::from(id.as_str()), keeper, trail }))
        })
    }

    fn forget<'a>(&'a self, private_id: &'a str) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let mut command = redis::cmd("DEL");
            for key in self.keys(private_id) {
                command.arg(key);
            }
            self.link.run(&command).await
        })
    }
}
