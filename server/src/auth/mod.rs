//! The port `auth`: who a token speaks for. One file per way to find out, one gate that every door asks.

pub mod claims;
pub mod gate;
pub mod grpc;
pub mod jwt;
pub mod mint;
pub mod service;
pub mod token;

use std::{fmt, sync::Arc};

use chatwright_protocol::vocabulary::{Member, UserId};
use futures_util::future::BoxFuture;

pub use claims::ClaimNames;
pub use gate::{Admission, Gate, IdentityMode};

/// Milliseconds since the Unix epoch: a token's expiry is compared with it.
pub type WallClock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// A verified user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Id.
    pub user: UserId,
    /// Name to show.
    pub name: String,
    /// E-mail address, where the token states one.
    pub email: Option<String>,
    /// When the proof ends, in milliseconds since the Unix epoch; the connection ends with it. `None`: never.
    pub expires_at_ms: Option<u64>,
}

impl Identity {
    /// The user as rooms see him.
    #[must_use]
    pub fn member(&self) -> Member {
        Member { user: self.user.clone(), name: self.name.clone() }
    }
}

/// Why nobody was let in. The words may be shown to the client: they never hold a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AuthError {
    /// There is no token.
    Missing,
    /// The token is malformed, foreign, or refused.
    Invalid,
    /// The token was good once.
    Expired,
    /// The verifier could not find out in time: the same token may work later.
    Unavailable,
}

impl fmt::Display for AuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "no token",
            Self::Invalid => "invalid token",
            Self::Expired => "token expired",
            Self::Unavailable => "verification unavailable",
        })
    }
}

impl std::error::Error for AuthError {}

/// Finds out who a token speaks for. `tests/auth.rs` holds each adapter to these promises:
///
/// - the identity comes from what was verified and from nothing else;
/// - an answer within its configured time, [`AuthError::Unavailable`] included, however the other side behaves: a client waits for it
///   before its CONNECT is answered;
/// - a bound on what is read and on how many questions run at once: a stampede of clients must not become one at an auth service;
/// - it may be asked concurrently; the token, a secret or the other side's words about them never reach a log.
pub trait Verifier: fmt::Debug + Send + Sync {
    /// The identity behind `token`, which comes without a `Bearer ` prefix.
    fn verify<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Result<Identity, AuthError>>;

    /// The name of the way, for metrics and logs.
    fn name(&self) -> &'static str;
}
