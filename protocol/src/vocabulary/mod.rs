//! The chat vocabulary that all dialects translate to and from: closed enums, without serde on purpose (each wire has its own structs).

mod command;
mod event;
mod ids;
mod refusal;

pub use command::{Audience, Command, RoomKind};
pub use event::{Event, Member, Message, MessageKind};
pub use ids::{MessageId, RoomId, UserId};
pub use refusal::Refusal;
