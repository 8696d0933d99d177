//! Adapters over PostgreSQL: what a dialect keeps for good.

mod conversations;
mod link;
mod text;

pub use conversations::PostgresConversations;
pub use link::{BadPostgres, PostgresLink};
