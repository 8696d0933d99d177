//! The store on Redis, with the documented keys. Whatever must happen at once is one script or one transaction.

mod messages;
mod roster;
mod wire;

pub use messages::RedisMessages;
pub use roster::RedisRoster;
