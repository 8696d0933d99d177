//! A process without descriptors. In a test binary of its own: the limit is the whole process's.

use std::{
    convert::Infallible,
    net::SocketAddr,
    time::{Duration, Instant},
};

use axum::body::Body;
use chatwright_server::{
    listener::{Listener, ListenerLimits, TimedBody},
    metrics::Metrics,
};
use http::{Request, Response};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
};

const PATIENCE: Duration = Duration::from_secs(10);

async fn hello(_: Request<TimedBody>) -> Result<Response<Body>, Infallible> {
    Ok(Response::new(Body::from("hello")))
}

/// How often the listener could not accept.
fn failures(metrics: &Metrics) -> u64 {
    let text = metrics.render();
    let line = text.lines().find_map(|line| line.strip_prefix("chatwright_accept_errors_total{listener=\"test\"} "));
    line.map_or(0, |count| count.parse().expect("a count"))
}

async fn greeting(mut stream: TcpStream) -> String {
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.expect("connected");
    let mut answer = String::new();
    tokio::time::timeout(PATIENCE, stream.read_to_string(&mut answer)).await.expect("in time").expect("text");
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_descriptors_the_listener_waits_without_spinning_and_then_goes_on() {
    let metrics = Metrics::new();
    let listener =
        Listener::open("test", SocketAddr::from(([127, 0, 0, 1], 0)), ListenerLimits::default()).expect("a free port");
    let serving = listener.serve(tower::service_fn(hello), metrics.clone());
    // The clients' own descriptors are taken before the limit closes in: then only the server needs more.
    let sockets: Vec<TcpSocket> = (0..40).map(|_| TcpSocket::new_v4().expect("enough so far")).collect();
    let taken = std::fs::read_dir("/proc/self/fd").expect("Linux").count() as u64;
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    setrlimit(Resource::RLIMIT_NOFILE, taken + 10, hard).expect("lower than before");

    let mut waiting = Vec::new();
    for socket in sockets {
        waiting.push(socket.connect(serving.address()).await.expect("the kernel takes it"));
    }
    let began = Instant::now();
    while failures(&metrics) == 0 {
        assert!(began.elapsed() < PATIENCE, "the descriptors did not run out");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(failures(&metrics) < 15, "{} tries in a second: it spins", failures(&metrics));
    assert!(serving.connections() < 40);

    let last = waiting.pop().expect("there are 40");
    drop(waiting);
    assert!(greeting(last).await.ends_with("hello"), "who waited in the kernel is served when there is room again");
}
