//! The one task of a connection: the only place that awaits, and the only `select!` while it stands.

use std::{collections::HashMap, future::poll_fn, sync::Arc, sync::atomic::Ordering, time::Duration};

use chatwright_protocol::socket_io::{Body, Decoder, Packet};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until, timeout},
};

use super::{
    Responder, SocketEvent,
    emitter::Command,
    mailbox::Mailbox,
    namespace::{Namespace, Phase},
};
use crate::{
    backoff::Backoff,
    config::Config,
    engine::{Engine, Incoming, Lost, endpoint::Endpoint},
    error::{ConnectError, DisconnectReason},
};

/// How long closing may take before the connection is simply dropped.
const CLOSE_GRACE: Duration = Duration::from_secs(1);

pub(super) struct Driver {
    pub(super) config: Config,
    pub(super) endpoint: Endpoint,
    pub(super) commands: mpsc::UnboundedReceiver<Command>,
    pub(super) namespaces: HashMap<Arc<str>, Namespace>,
    pub(super) mail: Mailbox,
    pub(super) backoff: Option<Backoff>,
    /// For responders: a strong one here would keep the client open for ever.
    handles: mpsc::WeakUnboundedSender<Command>,
    decoder: Decoder,
}

/// What ends the standing of a connection.
enum End {
    /// It was lost: mend it if configured.
    Lost(Lost),
    /// No namespace is active any more: the session is closed, the client remains.
    Idle,
    /// The client is closed.
    Closed,
}

impl Driver {
    pub(super) fn new(
        config: Config,
        endpoint: Endpoint,
        commands: mpsc::UnboundedReceiver<Command>,
        handles: mpsc::WeakUnboundedSender<Command>,
    ) -> Self {
        let backoff = config.reconnection.map(|rule| Backoff::new(rule, config.seed));
        let decoder = Decoder::new(config.limits);
        let (namespaces, mail) = (HashMap::new(), Mailbox::default());
        Self { config, endpoint, commands, namespaces, mail, backoff, handles, decoder }
    }

    /// From the first session to the end of the client.
    pub(super) async fn run(mut self, first: Engine) {
        let mut session = Some(first);
        while let Some(mut engine) = session {
            let end = self.online(&mut engine).await;
            session = match end {
                End::Lost(lost) => {
                    drop(engine);
                    self.lost(&lost);
                    self.offline().await
                }
                End::Idle => {
                    close(&mut engine).await;
                    drop(engine);
                    self.offline().await
                }
                End::Closed => {
                    self.leave_all(&mut engine);
                    close(&mut engine).await;
                    None
                }
            };
        }
        self.all_gone(DisconnectReason::ClientDisconnect);
        // Readers get what is theirs as long as they read at all.
        while self.mail.is_blocked() && timeout(CLOSE_GRACE, self.mail.deliver()).await.is_ok() {}
        for namespace in self.namespaces.values() {
            namespace.handle.shared.queue.close();
        }
    }

    async fn online(&mut self, engine: &mut Engine) -> End {
        self.decoder = Decoder::new(self.config.limits);
        for namespace in self.namespaces.values().filter(|namespace| namespace.phase == Phase::Connecting) {
            namespace.request(engine);
        }
        let silence_max = engine.silence_max;
        let watchdog = sleep_until(Instant::now() + silence_max);
        tokio::pin!(watchdog);
        loop {
            let reading = !self.mail.is_blocked();
            tokio::select! {
                biased;
                command = self.commands.recv() => {
                    if let Some(end) = self.obey(command, engine) {
                        return end;
                    }
                }
                () = self.mail.deliver(), if !reading => {
                    // Its reader was slow, not the server: silence counts from here.
                    watchdog.as_mut().reset(Instant::now() + silence_max);
                }
                incoming = poll_fn(|cx| engine.poll(cx, reading)) => {
                    let outcome = match incoming {
                        Ok(Incoming::Heartbeat) => {
                            watchdog.as_mut().reset(Instant::now() + silence_max);
                            Ok(None)
                        }
                        Ok(Incoming::Text(text)) => self.decoder.text(&text).map_err(Lost::parse),
                        Ok(Incoming::Binary(bytes)) => self.decoder.binary(bytes).map_err(Lost::parse),
                        Err(lost) => Err(lost),
                    };
                    match outcome {
                        Ok(None) => {}
                        Ok(Some(packet)) => self.receive(packet, engine),
                        Err(lost) => return End::Lost(lost),
                    }
                    if self.is_idle() {
                        return End::Idle;
                    }
                }
                () = watchdog.as_mut(), if reading => {
                    let detail = format!("no ping for {silence_max:?}");
                    return End::Lost(Lost { reason: DisconnectReason::PingTimeout, detail });
                }
            }
        }
    }

