//! The readiness probe: whether an instance answers yet.

use std::{io, time::Duration};

use bytes::Bytes;
use http_body_util::Empty;
use hyper_util::rt::TokioIo;
use regex::Regex;
use tokio::net::TcpStream;

use super::{address::Address, output::Tail};

/// One try; a server that is starting up answers at once or not at all.
const TRY_TIMEOUT: Duration = Duration::from_secs(2);
/// Between two tries: short beside the start of any server.
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(25);

/// A readiness probe with its addresses filled in.
#[derive(Debug, Clone)]
pub(super) enum Probe {
    Get(String),
    Log(Regex),
    Tcp(Address),
}

impl Probe {
    /// For messages.
    pub(super) fn show(&self) -> String {
        match self {
            Self::Get(url) => format!("GET {url} to answer 2xx"),
            Self::Log(pattern) => format!("a line of output that matches `{pattern}`"),
            Self::Tcp(address) => format!("{} to accept a connection", address.authority()),
        }
    }

    /// Waits until it succeeds, without end; `said` is what the last try said.
    pub(super) async fn wait(&self, tail: &Tail, said: &mut String) {
        let mut news = tail.watch();
        loop {
            let outcome = match self {
                Self::Get(url) => match get_status(url).await {
                    Ok(200..=299) => Ok(()),
                    Ok(status) => Err(format!("it answered {status}")),
                    Err(e) => Err(e.to_string()),
                },
                Self::Tcp(address) => {
                    TcpStream::connect((address.host.as_str(), address.port)).await.map(drop).map_err(|e| e.to_string())
                }
                Self::Log(pattern) if tail.lines().iter().any(|line| pattern.is_match(line)) => Ok(()),
                Self::Log(_) => Err("no such line".to_owned()),
            };
            match outcome {
                Ok(()) => return,
                Err(reason) => *said = reason,
            }
            let _either = tokio::time::timeout(TRY_AGAIN_AFTER, news.changed()).await;
            tokio::time::sleep(TRY_AGAIN_AFTER).await;
        }
    }
}

/// The status that a GET of this URL answers with.
pub(crate) async fn get_status(url: &str) -> io::Result<u16> {
    tokio::time::timeout(TRY_TIMEOUT, ask(url))
        .await
        .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {TRY_TIMEOUT:?}")))?
}

async fn ask(url: &str) -> io::Result<u16> {
    let address = Address::parse(url).map_err(io::Error::other)?;
    let stream = TcpStream::connect((address.host.as_str(), address.port)).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    let connection = tokio::spawn(connection);
    let path = if address.path.is_empty() { "/" } else { &address.path };
    let request = http::Request::get(path)
        .header(http::header::HOST, address.authority())
        .header(http::header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(io::Error::other)?;
    let answer = sender.send_request(request).await.map_err(io::Error::other);
    connection.abort();
    Ok(answer?.status().as_u16())
}
