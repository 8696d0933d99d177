//! What comes from other instances.

use std::{
    collections::{HashSet, VecDeque},
    sync::{Arc, atomic::Ordering},
};

use chatwright_protocol::vocabulary::Event;

use super::{DIALECT, Hub};
use crate::{
    bus::{Deliveries, Delivery, Notice, NoticeBody},
    store::InstanceId,
    transport::Frame,
};

/// Things said that are remembered, in order to know them again: many times what a bus publishes at once, because what is published
/// twice is published twice in a row.
const REMEMBERED_MAX: usize = 8192;

/// Reads the bus until the server stops.
pub(super) async fn listen(hub: Arc<Hub>, mut deliveries: Deliveries) {
    let mut heard = Heard::default();
    while let Some(delivery) = hub.stopped.run_until_cancelled(deliveries.recv()).await.flatten() {
        match delivery {
            Delivery::Notice(notice) if notice.origin == hub.instance => {}
            Delivery::Notice(notice) => hub.hear(notice, &mut heard),
            Delivery::Gap => {
                hub.metrics.bus_gap();
                hub.differs.store(true, Ordering::Relaxed);
            }
        }
    }
}

/// What was heard lately.
#[derive(Default)]
struct Heard {
    numbers: HashSet<(InstanceId, u64)>,
    order: VecDeque<(InstanceId, u64)>,
}

impl Heard {
    /// `true` the first time.
    fn is_new(&mut self, origin: InstanceId, number: u64) -> bool {
        let said = (origin, number);
        if !self.numbers.insert(said.clone()) {
            return false;
        }
        self.order.push_back(said);
        if self.order.len() > REMEMBERED_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.numbers.remove(&oldest);
        }
        true
    }
}

impl Hub {
    fn hear(&self, notice: Notice, heard: &mut Heard) {
        let Some(cell) = self.rooms.cell(&notice.room) else { return };
        match notice.body {
            NoticeBody::Said { message, number } => {
                if heard.is_new(notice.origin, number)
                    && let Some(frame) = Frame::of(&DIALECT, &Event::Message(message))
                {
                    cell.standing().tell_except(&frame, None);
                }
            }
            NoticeBody::Moved { member, movement, version } => cell.standing().moved(&member, movement, version),
            NoticeBody::Message(_) | NoticeBody::Joined(_) | NoticeBody::Left(_) | NoticeBody::Typing { .. } => {
                tracing::warn!(room = %notice.room, "somebody of another dialect speaks on this channel");
            }
        }
    }
}
