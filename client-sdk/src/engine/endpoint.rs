//! Where a server is: a parsed address, the requests to its end point, and the TCP connection to it.

use std::{net::IpAddr, time::Duration};

use chatwright_protocol::dialects::percent_encode as escape;
use http::{Request, Uri, request::Builder};
use tokio::net::{TcpSocket, TcpStream, lookup_host};

use crate::{config::Config, error::ConnectError};

/// A server's end point as configured.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    host: String,
    port: u16,
    path: String,
    query: String,
    headers: Vec<(String, String)>,
    local_address: Option<IpAddr>,
    pub(crate) connect_timeout: Duration,
    pub(crate) message_bytes_max: usize,
}

impl Endpoint {
    pub(crate) fn new(config: &Config) -> Result<Self, ConnectError> {
        let wrong = |problem| ConnectError::Address { url: config.url.clone(), problem };
        let uri: Uri = config.url.parse().map_err(|_| wrong("not a URL"))?;
        match uri.scheme_str() {
            Some("http" | "ws") => {}
            Some("https" | "wss") => return Err(wrong("TLS is not supported: put a proxy before it")),
            _ => return Err(wrong("must start with http:// or ws://")),
        }
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(|| wrong("a host is missing"))?;
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err(wrong("must be scheme, host and port; the path is configured apart"));
        }
        for (name, value) in &config.headers {
            if Request::builder().header(name, value).body(()).is_err() {
                return Err(wrong("a configured header is malformed"));
            }
        }
        let query = config.query.iter().map(|(name, value)| format!("&{}={}", escape(name), escape(value))).collect();
        Ok(Self {
            host: host.to_owned(),
            port: uri.port_u16().unwrap_or(80),
            path: format!("{}/", config.path.trim_end_matches('/')),
            query,
            headers: config.headers.clone(),
            local_address: config.local_address,
            connect_timeout: config.connect_timeout,
            message_bytes_max: config.message_bytes_max,
        })
    }

    /// Host and port, as in a `Host` header.
    pub(crate) fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    pub(crate) fn local_address(&self) -> Option<IpAddr> {
        self.local_address
    }

    /// A request to the end point, for this transport and session, with the configured headers.
    pub(crate) fn request(&self, scheme: &str, transport: &str, sid: Option<&str>) -> Builder {
        let sid = sid.map(|sid| format!("&sid={}", escape(sid))).unwrap_or_default();
        let (path, query) = (&self.path, &self.query);
        let target = format!("{path}?EIO={}&transport={transport}{query}{sid}", chatwright_protocol::engine_io::EIO);
        self.plain_request(scheme, &target)
    }

    /// A request to the end point's path as it is configured, with the configured query and headers and nothing else.
    pub(crate) fn bare_request(&self, scheme: &str) -> Builder {
        let path = self.path.trim_end_matches('/');
        let query = self.query.strip_prefix('&').map(|query| format!("?{query}")).unwrap_or_default();
        self.plain_request(scheme, &format!("{path}{query}"))
    }

    /// A request to any path of the same server, with the configured headers.
    pub(crate) fn plain_request(&self, scheme: &str, target: &str) -> Builder {
        let authority = self.authority();
        let mut builder = Request::builder().uri(format!("{scheme}://{authority}{target}"));
        for (name, value) in &self.headers {
            builder = builder.header(name, value);
        }
        builder
    }

    /// A TCP connection, from the configured local address if there is one.
    pub(crate) async fn dial(&self) -> Result<TcpStream, ConnectError> {
        let unreachable = |source| ConnectError::Unreachable { address: self.authority(), source };
        let host = self.host.trim_matches(['[', ']']);
        let addresses = lookup_host((host, self.port)).await.map_err(unreachable)?;
        let mut last = std::io::Error::new(std::io::ErrorKind::NotFound, "the host has no address");
        for address in addresses {
            let connected = match self.local_address {
                None => TcpStream::connect(address).await,
                Some(local) if local.is_ipv4() != address.is_ipv4() => continue,
                Some(local) => {
                    let socket = if local.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
                    let socket = socket.map_err(unreachable)?;
                    socket.bind((local, 0).into()).map_err(unreachable)?;
                    socket.connect(address).await
                }
            };
            match connected {
                Ok(stream) => {
                    stream.set_nodelay(true).map_err(unreachable)?;
                    return Ok(stream);
                }
                Err(error) => last = error,
            }
        }
        Err(unreachable(last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(url: &str) -> &'static str {
        match Endpoint::new(&Config::new(url)) {
            Err(ConnectError::Address { problem, .. }) => problem,
            other => panic!("expected an unusable address, got {other:?}"),
        }
    }

    #[test]
    fn an_unusable_address_says_what_is_wrong() {
        assert_eq!(problem("not a url"), "not a URL");
        assert_eq!(problem("wss://host"), "TLS is not supported: put a proxy before it");
        assert_eq!(problem("127.0.0.1:80"), "must start with http:// or ws://");
        assert_eq!(problem("http://host/chat"), "must be scheme, host and port; the path is configured apart");
    }

    #[test]
    fn a_bare_request_has_the_path_and_the_query_and_nothing_more() {
        let mut config = Config::new("http://127.0.0.1:4004");
        config.path = "/api/v1/chat".to_owned();
        let uri = |config: &Config| {
            let endpoint = Endpoint::new(config).expect("usable");
            endpoint.bare_request("ws").body(()).expect("well-formed").uri().to_string()
        };
        assert_eq!(uri(&config), "ws://127.0.0.1:4004/api/v1/chat");
        config.query.push(("tag".to_owned(), "a b".to_owned()));
        assert_eq!(uri(&config), "ws://127.0.0.1:4004/api/v1/chat?tag=a%20b");
    }

    #[test]
    fn a_request_names_version_transport_session_and_the_configured_query() {
        let mut config = Config::new("http://[::1]:5004");
        config.path = "/api/socket.io/".to_owned();
        config.query.push(("tag".to_owned(), "a b&c".to_owned()));
        let endpoint = Endpoint::new(&config).expect("usable");
        let request = endpoint.request("http", "polling", Some("x/y")).body(()).expect("well-formed");
        let expected = "http://[::1]:5004/api/socket.io/?EIO=4&transport=polling&tag=a%20b%26c&sid=x%2Fy";
        assert_eq!(request.uri(), expected);
    }
}
