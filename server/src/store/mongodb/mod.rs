//! Adapters over MongoDB: what a dialect keeps for good.

mod direct;
mod direct_documents;
mod gateway;
mod link;
mod place;
mod rooms;

pub use direct::MongoDirect;
pub use gateway::{MongoAccounts, MongoRoomMessages};
pub use link::{BadMongo, MongoLink};
pub use rooms::MongoArchive;
