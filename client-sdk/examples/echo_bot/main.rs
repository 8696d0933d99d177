//! A bot in twenty lines: `cargo run -p chatwright-client-sdk --example echo_bot -- http://127.0.0.1:5004 USER TOKEN ROOM`.
#![expect(clippy::print_stdout, reason = "an example talks to the person who runs it")]

mod echo;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, user, token, room] = arguments.as_slice() else {
        println!("usage: echo_bot URL USER TOKEN ROOM");
        return;
    };
    if let Err(problem) = echo::echo(url, user, token, room).await {
        println!("failed to echo: {problem}");
    }
}
