//! Tokens verified by an auth service over gRPC, spoken by a real tonic server.

use std::{
    convert::Infallible,
    net::SocketAddr,
    time::{Duration, Instant},
};

use chatwright_server::auth::{
    AuthError, Identity, Verifier as _,
    grpc::{GrpcVerifier, User, VERIFY_USER_PATH, VerifyUserRequest, VerifyUserResponse},
};
use futures_util::future::BoxFuture;
use http::{Request, Response};
use serde_json::json;
use tokio::net::TcpListener;
use tonic::{Status, body::Body as GrpcBody, server::Grpc};
use tonic_prost::ProstCodec;
use tower::Service;

use super::{NOW_MS, NOW_S, TIMEOUT, alice, clock, token, with};

/// Answers `VerifyUser`: the token is the id, except for some.
#[derive(Clone)]
struct GrpcStub;

struct VerifyUser;

impl Service<tonic::Request<VerifyUserRequest>> for VerifyUser {
    type Response = tonic::Response<VerifyUserResponse>;
    type Error = Status;
    type Future = BoxFuture<'static, Result<Self::Response, Status>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Status>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: tonic::Request<VerifyUserRequest>) -> Self::Future {
        Box::pin(async move {
            let user = |id: &str| User {
                id: id.to_owned(),
                username: "alice".to_owned(),
                email: "alice@example.test".to_owned(),
                expires_at_ms: 0,
            };
            let user = match request.into_inner().token.as_str() {
                "refused" => return Err(Status::unauthenticated("no")),
                "denied" => return Err(Status::permission_denied("no")),
                "broken" => return Err(Status::internal("oops")),
                "elsewhere" => return Err(Status::unimplemented("no")),
                "nobody" => None,
                "nameless" => Some(User { username: String::new(), email: String::new(), ..user("u-1") }),
                "ending" => Some(User { expires_at_ms: NOW_MS as i64 + 7, ..user("u-1") }),
                "over" => Some(User { expires_at_ms: NOW_MS as i64 - 7, ..user("u-1") }),
                "oversize" => Some(User { email: "x".repeat(100_000), ..user("u-1") }),
                "slow" => {
                    tokio::time::sleep(TIMEOUT * 5).await;
                    Some(user("u-1"))
                }
                id => Some(user(id)),
            };
            Ok(tonic::Response::new(VerifyUserResponse { user }))
        })
    }
}

impl Service<Request<GrpcBody>> for GrpcStub {
    type Response = Response<GrpcBody>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<GrpcBody>) -> Self::Future {
        Box::pin(async move {
            assert_eq!(request.uri().path(), VERIFY_USER_PATH);
            let codec = ProstCodec::<VerifyUserResponse, VerifyUserRequest>::default();
            Ok(Grpc::new(codec).unary(VerifyUser, request).await)
        })
    }
}

impl tonic::server::NamedService for GrpcStub {
    const NAME: &'static str = "chatwright.auth.v1.AuthService";
}

async fn grpc_stub(address: SocketAddr) -> (SocketAddr, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind(address).await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let incoming = futures_util::stream::unfold(listener, async |listener| {
        let accepted = listener.accept().await.map(|(stream, _)| stream);
        Some((accepted, listener))
    });
    let serving = tokio::spawn(async move {
        let _ = tonic::transport::Server::builder().add_service(GrpcStub).serve_with_incoming(incoming).await;
    });
    (address, serving)
}

fn grpc(address: SocketAddr) -> GrpcVerifier {
    GrpcVerifier::new(&format!("http://{address}").parse().expect("an address"), TIMEOUT, clock()).expect("usable")
}

#[tokio::test]
async fn a_grpc_service_names_the_user_or_refuses_or_is_unavailable() {
    let (address, _serving) = grpc_stub(SocketAddr::from(([127, 0, 0, 1], 0))).await;
    let verifier = grpc(address);
    for (token, expected) in [
        ("u-1", Ok(alice(None))),
        ("nameless", Ok(Identity { name: "u-1".to_owned(), email: None, ..alice(None) })),
        ("ending", Ok(alice(Some(NOW_MS + 7)))),
        ("over", Err(AuthError::Expired)),
        ("refused", Err(AuthError::Invalid)),
        ("denied", Err(AuthError::Invalid)),
        ("nobody", Err(AuthError::Invalid)),
        ("broken", Err(AuthError::Unavailable)),
        ("elsewhere", Err(AuthError::Unavailable)),
        ("oversize", Err(AuthError::Unavailable)),
        ("slow", Err(AuthError::Unavailable)),
    ] {
        assert_eq!(verifier.verify(token).await, expected, "{token}");
    }
    let over = token(&with("exp", json!(NOW_S - 1)));
    assert_eq!(verifier.verify(&over).await, Err(AuthError::Expired), "a token that says it is over");
}

#[tokio::test]
async fn a_grpc_service_that_comes_back_is_found_again() {
    let gone = TcpListener::bind("127.0.0.1:0").await.expect("a free port").local_addr().expect("bound");
    let verifier = grpc(gone);
    assert_eq!(verifier.verify("u-1").await, Err(AuthError::Unavailable));
    let (_, _serving) = grpc_stub(gone).await;
    let began = Instant::now();
    while verifier.verify("u-1").await != Ok(alice(None)) {
        assert!(began.elapsed() < Duration::from_secs(5), "not found again");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
