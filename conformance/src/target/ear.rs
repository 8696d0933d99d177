//! An address of ours at which an instance may knock in the belief that it is somewhere else: what it says first is kept (a password, the
//! first bytes of TLS), then the connection is closed without an answer.

use std::{
    collections::BTreeMap,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    io::AsyncReadExt,
    net::{TcpListener, TcpStream},
    task::AbortHandle,
};

/// As much as shows what is spoken.
const BYTES_MAX: usize = 512;
/// Who has said nothing by then waits to be spoken to.
const FIRST_WORDS: Duration = Duration::from_secs(2);
/// What came first is enough: who is refused knocks again and again.
const CONNECTIONS_MAX: usize = 64;

/// Listens until it is dropped.
#[derive(Debug)]
pub(crate) struct Ear {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<String>>>,
    listening: AbortHandle,
}

impl Ear {
    /// On this port; 0: on a free one.
    pub(super) async fn listen(port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let address = listener.local_addr()?;
        let heard = Arc::<Mutex<Vec<String>>>::default();
        let kept = Arc::clone(&heard);
        let listening = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let said = first_words(stream).await;
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                if kept.len() < CONNECTIONS_MAX {
                    kept.push(said);
                }
            }
        });
        Ok(Self { address, heard, listening: listening.abort_handle() })
    }

    /// Where it listens, for templates.
    pub(super) fn values(&self) -> BTreeMap<String, String> {
        BTreeMap::from([
            ("ear.host".to_owned(), self.address.ip().to_string()),
            ("ear.port".to_owned(), self.address.port().to_string()),
        ])
    }

    /// The first words of each connection so far; what is no text stands there as U+FFFD.
    pub(crate) fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn first_words(mut stream: TcpStream) -> String {
    let mut bytes = vec![0; BYTES_MAX];
    let read = tokio::time::timeout(FIRST_WORDS, stream.read(&mut bytes)).await;
    bytes.truncate(read.ok().and_then(Result::ok).unwrap_or_default());
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    #[tokio::test]
    async fn the_first_words_of_each_connection_are_kept_and_it_is_closed() {
        let ear = Ear::listen(0).await.expect("a free port");
        let mut stream = TcpStream::connect(ear.address).await.expect("it listens");
        stream.write_all(b"AUTH secret\r\n").await.expect("written");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.expect("closed in order");
        assert!(answer.is_empty());
        assert_eq!(ear.heard(), ["AUTH secret\r\n"]);
    }
}
