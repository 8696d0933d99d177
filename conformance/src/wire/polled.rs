//! Engine.IO over long-polling as a server sees it: one GET that waits for packets, one POST that brings some.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use tokio::sync::oneshot;

use super::{Raw, link::Inlet, polling::SEPARATOR};

/// Payloads that wait for a GET: more than any case sends ahead.
const WAITING_MAX: usize = 4096;

/// A polling session. When it is dropped, a GET that waits is cut off.
pub(super) struct Polled {
    inlet: Inlet,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<String>,
    get: Option<oneshot::Sender<String>>,
    is_posting: bool,
}

/// What a GET comes to.
pub(super) enum Polling {
    /// These packets, at once.
    Now(String),
    /// What will be sent next.
    Later(Pending),
    /// It is one too many.
    Refused,
}

/// A GET that waits. Dropped before it is answered: the client has given it up.
pub(super) struct Pending {
    answer: oneshot::Receiver<String>,
    inlet: Inlet,
    is_over: bool,
}

impl Pending {
    /// The payload; `None` when the session is gone.
    pub(super) async fn answered(mut self) -> Option<String> {
        let payload = (&mut self.answer).await.ok();
        self.is_over = true;
        payload
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.is_over {
            self.inlet.note(Raw::End("the client gave up its GET".to_owned()));
        }
    }
}

impl Polled {
    pub(super) fn new(inlet: Inlet) -> Self {
        Self { inlet, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a payload: with the GET that waits, or with the next.
    pub(super) fn push(&self, payload: String) {
        let mut state = self.state();
        let unsent = match state.get.take() {
            Some(get) => get.send(payload).err(),
            None => Some(payload),
        };
        if state.waiting.len() < WAITING_MAX {
            state.waiting.extend(unsent);
        }
    }

    /// A GET has come. All that waits goes out in one payload.
    pub(super) fn get(&self) -> Polling {
        let mut state = self.state();
        if state.get.as_ref().is_some_and(|get| !get.is_closed()) {
            drop(state);
            self.broken("a second GET while one is waiting");
            return Polling::Refused;
        }
        if state.waiting.is_empty() {
            let (get, answer) = oneshot::channel();
            state.get = Some(get);
            return Polling::Later(Pending { answer, inlet: self.inlet.clone(), is_over: false });
        }
        let payloads: Vec<String> = state.waiting.drain(..).collect();
        Polling::Now(payloads.join(&SEPARATOR.to_string()))
    }

    /// A POST begins; `false` when it is one too many.
    pub(super) fn begin_post(&self) -> bool {
        let is_second = std::mem::replace(&mut self.state().is_posting, true);
        if is_second {
            self.broken("a second POST before the first was answered");
        }
        !is_second
    }

    /// The packets of a POST; `false` when they are none.
    pub(super) async fn take(&self, body: &[u8]) -> bool {
        self.state().is_posting = false;
        let Ok(payload) = std::str::from_utf8(body) else {
            self.broken("a POST whose body is not UTF-8");
            return false;
        };
        for packet in payload.split(SEPARATOR) {
            match packet.as_bytes().first() {
                Some(b'0'..=b'6') => self.inlet.put(Raw::Packet(packet.to_owned())).await,
                Some(b'b') => match STANDARD.decode(&packet[1..]) {
                    Ok(bytes) => self.inlet.put(Raw::Binary(bytes)).await,
                    Err(e) => {
                        self.broken(&format!("a binary packet that is no base64 ({e})"));
                        return false;
                    }
                },
                Some(_) | None => {
                    self.broken(&format!(
                        "a POST with something that is no packet: `{}`",
                        crate::case::clipped(packet)
                    ));
                    return false;
                }
            }
        }
        true
    }

    fn broken(&self, what: &str) {
        self.inlet.note(Raw::Broken { protocol: "engine-io", what: what.to_owned() });
    }
}
