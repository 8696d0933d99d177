//! Opens TCP connections.

use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream, lookup_host};

use super::Beats;
use crate::target::Address;

/// A connection that is not up by then never will be.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Where to connect, and how.
#[derive(Debug, Clone)]
pub(crate) struct Dial {
    pub(crate) address: Address,
    /// The receive buffer; the system's own if not said.
    pub(crate) window: Option<u32>,
    /// Where the pings go that are seen on it.
    pub(crate) beats: Beats,
}

/// Opens a connection.
///
/// # Errors
/// Why there is none, naming the address.
pub(crate) async fn dial(to: &Dial) -> Result<TcpStream, String> {
    let shown = to.address.authority();
    tokio::time::timeout(CONNECT_TIMEOUT, attempt(to))
        .await
        .map_err(|_| format!("{shown} does not answer within {CONNECT_TIMEOUT:?}"))?
        .map_err(|e| format!("no connection to {shown}: {e}"))
}

async fn attempt(to: &Dial) -> std::io::Result<TcpStream> {
    let mut last = std::io::Error::other("the name has no address");
    for address in lookup_host((to.address.host.as_str(), to.address.port)).await? {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        if let Some(window) = to.window {
            socket.set_recv_buffer_size(window)?;
        }
        match socket.connect(address).await {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(e) => last = e,
        }
    }
    Err(last)
}
