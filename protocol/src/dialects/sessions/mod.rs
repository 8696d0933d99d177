//! The dialect `sessions` (`002_6fac51585bee33bb.txt`): short-lived rooms over Socket.IO; who comes and goes is told with a grace period, and
//! nothing is stored.

pub mod client;
pub mod server;
pub mod wire;

use super::{
    Addressing, Capabilities, Carrier, CatchUp, ClientSide, Confirmation, Dialect, Entry, HistorySource, Introduction,
    Policy, ServerSide,
};

/// The dialect's entry in the registry.
///
/// A connection is in one room at a time: what a client sends goes [`Here`](crate::vocabulary::Audience::Here). The document limits nobody's
/// number of connections (each tab is one); the bound here is against floods.
pub const DIALECT: Dialect = Dialect {
    name: "sessions",
    carrier: Carrier::SocketIo,
    path: "/api/v1/chat-service/socket.io",
    default_port: 5286,
    further_ports: &[],
    capabilities: Capabilities {
        confirmation: Confirmation::None,
        catch_up: CatchUp::LiveOnly,
        room_order: false,
        addressing: Addressing::OneRoom,
        entry: Entry::MembersIfAny,
        introduction: Introduction::Never,
        history: HistorySource::None,
    },
    policy: Policy { open_by_default: true, echo_to_sender: false, members_only: true, connections_per_user_max: 100 },
    server: ServerSide { decode: server::decode, decode_text: None, encode: server::encode, refuse: server::refuse },
    client: ClientSide { encode: client::encode, decode: client::decode, opening: None, history: None, members: None },
};
