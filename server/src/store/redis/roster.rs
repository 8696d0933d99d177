//! The roster on Redis: the documented set of a room's users and the presence hash, kept by one script together with keys of our own
//! that say whose devices these are, so that the devices of a dead instance can be taken back.

use std::time::Duration;

use chatwright_protocol::vocabulary::{RoomId, UserId};
use redis::{FromRedisValue, Script, ScriptInvocation, Value};

use super::wire;
use crate::{
    redis_link::RedisLink,
    store::{Admission, Departure, Device, DeviceId, Entry, InstanceId, Lease, RosterStore, StoreError, StoreFuture},
};

/// Characters before the room id in an entry's field: `r:`, 32 hex digits of the device, `:`.
const ROOM_STARTS_AT: usize = 35;

/// Devices refreshed in one question, so that a question stays short.
const REFRESH_MAX: usize = 256;

/// Who is where, on Redis.
#[derive(Debug)]
pub struct RedisRoster {
    link: RedisLink,
    script: Script,
}

impl RedisRoster {
    /// A roster over this link.
    #[must_use]
    pub fn new(link: RedisLink) -> Self {
        Self { link, script: Script::new(include_str!("roster.lua")) }
    }

    fn step(&self, step: &str, instance: &str) -> ScriptInvocation<'_> {
        let mut invocation = self.script.prepare_invoke();
        invocation.arg(step).arg(self.link.prefix()).arg(instance);
        invocation
    }

    fn device_step(&self, step: &str, device: &Device) -> ScriptInvocation<'_> {
        let mut invocation = self.step(step, device.instance.as_str());
        invocation.arg(device.id.as_str()).arg(device.member.user.as_str());
        invocation
    }

    async fn flag(&self, invocation: &ScriptInvocation<'_>) -> Result<bool, StoreError> {
        let flag: i64 = self.link.run_script(invocation).await?;
        Ok(flag == 1)
    }
}

impl RosterStore for RedisRoster {
    fn renew<'a>(&'a self, instance: &'a InstanceId, lease: Duration) -> StoreFuture<'a, Lease> {
        Box::pin(async move {
            let mut step = self.step("renew", instance.as_str());
            step.arg(u64::try_from(lease.as_millis()).unwrap_or(u64::MAX));
            Ok(if self.flag(&step).await? { Lease::Held } else { Lease::Lost })
        })
    }

    fn resign<'a>(&'a self, instance: &'a InstanceId) -> StoreFuture<'a, ()> {
        Box::pin(async move { self.flag(&self.step("resign", instance.as_str())).await.map(|_| ()) })
    }

    fn connect<'a>(&'a self, device: &'a Device, connections_max: usize) -> StoreFuture<'a, Admission> {
        Box::pin(async move {
            let mut step = self.device_step("connect", device);
            step.arg(wire::member_json(&device.member)).arg(connections_max);
            Ok(if self.flag(&step).await? { Admission::Admitted } else { Admission::Full })
        })
    }

    fn disconnect<'a>(&'a self, device: &'a Device) -> StoreFuture<'a, ()> {
        Box::pin(async move { self.flag(&self.device_step("disconnect", device)).await.map(|_| ()) })
    }

    fn enter<'a>(&'a self, room: &'a RoomId, device: &'a Device) -> StoreFuture<'a, bool> {
        Box::pin(async move {
            let mut step = self.device_step("enter", device);
            step.arg(wire::member_json(&device.member)).arg(room.as_str());
            self.flag(&step).await
        })
    }

    fn leave<'a>(&'a self, room: &'a RoomId, device: &'a Device) -> StoreFuture<'a, bool> {
        Box::pin(async move {
            let mut step = self.device_step("leave", device);
            step.arg(room.as_str());
            self.flag(&step).await
        })
    }

    fn members<'a>(&'a self, room: &'a RoomId) -> StoreFuture<'a, Vec<UserId>> {
        Box::pin(async move {
            let mut step = self.step("members", "");
            step.arg(room.as_str());
            let mut users: Vec<String> = self.link.read_script(&step).await?;
            users.sort_unstable();
            Ok(users.into_iter().map(UserId::from).collect())
        })
    }

    fn refresh<'a>(&'a self, devices: &'a [Device]) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            for batch in devices.chunks(REFRESH_MAX) {
                let mut step = self.step("refresh", "");
                for device in batch {
                    step.arg(device.id.as_str()).arg(device.member.user.as_str());
                }
                self.flag(&step).await?;
            }
            Ok(())
        })
    }

    fn entries<'a>(&'a self, instance: &'a InstanceId) -> StoreFuture<'a, Vec<Entry>> {
        Box::pin(async move {
            let key = self.link.key("chatwright:instance:", instance.as_str(), "");
            let fields: Vec<(String, String)> = self.link.read(&redis::Cmd::hgetall(key)).await?;
            fields.iter().map(|(field, member)| entry(instance, field, member)).collect()
        })
    }

    fn reap(&self) -> StoreFuture<'_, Vec<Departure>> {
        Box::pin(async move {
            let mut departures = Vec::new();
            loop {
                let answer: Value = self.link.run_script(&self.step("reap", "")).await?;
                if answer == Value::Int(0) {
                    return Ok(departures);
                }
                let corrupt = |problem: redis::ParsingError| StoreError::Corrupt(problem.to_string());
                let gone = Vec::<String>::from_redis_value(answer).map_err(corrupt)?;
                for pair in gone.chunks_exact(2) {
                    let [room, member] = pair else { continue };
                    departures.push(Departure { room: RoomId::from(room.as_str()), member: wire::member(member)? });
                }
            }
        })
    }
}

fn entry(instance: &InstanceId, field: &str, member: &str) -> Result<Entry, StoreError> {
    let corrupt = || StoreError::Corrupt(format!("an entry of an instance: {field}"));
    let id = DeviceId::from(field.get(2..ROOM_STARTS_AT - 1).ok_or_else(corrupt)?);
    let device = Device { instance: instance.clone(), id, member: wire::member(member)? };
    let room = match field.get(..2) {
        Some("c:") => None,
        Some("r:") => Some(RoomId::from(field.get(ROOM_STARTS_AT..).ok_or_else(corrupt)?)),
        Some(_) | None => return Err(corrupt()),
    };
    Ok(Entry { device, room })
}
