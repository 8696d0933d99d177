//! The base URL of a listener, taken apart: what a TCP connection needs of it.

/// Scheme, host and port of a base URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// A name or an address; IPv6 without brackets.
    pub host: String,
    /// The port, 80 when none is written.
    pub port: u16,
    /// The path before every path, without a slash at its end; mostly empty.
    pub path: String,
}

impl Address {
    /// Takes a base URL apart.
    ///
    /// # Errors
    /// A sentence that says what is wrong with it.
    pub fn parse(url: &str) -> Result<Self, String> {
        let rest = match url.split_once("://") {
            Some(("http" | "ws" | "tcp", rest)) => rest,
            Some(("https" | "wss", _)) => {
                return Err(format!(
                    "`{url}` asks for TLS, which the judge does not speak; give the plain address behind it (http://...)"
                ));
            }
            Some(_) | None => {
                return Err(format!("`{url}` is no address of a listener; write it like \"http://127.0.0.1:5004\""));
            }
        };
        let (authority, path) =
            rest.split_once('/').map_or((rest, String::new()), |(authority, path)| (authority, format!("/{path}")));
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (
                host,
                port.parse().map_err(|_| format!("`{url}` has `{port}` for a port; write a number up to 65535"))?,
            ),
            Some(_) | None => (authority, 80),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() || host.contains(['@', '?', '#', ' ']) {
            return Err(format!("`{url}` has no host; write it like \"http://127.0.0.1:5004\""));
        }
        Ok(Self { host: host.to_owned(), port, path: path.trim_end_matches('/').to_owned() })
    }

    /// For a `Host` header.
    #[must_use]
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_is_taken_apart() {
        let parsed = |url| Address::parse(url).map(|a| (a.host, a.port, a.path));
        assert_eq!(parsed("http://127.0.0.1:5004"), Ok(("127.0.0.1".into(), 5004, String::new())));
        assert_eq!(parsed("ws://chat.test/base/"), Ok(("chat.test".into(), 80, "/base".into())));
        assert_eq!(parsed("http://[::1]:81"), Ok(("::1".into(), 81, String::new())));
        assert_eq!(parsed("http://[::1]"), Ok(("::1".into(), 80, String::new())));
    }

    #[test]
    fn what_cannot_be_dialled_is_refused_with_advice() {
        for (url, word) in [
            ("https://x", "TLS"),
            ("localhost:80", "write"),
            ("http://h:99999", "65535"),
            ("http://:80", "host"),
            ("http://", "host"),
        ] {
            let refusal = Address::parse(url).expect_err(url);
            assert!(refusal.contains(word), "{refusal}");
        }
    }
}
