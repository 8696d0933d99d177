//! A server that does exactly what a test says: WebSocket frames by hand.

use std::{future::Future, net::SocketAddr};

use chatwright_client_sdk::{Config, Reconnection};
use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::{WebSocketStream, accept_async, tungstenite::Message};

/// One accepted connection.
pub(crate) struct Peer {
    pub(crate) stream: WebSocketStream<TcpStream>,
    pub(crate) address: SocketAddr,
}

impl Peer {
    pub(crate) async fn says(&mut self, text: &str) {
        self.stream.send(Message::text(text.to_owned())).await.expect("the client is there");
    }

    /// The next text frame; `None` at the end of the connection.
    pub(crate) async fn hears(&mut self) -> Option<String> {
        loop {
            match self.stream.next().await? {
                Ok(Message::Text(text)) => return Some(text.to_string()),
                Ok(Message::Close(_)) | Err(_) => return None,
                Ok(Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => {}
            }
        }
    }

    /// The handshake of Engine.IO and of the main namespace, with these clocks in milliseconds.
    pub(crate) async fn opens(&mut self, ping_interval: u64, ping_timeout: u64) {
        let clocks = format!(r#""pingInterval":{ping_interval},"pingTimeout":{ping_timeout},"maxPayload":100000"#);
        self.says(&format!(r#"0{{"sid":"secret","upgrades":[],{clocks}}}"#)).await;
        assert_eq!(self.hears().await.as_deref(), Some("40"));
        self.says(r#"40{"sid":"public"}"#).await;
    }
}

/// Plays `script` with each connection in turn, numbered from 0.
pub(crate) async fn serve<F>(script: impl Fn(usize, Peer) -> F + Send + 'static) -> String
where
    F: Future<Output = ()> + Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    tokio::spawn(async move {
        for number in 0.. {
            let Ok((stream, address)) = listener.accept().await else { return };
            if let Ok(stream) = accept_async(stream).await {
                script(number, Peer { stream, address }).await;
            }
        }
    });
    url
}

/// As by default, but back within a fraction of a second.
pub(crate) fn quick(url: &str) -> Config {
    let mut config = Config::new(url);
    let delay = std::time::Duration::from_millis(30);
    config.reconnection = Some(Reconnection { delay_min: delay, delay_max: delay, ..Reconnection::default() });
    config
}
