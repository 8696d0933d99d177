//! Tokens verified by an auth service over gRPC: `chatwright.auth.v1.AuthService/VerifyUser` of `proto/auth.proto`.
//!
//! One call and three messages are written by hand: a build needs no `protoc`, and no generated file has to be kept fresh. The test at
//! the end reads the `.proto` file and holds this file to it, field by field.

use std::time::Duration;

use chatwright_protocol::vocabulary::UserId;
use futures_util::{FutureExt as _, future::BoxFuture};
use http::{Uri, uri::PathAndQuery};
use tokio::sync::Semaphore;
use tonic::{
    Code, Request, Status,
    client::Grpc,
    transport::{Channel, Endpoint},
};
use tonic_prost::ProstCodec;

use super::{AuthError, Identity, Verifier, WallClock, claims::checked, jwt::with_stated_expiry, service::Clock};

/// The call's path on the wire.
pub const VERIFY_USER_PATH: &str = "/chatwright.auth.v1.AuthService/VerifyUser";
/// An answer is one user; more is refused unread.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Questions in flight: a stampede of reconnecting clients must not become one at the auth service.
const IN_FLIGHT_MAX: usize = 64;
/// How often a quiet connection is asked whether it still lives, so that a dead one is noticed before the next client.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// The question: a token without its prefix.
#[derive(Clone, PartialEq, prost::Message)]
pub struct VerifyUserRequest {
    /// The token.
    #[prost(string, tag = "1")]
    pub token: String,
}

/// The answer; without a user the token is refused.
#[derive(Clone, PartialEq, prost::Message)]
pub struct VerifyUserResponse {
    /// Whose token it is.
    #[prost(message, optional, tag = "1")]
    pub user: Option<User>,
}

/// A user as the service knows him.
#[derive(Clone, PartialEq, prost::Message)]
pub struct User {
    /// Required.
    #[prost(string, tag = "1")]
    pub id: String,
    /// The name to show; empty: the id.
    #[prost(string, tag = "2")]
    pub username: String,
    /// Empty: unknown.
    #[prost(string, tag = "3")]
    pub email: String,
    /// Milliseconds since the Unix epoch; 0: not known.
    #[prost(int64, tag = "4")]
    pub expires_at_ms: i64,
}

/// The service's address is not usable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the gRPC auth service's address must be http://host:port")]
pub struct BadGrpcAddress;

/// Asks a gRPC auth service for each token, over one shared HTTP/2 connection that is made on demand and made again when it is lost.
#[derive(Debug)]
pub struct GrpcVerifier {
    channel: Channel,
    timeout: Duration,
    places: Semaphore,
    clock: Clock,
}

impl GrpcVerifier {
    /// A verifier that asks the service at `address`. Call it inside a tokio runtime. Nothing is connected before the first question.
    ///
    /// # Errors
    /// [`BadGrpcAddress`] if the address is not a plain `http` one.
    pub fn new(address: &Uri, timeout: Duration, clock: WallClock) -> Result<Self, BadGrpcAddress> {
        if address.scheme_str() != Some("http") || address.authority().is_none_or(|a| a.as_str().contains('@')) {
            return Err(BadGrpcAddress);
        }
        let channel = Endpoint::from(address.clone())
            .connect_timeout(timeout)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(timeout)
            .connect_lazy();
        Ok(Self { channel, timeout, places: Semaphore::new(IN_FLIGHT_MAX), clock: Clock(clock) })
    }

    async fn ask(&self, token: &str) -> Result<Identity, AuthError> {
        let _place = self.places.acquire().await.map_err(|_| AuthError::Unavailable)?;
        let mut client = Grpc::new(self.channel.clone()).max_decoding_message_size(ANSWER_BYTES_MAX);
        client.ready().await.map_err(|_| AuthError::Unavailable)?;
        let codec = ProstCodec::<VerifyUserRequest, VerifyUserResponse>::default();
        let question = Request::new(VerifyUserRequest { token: token.to_owned() });
        match client.unary(question, PathAndQuery::from_static(VERIFY_USER_PATH), codec).await {
            Ok(answer) => answer.into_inner().user.ok_or(AuthError::Invalid).and_then(identity),
            Err(status) => Err(refusal(&status)),
        }
    }
}

