//! A proxy that understands HTTP/1.1, WebSocket frames and Engine.IO packets, and does to them what rules say. Without rules it
//! changes nothing that a client or server could see.
//!
//! `http.rs` passes exchanges on; `polling.rs` takes the bodies of polling apart; `websocket.rs` relays frames; `session.rs`
//! knows what belongs together, counts matches and applies rules to packets.

mod http;
mod polling;
mod session;
mod websocket;

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::{AbortHandle, JoinSet},
};

use self::session::Session;
use super::rule::{Direction, Rule, Transport};
use crate::{record::Tap, target::Address};

/// Open TCP connections; the next one waits. A run has fewer.
const CONNECTIONS_MAX: usize = 4096;
/// Sessions whose matches are counted together over several connections.
const SESSIONS_MAX: usize = 20_000;

/// A running proxy; it ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Proxy {
    address: SocketAddr,
    rules: Arc<Vec<Rule>>,
    server: AbortHandle,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Proxy {
    /// Starts before this base URL.
    pub(super) async fn start(upstream: Address, rules: Arc<Vec<Rule>>) -> io::Result<Self> {
        Self::listening(TcpListener::bind(("127.0.0.1", 0)).await?, upstream, rules, None)
    }

    /// Starts here, changes nothing, and tells what passes.
    pub(crate) async fn tapped(upstream: Address, listen: SocketAddr, tap: Arc<Tap>) -> io::Result<Self> {
        Self::listening(TcpListener::bind(listen).await?, upstream, Arc::default(), Some(tap))
    }

    fn listening(
        listener: TcpListener,
        upstream: Address,
        rules: Arc<Vec<Rule>>,
        tap: Option<Arc<Tap>>,
    ) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let relay = Arc::new(Relay {
            upstream,
            rules: Arc::clone(&rules),
            tap,
            outside: Arc::new(Session::default()),
            sessions: Mutex::default(),
        });
        let server = tokio::spawn(accept(listener, relay)).abort_handle();
        Ok(Self { address, rules, server })
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The rules, with their hits.
    pub(super) fn rules(&self) -> &Arc<Vec<Rule>> {
        &self.rules
    }
}

/// What all connections of a proxy share.
struct Relay {
    upstream: Address,
    rules: Arc<Vec<Rule>>,
    /// Who wants to know what passes.
    tap: Option<Arc<Tap>>,
    /// What is outside Engine.IO, or before a session has its id.
    outside: Arc<Session>,
    sessions: Mutex<HashMap<String, Arc<Session>>>,
}

impl Relay {
    fn sessions(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Session>>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The session of an id; a new one for an id that has not passed by here.
    fn session(&self, sid: &str) -> Arc<Session> {
        self.sessions().get(sid).cloned().unwrap_or_default()
    }

    fn remember(&self, sid: &str, session: &Arc<Session>) {
        let mut sessions = self.sessions();
        if sessions.len() >= SESSIONS_MAX {
            sessions.retain(|_, session| Arc::strong_count(session) > 1);
        }
        if sessions.len() < SESSIONS_MAX {
            sessions.insert(sid.to_owned(), Arc::clone(session));
        }
    }

    /// Tells of a packet, before rules do anything to it.
    fn tells(&self, session: &Arc<Session>, direction: Direction, over: Transport, packet: &str) {
        if let Some(tap) = &self.tap {
            tap.packet(session, direction, over, packet);
        }
    }

    /// Tells that the connection of a session is over.
    fn tells_end(&self, session: &Arc<Session>) {
        if let Some(tap) = &self.tap {
            tap.end(session);
        }
    }

    /// Gives a packet to every session but one.
    fn copy_to_others(&self, from: &Arc<Session>, packet: &str) {
        let others: Vec<_> = self.sessions().values().filter(|other| !Arc::ptr_eq(other, from)).cloned().collect();
        for other in others {
            other.give(packet);
        }
    }

    async fn connect(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect((self.upstream.host.as_str(), self.upstream.port)).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

async fn accept(listener: TcpListener, relay: Arc<Relay>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else { continue };
        while connections.try_join_next().is_some() {}
        let relay = Arc::clone(&relay);
        connections.spawn(async move {
            let _late = stream.set_nodelay(true);
            // Upgraded connections go on in tasks of their own, which end with this one.
            let upgraded = Arc::new(Mutex::new(JoinSet::new()));
            let tasks = Arc::clone(&upgraded);
            let service = service_fn(move |request| http::pass_on(request, Arc::clone(&relay), Arc::clone(&tasks)));
            let http = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            let _cut = http.with_upgrades().await;
            let mut tasks = std::mem::take(&mut *upgraded.lock().unwrap_or_else(PoisonError::into_inner));
            while tasks.join_next().await.is_some() {}
            drop(permit);
        });
    }
}
