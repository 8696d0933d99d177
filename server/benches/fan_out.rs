//! What one message costs the chat core, from the decoded command to the frames that everybody's transport is given: `cargo bench -p chatwright-server`.

#![expect(clippy::unwrap_used, reason = "a bench that fails shall end")]

use std::{
    hint::black_box,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use chatwright_protocol::{
    dialects::{AppPacket, rooms::DIALECT},
    vocabulary::{Command, MessageId, RoomId, UserId},
};
use chatwright_server::{
    auth::{Identity, IdentityMode},
    bus::memory::MemoryHub,
    chat::{
        Clocks, Connection, Core as _, Limits,
        rooms::{Hub, Ports, Rules, Speaker},
    },
    metrics::Metrics,
    store::{
        DeviceId, InstanceId,
        memory::{MemoryMessages, Retention},
        memory_roster::MemoryRoster,
    },
    transport::{CannotTake, Frame, Sink},
};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use serde_json::json;

/// Counts what it is told, and forgets it.
#[derive(Default)]
struct Counter(AtomicUsize);

impl Sink for Counter {
    fn send(&self, frame: &Frame) -> Result<(), CannotTake> {
        self.0.fetch_add(black_box(frame).size(), Ordering::Relaxed);
        Ok(())
    }

    fn carrier(&self) -> &'static str {
        "counter"
    }
}

fn hub() -> Arc<Hub> {
    let (bus, deliveries) = MemoryHub::default().endpoint();
    let retention = Retention { history_messages_max: 100, history_ttl: Duration::from_secs(3600) };
    let ports = Ports {
        messages: Arc::new(MemoryMessages::new(retention)),
        roster: Arc::new(MemoryRoster::default()),
        bus: Arc::new(bus),
        events: None,
    };
    let rules = Rules {
        dialect: &DIALECT,
        identity: IdentityMode::Token,
        speaker: Speaker::Connection,
        text_field: "message",
        message_id: || MessageId::from(uuid::Uuid::now_v7().to_string()),
        limits: Limits::default(),
        clocks: Clocks::default(),
    };
    Hub::start(rules, InstanceId::fresh(), ports, deliveries, Metrics::new())
}

/// A room with so many connections; the first of them.
async fn room_of(members: usize, hub: &Arc<Hub>) -> Arc<Connection> {
    let mut connections = Vec::new();
    for index in 0..members {
        let user = format!("user-{index}");
        let identity = Identity { user: UserId::from(user.as_str()), name: user, email: None, expires_at_ms: None };
        let connection = hub.connect(Some(identity), DeviceId::fresh(), Arc::new(Counter::default())).await.unwrap();
        let join = Command::Join { room: RoomId::from("room"), kind: None, participants: Vec::new(), claimed: None };
        hub.handle(&connection, join).await.unwrap();
        connections.push(connection);
    }
    connections.swap_remove(0)
}

fn fan_out(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut group = criterion.benchmark_group("one message to a room");
    let sent = AppPacket::event("send_message", json!({"roomId": "room", "message": "x".repeat(100)}));
    for members in [10, 100] {
        group.throughput(Throughput::Elements(members as u64));
        group.bench_function(BenchmarkId::from_parameter(members), |bencher| {
            let (hub, speaker) = runtime.block_on(async {
                let hub = hub();
                let speaker = room_of(members, &hub).await;
                (hub, speaker)
            });
            bencher.iter(|| {
                runtime.block_on(async {
                    let command = (DIALECT.server.decode)(black_box(&sent)).unwrap();
                    hub.handle(&speaker, command).await.unwrap()
                })
            });
        });
    }
    group.finish();
}

criterion_group!(benches, fan_out);
criterion_main!(benches);