impl Verifier for GrpcVerifier {
    fn verify<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Result<Identity, AuthError>> {
        async move {
            let verdict = tokio::time::timeout(self.timeout, self.ask(token)).await.unwrap_or_else(|_| {
                tracing::warn!(timeout_ms = self.timeout.as_millis(), "the gRPC auth service took too long");
                Err(AuthError::Unavailable)
            });
            with_stated_expiry(verdict, token, (self.clock.0)())
        }
        .boxed()
    }

    fn name(&self) -> &'static str {
        "grpc"
    }
}

fn identity(user: User) -> Result<Identity, AuthError> {
    let User { id, username, email, expires_at_ms } = user;
    checked(Identity {
        name: if username.trim().is_empty() { id.clone() } else { username },
        user: UserId::from(id),
        email: Some(email).filter(|email| !email.is_empty()),
        expires_at_ms: u64::try_from(expires_at_ms).ok().filter(|&end| end > 0),
    })
}

/// The service's words may quote the token, so only its code is logged.
fn refusal(status: &Status) -> AuthError {
    if matches!(status.code(), Code::Unauthenticated | Code::PermissionDenied | Code::InvalidArgument) {
        return AuthError::Invalid;
    }
    tracing::warn!(code = ?status.code(), "the gRPC auth service cannot answer");
    AuthError::Unavailable
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROTO: &str = include_str!("../../proto/auth.proto");

    /// `(message, field, type, number)` of every field in the file.
    fn fields() -> Vec<(String, String, String, u32)> {
        let mut message = String::new();
        let mut found = Vec::new();
        for line in PROTO.lines().map(str::trim).filter(|line| !line.starts_with("//")) {
            let words: Vec<&str> = line.trim_end_matches(';').split_whitespace().collect();
            match words.as_slice() {
                ["message", name, "{"] => message = (*name).to_owned(),
                [kind, name, "=", number] if !message.is_empty() => found.push((
                    message.clone(),
                    (*name).to_owned(),
                    (*kind).to_owned(),
                    number.parse().expect("a field number"),
                )),
                _ => {}
            }
        }
        found
    }

    /// The key byte (`number << 3 | wire type`) of the only field in an encoded message.
    fn key(message: &impl prost::Message) -> u8 {
        message.encode_to_vec()[0]
    }

    #[test]
    fn the_messages_here_are_those_of_the_proto_file() {
        let user = User::default();
        let seen = [
            ("VerifyUserRequest", "token", key(&VerifyUserRequest { token: "t".to_owned() })),
            ("VerifyUserResponse", "user", key(&VerifyUserResponse { user: Some(User::default()) })),
            ("User", "id", key(&User { id: "i".to_owned(), ..user.clone() })),
            ("User", "username", key(&User { username: "n".to_owned(), ..user.clone() })),
            ("User", "email", key(&User { email: "e".to_owned(), ..user.clone() })),
            ("User", "expires_at_ms", key(&User { expires_at_ms: 1, ..user })),
        ];
        let declared: Vec<(String, String, u8)> = fields()
            .into_iter()
            .map(|(message, field, kind, number)| {
                let wire_type = if kind == "int64" { 0 } else { 2 };
                (message, field, u8::try_from(number << 3 | wire_type).expect("small"))
            })
            .collect();
        let seen: Vec<_> = seen.map(|(message, field, key)| (message.to_owned(), field.to_owned(), key)).into();
        assert_eq!(seen, declared);
    }

    #[test]
    fn the_call_here_is_that_of_the_proto_file() {
        let (package, call) = (PROTO.find("package chatwright.auth.v1;"), PROTO.find("service AuthService {"));
        assert!(package.is_some() && call.is_some());
        assert!(PROTO.contains("rpc VerifyUser(VerifyUserRequest) returns (VerifyUserResponse);"));
        assert_eq!(VERIFY_USER_PATH, "/chatwright.auth.v1.AuthService/VerifyUser");
    }

    #[test]
    fn a_user_without_a_name_is_shown_by_his_id_and_one_without_an_id_is_refused() {
        let user = User { id: "u-1".to_owned(), ..User::default() };
        assert_eq!(identity(user).expect("an id is enough").name, "u-1");
        assert_eq!(identity(User::default()), Err(AuthError::Invalid));
    }
}
