//! A live session, passed on through a proxy and written down as a case to edit.
//!
//! `tap.rs` keeps what passes, over polling and WebSocket alike; `write.rs` makes lines of it, `words.rs` values and patterns.

mod tap;
mod words;
mod write;

use std::{io, net::SocketAddr, sync::Arc};

pub(crate) use self::tap::Tap;
use crate::{dialect::Dialect, target::Address, wrong::proxy::Proxy};

/// A proxy that listens, and what has passed through it. It ends when it is dropped.
#[derive(Debug)]
pub struct Recording {
    proxy: Proxy,
    tap: Arc<Tap>,
}

impl Recording {
    /// Listens here, before the server at this base URL.
    ///
    /// # Errors
    /// A URL that is none, or an address where nobody can listen.
    pub async fn start(url: &str, listen: SocketAddr) -> io::Result<Self> {
        let upstream = Address::parse(url).map_err(io::Error::other)?;
        let tap = Arc::new(Tap::default());
        let proxy = Proxy::tapped(upstream, listen, Arc::clone(&tap)).await?;
        Ok(Self { proxy, tap })
    }

    /// Where clients connect instead of at the server.
    #[must_use]
    pub fn url(&self) -> String {
        self.proxy.url()
    }

    /// How many sessions have begun, and how many of them are over.
    #[must_use]
    pub fn sessions(&self) -> (usize, usize) {
        self.tap.sessions()
    }

    /// What has passed so far, as the text of a case. It states the clause that is given, which is for its reader to correct.
    #[must_use]
    pub fn case(&self, dialect: &Dialect, title: &str, clause: &str) -> String {
        write::case(&self.tap.heard(), dialect, title, clause)
    }
}