    /// Carries out a command while there is a session.
    fn obey(&mut self, command: Option<Command>, engine: &mut Engine) -> Option<End> {
        match command {
            None | Some(Command::Close) => return Some(End::Closed),
            Some(Command::Open { handle, auth, events, ready }) => {
                let name = Arc::clone(&handle.namespace);
                if self.namespaces.get(&name).is_some_and(|other| other.phase != Phase::Inactive) {
                    // A caller that has stopped waiting does not want to know.
                    drop(ready.send(Err(ConnectError::Protocol(format!("namespace {name} is open already")))));
                    return None;
                }
                let namespace = Namespace::new(handle, auth, events, ready);
                namespace.request(engine);
                self.namespaces.insert(name, namespace);
            }
            Some(Command::Emit(emission)) => {
                if let Some(namespace) = self.namespaces.get_mut(&emission.namespace) {
                    namespace.emit(emission, Some(engine), &mut self.mail);
                }
            }
            Some(Command::Forget { namespace, id }) => self.forget(&namespace, id),
            Some(Command::Connect { namespace }) => {
                if let Some(namespace) = self.namespaces.get_mut(&namespace)
                    && namespace.phase == Phase::Inactive
                {
                    namespace.phase = Phase::Connecting;
                    namespace.request(engine);
                }
            }
            Some(Command::Disconnect { namespace }) => {
                if let Some(namespace) = self.namespaces.get_mut(&namespace)
                    && namespace.phase != Phase::Inactive
                {
                    namespace.leave(engine);
                    namespace.disconnected(DisconnectReason::ClientDisconnect, false, &mut self.mail);
                }
                return self.is_idle().then_some(End::Idle);
            }
            Some(Command::Raw(frame)) => engine.push_frame(frame, None),
        }
        None
    }

    fn receive(&mut self, packet: Packet, engine: &mut Engine) {
        let Some(namespace) = self.namespaces.get_mut(packet.namespace.as_str()) else {
            tracing::debug!(namespace = packet.namespace, "packet for a namespace that nobody opened");
            return;
        };
        match packet.body {
            Body::Connect(payload) => namespace.connected(payload.as_ref(), engine, &mut self.mail),
            Body::ConnectError { message, data } => namespace.refused(message, data, &mut self.mail),
            Body::Disconnect => namespace.disconnected(DisconnectReason::ServerDisconnect, false, &mut self.mail),
            Body::Ack { id, args } => namespace.answer(id, Ok(args), &mut self.mail),
            Body::Event { name, args, id } => {
                let handle = &namespace.handle;
                let respond = id.zip(self.handles.upgrade()).map(|(id, commands)| Responder {
                    emitter: handle.shared.emitter(commands, &handle.namespace, self.config.message_bytes_max),
                    id,
                    connection: handle.shared.connections.load(Ordering::Acquire),
                });
                namespace.post(SocketEvent::Event { name, args, respond }, &mut self.mail);
            }
        }
    }

    pub(super) fn forget(&mut self, namespace: &str, id: u64) {
        if let Some(namespace) = self.namespaces.get_mut(namespace) {
            namespace.forget(id);
        }
    }

    /// Whether there were namespaces and none is active any more.
    fn is_idle(&self) -> bool {
        !self.namespaces.is_empty() && self.namespaces.values().all(|namespace| namespace.phase == Phase::Inactive)
    }

    fn lost(&mut self, lost: &Lost) {
        tracing::debug!(reason = %lost.reason, detail = lost.detail, "connection lost");
        let reconnecting = self.backoff.is_some();
        for namespace in self.namespaces.values_mut() {
            namespace.disconnected(lost.reason, reconnecting, &mut self.mail);
        }
    }

    fn leave_all(&mut self, engine: &mut Engine) {
        for namespace in self.namespaces.values().filter(|namespace| namespace.phase == Phase::Connected) {
            namespace.leave(engine);
        }
    }

    fn all_gone(&mut self, reason: DisconnectReason) {
        for namespace in self.namespaces.values_mut() {
            namespace.disconnected(reason, false, &mut self.mail);
        }
    }
}

/// Writes what waits and ends the session, within bounded time.
async fn close(engine: &mut Engine) {
    engine.say_goodbye();
    // Too late: dropping the connection closes it as well.
    let _ = timeout(CLOSE_GRACE, poll_fn(|cx| engine.poll_close(cx))).await;
}
