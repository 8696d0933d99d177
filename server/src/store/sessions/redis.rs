//! Who is in a session room, on Redis: the documented hash, kept by one script together with keys of our own that say whose devices
//! these are and whose grace period ends when.

use std::time::Duration;

use chatwright_protocol::vocabulary::{Member, RoomId, UserId};
use redis::{FromRedisValue, Script, ScriptInvocation, Value};

use super::{Arrival, Departure, Due, Entered, Presence, RoomFull, SessionStore};
use crate::{
    redis_link::RedisLink,
    store::{Device, DeviceId, Entry, InstanceId, Lease, StoreError, StoreFuture},
};

/// Characters of a device id in an entry's field, before the colon and the room id.
const DEVICE_CHARACTERS: usize = 32;

/// Who is where, on Redis.
#[derive(Debug)]
pub struct RedisSessions {
    link: RedisLink,
    script: Script,
}

impl RedisSessions {
    /// The sessions behind this link.
    #[must_use]
    pub fn new(link: RedisLink) -> Self {
        Self { link, script: Script::new(include_str!("sessions.lua")) }
    }

    fn step(&self, step: &str, instance: &str) -> ScriptInvocation<'_> {
        let mut invocation = self.script.prepare_invoke();
        invocation.arg(step).arg(self.link.prefix()).arg(instance);
        invocation
    }
}

impl SessionStore for RedisSessions {
    fn enter<'a>(
        &'a self,
        room: &'a RoomId,
        device: &'a Device,
        users_max: usize,
    ) -> StoreFuture<'a, Result<Entered, RoomFull>> {
        Box::pin(async move {
            let mut step = self.step("enter", device.instance.as_str());
            let Member { user, name } = &device.member;
            step.arg(device.id.as_str()).arg(user.as_str()).arg(name).arg(room.as_str()).arg(users_max);
            // Entering twice is the same as once, so a question whose answer was lost is asked again.
            let answer: Value = self.link.read_script(&step).await?;
            if answer == Value::Int(0) {
                return Ok(Err(RoomFull));
            }
            let mut words = words(answer)?.into_iter();
            let arrival = match words.next().as_deref() {
                Some("new") => Arrival::New,
                Some("back") => Arrival::Back,
                Some("present") => Arrival::Present,
                other => return Err(StoreError::Corrupt(format!("an arrival: {other:?}"))),
            };
            Ok(Ok(Entered { arrival, room: presence(words)? }))
        })
    }

    fn leave<'a>(&'a self, room: &'a RoomId, device: &'a Device, grace: Duration) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let mut step = self.step("leave", device.instance.as_str());
            step.arg(device.id.as_str()).arg(device.member.user.as_str()).arg(room.as_str()).arg(ms(grace));
            self.link.read_script::<i64>(&step).await.map(|_| ())
        })
    }

    fn present<'a>(&'a self, room: &'a RoomId) -> StoreFuture<'a, Presence> {
        Box::pin(async move {
            let mut step = self.step("present", "");
            step.arg(room.as_str());
            let answer: Value = self.link.read_script(&step).await?;
            presence(words(answer)?.into_iter())
        })
    }

    fn due(&self, grace: Option<Duration>) -> StoreFuture<'_, Due> {
        Box::pin(async move {
            let mut step = self.step("due", "");
            step.arg(grace.map_or(-1, |grace| i64::try_from(ms(grace)).unwrap_or(i64::MAX)));
            let answer: Value = self.link.run_script(&step).await?;
            let mut words = words(answer)?.into_iter();
            let next = number::<i64>(words.next())?;
            let mut departures = Vec::new();
            while let (Some(room), Some(user), Some(name)) = (words.next(), words.next(), words.next()) {
                let member = Member { user: UserId::from(user), name };
                departures.push(Departure { room: RoomId::from(room), member, version: number(words.next())? });
            }
            Ok(Due { departures, next: u64::try_from(next).ok().map(Duration::from_millis) })
        })
    }

    fn renew<'a>(&'a self, instance: &'a InstanceId, lease: Duration) -> StoreFuture<'a, Lease> {
        Box::pin(async move {
            let mut step = self.step("renew", instance.as_str());
            step.arg(ms(lease));
            let held: i64 = self.link.run_script(&step).await?;
            Ok(if held == 1 { Lease::Held } else { Lease::Lost })
        })
    }

    fn resign<'a>(&'a self, instance: &'a InstanceId) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let step = self.step("resign", instance.as_str());
            self.link.run_script::<i64>(&step).await.map(|_| ())
        })
    }

    fn entries<'a>(&'a self, instance: &'a InstanceId) -> StoreFuture<'a, Vec<Entry>> {
        Box::pin(async move {
            let key = self.link.key("chatwright:session-instance:", instance.as_str(), "");
            let fields: Vec<(String, String)> = self.link.read(&redis::Cmd::hgetall(key)).await?;
            fields.iter().map(|(field, member)| entry(instance, field, member)).collect()
        })
    }

    fn alone(&self) -> Option<String> {
        None
    }

    fn technology(&self) -> &'static str {
        "redis"
    }
}

fn ms(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

fn words(answer: Value) -> Result<Vec<String>, StoreError> {
    Vec::<String>::from_redis_value(answer).map_err(|problem| StoreError::Corrupt(problem.to_string()))
}

fn number<T: std::str::FromStr>(word: Option<String>) -> Result<T, StoreError> {
    word.as_deref().and_then(|word| word.parse().ok()).ok_or_else(|| StoreError::Corrupt(format!("a number: {word:?}")))
}

fn presence(mut words: impl Iterator<Item = String>) -> Result<Presence, StoreError> {
    let version = number(words.next())?;
    let mut members = Vec::new();
    while let (Some(user), Some(name)) = (words.next(), words.next()) {
        members.push(Member { user: UserId::from(user), name });
    }
    members.sort_by(|one, other| one.user.cmp(&other.user));
    Ok(Presence { members, version })
}

fn entry(instance: &InstanceId, field: &str, member: &str) -> Result<Entry, StoreError> {
    let corrupt = || StoreError::Corrupt(format!("an entry of an instance: {field}"));
    let (user, name): (String, String) = serde_json::from_str(member).map_err(|_| corrupt())?;
    let id = DeviceId::from(field.get(..DEVICE_CHARACTERS).ok_or_else(corrupt)?);
    let room = RoomId::from(field.get(DEVICE_CHARACTERS + 1..).ok_or_else(corrupt)?);
    let member = Member { user: UserId::from(user), name };
    Ok(Entry { device: Device { instance: instance.clone(), id, member }, room: Some(room) })
}
