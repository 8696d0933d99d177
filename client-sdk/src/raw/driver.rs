//! The one task of a connection: the only place that awaits its wire, and the one that restores it.

use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};

use super::{Order, Proof, RawEvent, wire::Wire};
use crate::{
    backoff::Backoff,
    config::Config,
    engine::endpoint::Endpoint,
    error::{ConnectError, DisconnectReason},
};

pub(super) struct Driver {
    config: Config,
    endpoint: Endpoint,
    proof: Option<Proof>,
    orders: mpsc::Receiver<Order>,
    events: mpsc::Sender<RawEvent>,
    backoff: Option<Backoff>,
}

/// What ends the standing of a connection.
enum End {
    Lost(DisconnectReason),
    /// The handle is gone.
    Closed,
}

impl Driver {
    pub(super) fn new(
        config: Config,
        endpoint: Endpoint,
        proof: Option<Proof>,
        orders: mpsc::Receiver<Order>,
        events: mpsc::Sender<RawEvent>,
    ) -> Self {
        let backoff = config.reconnection.map(|rule| Backoff::new(rule, config.seed));
        Self { config, endpoint, proof, orders, events, backoff }
    }

    /// From the first connection to the end of the handle.
    pub(super) async fn run(mut self, first: Wire) {
        let mut wire = first;
        loop {
            let reason = match self.online(&mut wire).await {
                End::Lost(reason) => reason,
                End::Closed => return wire.close().await,
            };
            drop(wire);
            let reconnecting = reason.is_recoverable() && self.backoff.is_some();
            self.tell(RawEvent::Disconnected { reason, reconnecting }).await;
            let Some(next) = self.offline(reconnecting).await else { return };
            wire = next;
            self.tell(RawEvent::Connected).await;
        }
    }

    async fn online(&mut self, wire: &mut Wire) -> End {
        loop {
            let (due, events) = (wire.silence_due(), &self.events);
            let outcome = tokio::select! {
                order = self.orders.recv() => match order {
                    None => return End::Closed,
                    Some(Order::Frame(text)) => wire.send(text).await,
                    Some(Order::Connect) => Ok(()),
                },
                // A reader that is full stops the reading; both steps are cancel safe.
                read = async {
                    let Ok(place) = events.reserve().await else { return None };
                    Some((place, wire.next().await))
                } => match read {
                    None => return End::Closed,
                    Some((place, Ok(frame))) => {
                        place.send(RawEvent::Frame(frame));
                        Ok(())
                    }
                    Some((_, Err(reason))) => Err(reason),
                },
                () = sleep_until(due) => {
                    if self.events.capacity() == 0 {
                        wire.excuse_silence();
                    }
                    if wire.silence_due() <= Instant::now() { wire.silence().await } else { Ok(()) }
                }
            };
            if let Err(reason) = outcome {
                return End::Lost(reason);
            }
        }
    }

    /// Until there is a connection again; `None` when the handle is gone.
    async fn offline(&mut self, mut reconnecting: bool) -> Option<Wire> {
        loop {
            self.wait_for_turn(reconnecting).await?;
            reconnecting = true;
            let opened = tokio::select! {
                opened = Wire::open(&self.endpoint, &self.config, self.proof.as_ref()) => opened,
                () = self.events.closed() => return None,
            };
            match opened {
                Ok(wire) => {
                    if let Some(backoff) = &mut self.backoff {
                        backoff.reset();
                    }
                    return Some(wire);
                }
                Err(ConnectError::Refused { message, .. }) => {
                    self.tell(RawEvent::Refused { message }).await;
                    reconnecting = false;
                }
                Err(error) => {
                    tracing::debug!(%error, "no reconnection");
                    if self.backoff.is_none() {
                        self.tell(RawEvent::GaveUp { attempts: 1 }).await;
                        reconnecting = false;
                    }
                }
            }
        }
    }

    /// Until it is time to dial, or somebody wants it. What is to be sent meanwhile is dropped. `None`: the handle is gone.
    async fn wait_for_turn(&mut self, reconnecting: bool) -> Option<()> {
        let due = match (reconnecting, &mut self.backoff) {
            (true, Some(backoff)) => match backoff.next() {
                Some((attempt, delay)) => {
                    tracing::debug!(attempt, ?delay, "reconnecting");
                    Some(Instant::now() + delay)
                }
                None => {
                    let attempts = self.config.reconnection.and_then(|rule| rule.attempts_max).unwrap_or(0);
                    self.tell(RawEvent::GaveUp { attempts }).await;
                    None
                }
            },
            (true, None) => Some(Instant::now()),
            (false, _) => None,
        };
        loop {
            tokio::select! {
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => return Some(()),
                order = self.orders.recv() => match order {
                    None => return None,
                    Some(Order::Frame(_)) => {}
                    Some(Order::Connect) => {
                        if let Some(backoff) = &mut self.backoff {
                            backoff.reset();
                        }
                        return Some(());
                    }
                },
            }
        }
    }

    /// A reader that is gone misses nothing.
    async fn tell(&self, event: RawEvent) {
        let _ = self.events.send(event).await;
    }
}
