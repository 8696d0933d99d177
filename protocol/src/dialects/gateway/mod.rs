//! The dialect `gateway` (`004_920c0bc2ef256b0d.txt`): rooms over Socket.IO behind services for users, messages and chat; accounts and history
//! over REST, a send is confirmed by its own echo.

pub mod client;
pub mod server;
pub mod wire;

use super::{
    Addressing, Capabilities, Carrier, CatchUp, ClientSide, Confirmation, Dialect, Entry, HistorySource, Introduction,
    Policy, ServerSide,
};

/// The dialect's entry in the registry. Its port is the chat service's; the others are listeners of their own.
pub const DIALECT: Dialect = Dialect {
    name: "gateway",
    carrier: Carrier::SocketIo,
    path: "/socket.io",
    default_port: 3003,
    further_ports: &[("user", 3001), ("message", 3002), ("gateway", 3000), ("web", 80)],
    capabilities: Capabilities {
        confirmation: Confirmation::Echo,
        catch_up: CatchUp::History,
        room_order: false,
        addressing: Addressing::Rooms,
        entry: Entry::Nothing,
        introduction: Introduction::Never,
        history: HistorySource::Rest,
    },
    // The document limits nobody's connections; the bound only keeps one user from taking all places.
    policy: Policy { open_by_default: false, echo_to_sender: true, members_only: true, connections_per_user_max: 1000 },
    server: ServerSide { decode: server::decode, decode_text: None, encode: server::encode, refuse: server::refuse },
    client: ClientSide {
        encode: client::encode,
        decode: client::decode,
        opening: None,
        history: Some(client::HISTORY),
        members: None,
    },
};
