//! The store on Redis, with the documented keys. Whatever must happen at once is one script or one transaction.

mod away;
mod history_cache;
mod messages;
mod roster;
mod unarchived;
mod wire;

pub use away::RedisAway;
pub use history_cache::RedisHistoryCache;
pub use messages::RedisMessages;
pub use roster::RedisRoster;
pub use unarchived::Unarchived;
