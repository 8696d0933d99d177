//! A wire before an instance that can be cut: every connection over it dies at once and without a word, as when a cable is pulled or a
//! balancer goes. What is sent anew over it goes through again.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::copy_bidirectional_with_sizes,
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::AbortHandle,
    time::Instant,
};

use crate::returns::Returns;

/// Bytes under way in each direction of a connection: a chat message fits, and thousands of connections stay small.
const BUFFER_BYTES: usize = 4 << 10;
/// Connections over one wire for each one that is planned: the old one may still die while the new one and a request for a history come.
const CONNECTIONS_FACTOR: usize = 3;

/// A relay to one address. Dropped, it ends with everything that goes over it.
#[derive(Debug)]
pub(crate) struct Wire {
    url: String,
    cuts: watch::Sender<u32>,
    standing: Arc<AtomicU32>,
    accepting: AbortHandle,
}

impl Wire {
    /// A wire to where this base URL (`http://127.0.0.1:5004`) leads, for so many connections; further ones wait until others end.
    pub(crate) async fn to(url: &str, connections: u32) -> io::Result<Self> {
        let unusable = || io::Error::new(io::ErrorKind::InvalidInput, format!("{url} names no host and port"));
        let (scheme, rest) = url.split_once("://").ok_or_else(unusable)?;
        let (end, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let end: SocketAddr = tokio::net::lookup_host(end).await?.next().ok_or_else(unusable)?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("{scheme}://{}{path}", listener.local_addr()?);
        let (cuts, _) = watch::channel(0);
        let standing = Arc::new(AtomicU32::new(0));
        let relay = Relay { end, cuts: cuts.clone(), standing: Arc::clone(&standing) };
        let places = Arc::new(Semaphore::new(connections as usize * CONNECTIONS_FACTOR));
        let accepting = tokio::spawn(relay.accept(listener, places)).abort_handle();
        Ok(Self { url, cuts, standing, accepting })
    }

    /// Puts a wire before each of these base URLs and replaces it by the wire's own.
    pub(crate) async fn before(urls: &mut [String], connections: u32) -> io::Result<Vec<Self>> {
        let mut wires = Vec::new();
        for url in urls {
            let wire = Self::to(url, connections).await?;
            wire.url.clone_into(url);
            wires.push(wire);
        }
        Ok(wires)
    }

    /// Kills all connections that stand; how many they were.
    pub(crate) fn cut(&self) -> u32 {
        let standing = self.standing.load(Ordering::Acquire);
        self.cuts.send_modify(|cuts| *cuts += 1);
        standing
    }
}

/// The cuts of a run.
#[derive(Debug)]
pub(crate) struct Cuts {
    every: Option<Duration>,
    wires: Vec<Wire>,
    made: Returns,
}

impl Cuts {
    /// All these wires at once, so often, or never.
    pub(crate) fn new(every: Option<Duration>, wires: Vec<Wire>) -> Self {
        Self { every, wires, made: Returns::default() }
    }

    /// Makes the next cut if it is due, in a run of this begin and end.
    pub(crate) fn make_due(&mut self, start: Instant, end: Instant) {
        let due = self.every.map(|every| start + every * (self.made.cuts + 1));
        if due.is_some_and(|due| due <= Instant::now() && due < end) {
            self.made.cuts += 1;
            self.made.connections_cut += self.wires.iter().map(|wire| u64::from(wire.cut())).sum::<u64>();
        }
    }

    /// How many there were, and what died of them.
    pub(crate) fn made(&self) -> Returns {
        self.made
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cuts.send_modify(|cuts| *cuts += 1);
    }
}

#[derive(Clone)]
struct Relay {
    end: SocketAddr,
    cuts: watch::Sender<u32>,
    standing: Arc<AtomicU32>,
}

impl Relay {
    async fn accept(self, listener: TcpListener, places: Arc<Semaphore>) {
        while let Ok(place) = Arc::clone(&places).acquire_owned().await {
            match listener.accept().await {
                Ok((client, _)) => {
                    let relay = self.clone();
                    // A cut that comes before the first poll counts.
                    let cut = self.cuts.subscribe();
                    tokio::spawn(async move {
                        relay.standing.fetch_add(1, Ordering::AcqRel);
                        // However it ends, both ends have heard of it.
                        let _ = relay.carry(client, cut).await;
                        relay.standing.fetch_sub(1, Ordering::AcqRel);
                        drop(place);
                    });
                }
                Err(problem) => {
                    tracing::warn!(%problem, "a connection was not taken");
                    tokio::task::yield_now().await;
                }
            }
        }
    }

    async fn carry(&self, mut client: TcpStream, mut cut: watch::Receiver<u32>) -> io::Result<()> {
        let mut server = TcpStream::connect(self.end).await?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        tokio::select! {
            carried = copy_bidirectional_with_sizes(&mut client, &mut server, BUFFER_BYTES, BUFFER_BYTES) => {
                carried.map(|_| ())
            }
            _ = cut.changed() => {
                // Reset, not closed: nothing that is still under way arrives.
                client.set_zero_linger()?;
                server.set_zero_linger()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    async fn ask(stream: &mut TcpStream) -> io::Result<u8> {
        stream.write_all(&[7]).await?;
        stream.read_u8().await
    }

    #[tokio::test]
    async fn a_cut_kills_what_stands_and_nothing_that_comes_later() {
        let server = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let end = server.local_addr().expect("bound");
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = server.accept().await {
                tokio::spawn(async move {
                    while let Ok(byte) = stream.read_u8().await {
                        if stream.write_u8(byte).await.is_err() {
                            break;
                        }
                    }
                });
            }
        });
        let wire = Wire::to(&format!("http://{end}/base"), 2).await.expect("a wire");
        let address =
            wire.url.strip_prefix("http://").and_then(|url| url.strip_suffix("/base")).expect("the same shape");
        let mut before =
            [TcpStream::connect(address).await.expect("taken"), TcpStream::connect(address).await.expect("taken")];
        for stream in &mut before {
            assert_eq!(ask(stream).await.expect("an echo"), 7);
        }
        assert_eq!(wire.cut(), 2);
        for stream in &mut before {
            let end = stream.read_u8().await.expect_err("it is dead");
            assert_eq!(end.kind(), io::ErrorKind::ConnectionReset);
        }
        let mut after = TcpStream::connect(address).await.expect("taken");
        assert_eq!(ask(&mut after).await.expect("an echo"), 7);
    }

    #[tokio::test]
    async fn an_address_without_a_port_is_refused() {
        assert!(Wire::to("http://127.0.0.1", 1).await.is_err());
        assert!(Wire::to("127.0.0.1:80", 1).await.is_err());
    }
}
