//! The dialect `rooms` (`000_5f4891e3b3f8c1d9.txt`): named rooms over Socket.IO, a send is confirmed by its own echo.

pub mod client;
pub mod server;
pub mod wire;

use super::{
    Addressing, Capabilities, Carrier, CatchUp, ClientSide, Confirmation, Dialect, Entry, HistorySource, Introduction,
    Policy, ServerSide,
};

/// The dialect's entry in the registry.
pub const DIALECT: Dialect = Dialect {
    name: "rooms",
    carrier: Carrier::SocketIo,
    path: "/socket.io",
    default_port: 5004,
    further_ports: &[],
    capabilities: Capabilities {
        confirmation: Confirmation::Echo,
        catch_up: CatchUp::History,
        room_order: true,
        addressing: Addressing::Rooms,
        entry: Entry::HistoryAndMembers,
        introduction: Introduction::Open,
        history: HistorySource::Join,
    },
    policy: Policy { open_by_default: false, echo_to_sender: true, members_only: true, connections_per_user_max: 5 },
    server: ServerSide { decode: server::decode, decode_text: None, encode: server::encode, refuse: server::refuse },
    client: ClientSide {
        encode: client::encode,
        decode: client::decode,
        opening: None,
        history: Some(client::HISTORY),
        members: Some(client::MEMBERS),
    },
};
