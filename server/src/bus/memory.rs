//! The bus of instances that live in one process: the default (one instance), and the double in tests (several on one [`MemoryHub`]).

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
};

use chatwright_protocol::vocabulary::RoomId;
use futures_util::future::{BoxFuture, ready};
use tokio::sync::mpsc::{self, error::TrySendError};

use super::{Bus, BusDown, DELIVERIES_WAITING_MAX, Deliveries, Delivery, Notice};

/// What the instances of one process share.
#[derive(Debug, Default, Clone)]
pub struct MemoryHub {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    next_endpoint: u64,
    endpoints: HashMap<u64, Endpoint>,
    subscribers: HashMap<RoomId, HashSet<u64>>,
    /// Endpoints that hear every room.
    everywhere: HashSet<u64>,
}

#[derive(Debug)]
struct Endpoint {
    sender: mpsc::Sender<Delivery>,
    /// Something was dropped: the next thing it hears is the gap.
    missed: bool,
}

impl MemoryHub {
    /// A bus for one more instance, which hears every room without asking.
    #[must_use]
    pub fn endpoint_for_all(&self) -> (MemoryBus, Deliveries) {
        let (bus, deliveries) = self.endpoint();
        self.shared.lock().expect("no code panics while it holds the hub").everywhere.insert(bus.id);
        (bus, deliveries)
    }

    /// A bus for one more instance.
    #[must_use]
    pub fn endpoint(&self) -> (MemoryBus, Deliveries) {
        let (sender, receiver) = mpsc::channel(DELIVERIES_WAITING_MAX);
        let mut shared = self.shared.lock().expect("no code panics while it holds the hub");
        let id = shared.next_endpoint;
        shared.next_endpoint += 1;
        shared.endpoints.insert(id, Endpoint { sender, missed: false });
        (MemoryBus { id, hub: self.clone() }, receiver)
    }
}

impl Shared {
    /// Tells everybody but the speaker, who would ignore it.
    fn deliver(&mut self, speaker: u64, notice: &Notice) {
        let subscribers = self.subscribers.get(&notice.room).into_iter().flatten();
        for id in subscribers.chain(&self.everywhere).filter(|id| **id != speaker) {
            let Some(endpoint) = self.endpoints.get_mut(id) else { continue };
            if endpoint.missed && endpoint.sender.try_send(Delivery::Gap).is_ok() {
                endpoint.missed = false;
            }
            match endpoint.sender.try_send(Delivery::Notice(notice.clone())) {
                Ok(()) | Err(TrySendError::Closed(_)) => {}
                Err(TrySendError::Full(_)) => endpoint.missed = true,
            }
        }
    }
}

/// One instance's end of a [`MemoryHub`].
#[derive(Debug)]
pub struct MemoryBus {
    id: u64,
    hub: MemoryHub,
}

impl Bus for MemoryBus {
    fn is_alone(&self) -> bool {
        self.hub.shared.lock().expect("no code panics while it holds the hub").endpoints.len() == 1
    }

    fn publish(&self, notice: Notice) -> BoxFuture<'_, Result<(), BusDown>> {
        self.hub.shared.lock().expect("no code panics while it holds the hub").deliver(self.id, &notice);
        Box::pin(ready(Ok(())))
    }

    fn subscribe<'a>(&'a self, room: &'a RoomId) -> BoxFuture<'a, Result<(), BusDown>> {
        let mut shared = self.hub.shared.lock().expect("no code panics while it holds the hub");
        shared.subscribers.entry(room.clone()).or_default().insert(self.id);
        Box::pin(ready(Ok(())))
    }

    fn unsubscribe<'a>(&'a self, room: &'a RoomId) -> BoxFuture<'a, ()> {
        let mut shared = self.hub.shared.lock().expect("no code panics while it holds the hub");
        if let Some(subscribers) = shared.subscribers.get_mut(room) {
            subscribers.remove(&self.id);
            if subscribers.is_empty() {
                shared.subscribers.remove(room);
            }
        }
        Box::pin(ready(()))
    }

    fn ping(&self) -> BoxFuture<'_, Result<(), BusDown>> {
        Box::pin(ready(Ok(())))
    }

    fn technology(&self) -> &'static str {
        "memory"
    }
}

impl Drop for MemoryBus {
    fn drop(&mut self) {
        let mut shared = self.hub.shared.lock().expect("no code panics while it holds the hub");
        shared.endpoints.remove(&self.id);
        shared.everywhere.remove(&self.id);
        shared.subscribers.retain(|_, subscribers| {
            subscribers.remove(&self.id);
            !subscribers.is_empty()
        });
    }
}
