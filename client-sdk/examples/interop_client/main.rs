//! Our client against an official server (`fixtures/clients/js/server.js`): `interop_client http://127.0.0.1:PORT [websocket|polling|upgrade]`.
#![expect(clippy::print_stdout, reason = "an example says what it does")]

mod conversation;

use std::process::ExitCode;

use chatwright_client_sdk::Transports;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let transports = |name: &str| match name {
        "websocket" => Some(Transports::WebSocket),
        "polling" => Some(Transports::Polling),
        "upgrade" => Some(Transports::PollingThenWebSocket),
        _ => None,
    };
    let (url, transports) = match (arguments.next(), arguments.next()) {
        (Some(url), None) => (url, Some(Transports::WebSocket)),
        (Some(url), Some(name)) => (url, transports(&name)),
        (None, _) => (String::new(), None),
    };
    let Some(transports) = transports else {
        println!("usage: interop_client URL [websocket|polling|upgrade]");
        return ExitCode::from(2);
    };
    match conversation::converse(&url, transports, &mut |step| println!("{step}")).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            println!("failed to {problem}");
            ExitCode::FAILURE
        }
    }
}
