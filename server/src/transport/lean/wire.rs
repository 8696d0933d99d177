//! A WebSocket's stream, out of HTTP's hands, with what was read of it.

use std::{cell::RefCell, io};

use super::ws::{self, Heard};
use crate::listener::{ConnectionHandle, GuardedStream};

/// Bytes read at once, into memory that no idle session keeps.
const CHUNK_BYTES: usize = 16 * 1024;

thread_local! {
    /// Where all sessions of a thread read into, one after the other.
    static CHUNK: RefCell<[u8; CHUNK_BYTES]> = const { RefCell::new([0; CHUNK_BYTES]) };
}

/// A WebSocket with what was read of it.
pub(super) struct Wire {
    pub(super) stream: GuardedStream,
    pub(super) handle: ConnectionHandle,
    pub(super) reader: ws::Reader,
}

/// What came of a look at a stream.
pub(super) enum Look {
    Bytes,
    NothingYet,
    End,
}

impl Wire {
    pub(super) fn look(&mut self) -> Look {
        CHUNK.with_borrow_mut(|chunk| match self.stream.try_read(chunk) {
            Ok(0) => Look::End,
            Ok(bytes) => {
                self.reader.feed(&chunk[..bytes]);
                Look::Bytes
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Look::NothingYet,
            Err(_) => Look::End,
        })
    }

    /// The next message of a client that is not read by a session yet; `None`: the end, or nonsense.
    pub(super) async fn hear(&mut self) -> Option<Heard> {
        loop {
            if let Some(heard) = self.reader.next().ok()? {
                return Some(heard);
            }
            match self.look() {
                Look::Bytes => {}
                Look::End => return None,
                Look::NothingYet => self.stream.readable().await.ok()?,
            }
        }
    }

    /// Throws away what the client still sends, until it closes: closing with something unread would make the system throw away what the
    /// client has not read yet.
    pub(super) async fn drain(&self) {
        let mut chunk = [0; 512];
        loop {
            match self.stream.try_read(&mut chunk) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if self.stream.readable().await.is_err() {
                        return;
                    }
                }
                Err(_) => return,
            }
        }
    }
}
