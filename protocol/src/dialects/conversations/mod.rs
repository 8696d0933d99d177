//! The dialect `conversations` (`001_66541cd422f9770e.txt`): JSON frames over WebSocket, identity by the first frame, messages to exact
//! sets of users, `message_sent` as the confirmation.

pub mod client;
pub mod server;
pub mod wire;

use super::{
    Addressing, Capabilities, Carrier, CatchUp, ClientSide, Confirmation, Dialect, Entry, HistorySource, Introduction,
    Policy, ServerSide,
};

/// The dialect's entry in the registry.
///
/// `load_history` and `resume` are extensions of the reference: of a server without them only what is sent while a client is connected
/// can be relied on.
pub const DIALECT: Dialect = Dialect {
    name: "conversations",
    carrier: Carrier::WebSocket,
    path: "/api/v1/chat",
    default_port: 4004,
    further_ports: &[],
    capabilities: Capabilities {
        confirmation: Confirmation::Event,
        catch_up: CatchUp::LiveOnly,
        room_order: true,
        addressing: Addressing::Users,
        entry: Entry::NotNeeded,
        introduction: Introduction::Never,
        history: HistorySource::Extension,
    },
    policy: Policy { open_by_default: false, echo_to_sender: true, members_only: true, connections_per_user_max: 5 },
    server: ServerSide {
        decode: server::decode,
        decode_text: Some(server::decode_text),
        encode: server::encode,
        refuse: server::refuse,
    },
    client: ClientSide {
        encode: client::encode,
        decode: client::decode,
        opening: Some(client::auth),
        history: None,
        members: None,
    },
};

/// Why a server closes a connection before or instead of serving it, as WebSocket close codes. The document names the first; the others
/// are the reference's.
pub mod close_code {
    /// The first frame was no good `auth`, or the token's time is over.
    pub const UNAUTHORIZED: u16 = 4001;
    /// No `auth` came within its time.
    pub const AUTH_TIMEOUT: u16 = 4002;
    /// The user has as many connections as allowed.
    pub const TOO_MANY_CONNECTIONS: u16 = 4003;
    /// The server stops (RFC 6455, 7.4.1: going away).
    pub const GOING_AWAY: u16 = 1001;
}
