//! The dialect `direct` (`003_5f29725af85c9ec0.txt`): conversations of two over Socket.IO with read receipts, and a REST side.

pub mod client;
pub mod conversation;
pub mod server;
pub mod wire;

use super::{
    Addressing, Capabilities, Carrier, CatchUp, ClientSide, Confirmation, Dialect, Entry, HistorySource, Introduction,
    Policy, ServerSide,
};

/// The dialect's entry in the registry.
///
/// The document limits nobody's connections; the figure only keeps one user from filling an instance.
pub const DIALECT: Dialect = Dialect {
    name: "direct",
    carrier: Carrier::SocketIo,
    path: "/socket.io",
    default_port: 8000,
    further_ports: &[("rest", 5000)],
    capabilities: Capabilities {
        confirmation: Confirmation::Event,
        catch_up: CatchUp::History,
        room_order: true,
        addressing: Addressing::OneUser,
        entry: Entry::NotNeeded,
        introduction: Introduction::Always,
        history: HistorySource::Request,
    },
    policy: Policy {
        open_by_default: true,
        echo_to_sender: false,
        members_only: false,
        connections_per_user_max: 1000,
    },
    server: ServerSide { decode: server::decode, decode_text: None, encode: server::encode, refuse: server::refuse },
    client: ClientSide {
        encode: client::encode,
        decode: client::decode,
        opening: None,
        history: Some(client::HISTORY),
        members: None,
    },
};
