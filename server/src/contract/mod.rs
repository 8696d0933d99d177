//! What every adapter of a port must do, as functions that panic where it does not. Run over each adapter: in this crate's tests over
//! memory and a local Redis, elsewhere over whatever runs in containers.

mod away;
mod bus;
mod conversations;
mod direct;
mod events;
mod gateway;
mod history_cache;
mod messages;
mod room_archive;
mod roster;
mod sessions;

pub use away::away_store_keeps_its_promises;
pub use bus::{Endpoint, bus_keeps_its_promises};
pub use conversations::conversation_store_keeps_its_promises;
pub use direct::direct_store_keeps_its_promises;
pub use events::event_sink_keeps_its_promises;
pub use gateway::{
    account_store_keeps_its_promises, gateway_archive_keeps_its_promises, persist_queue_keeps_its_promises,
};
pub use history_cache::history_cache_keeps_its_promises;
pub use messages::message_store_keeps_its_promises;
pub use room_archive::room_archive_keeps_its_promises;
pub use roster::roster_store_keeps_its_promises;
pub use sessions::session_store_keeps_its_promises;

/// Room ids that would confuse whoever takes them apart.
const ODD_ROOMS: &[&str] =
    &["a", "a:users", "a*", "*", "a.b", " a ", "a\nb", "{a}", "чат 🙂", "__proto__", "chat:room:a", "a:users:users"];

/// An id that no other run of a contract uses, around a readable part.
fn fresh(name: &str) -> String {
    format!("{name}#{}", uuid::Uuid::new_v4().simple())
}
