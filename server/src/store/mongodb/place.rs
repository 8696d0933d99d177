//! Sequences on MongoDB: a unique index decides who stands where, because not every server of the protocol counts without losing some.

use mongodb::{
    Collection, IndexModel,
    bson::{Bson, DateTime, Document, doc, oid::ObjectId},
    options::IndexOptions,
};

use super::MongoLink;
use crate::store::StoreError;

/// Places tried for one document: as many others would have to be written to the same conversation meanwhile.
const TRIES_MAX: u64 = 1_000;

/// The characters of an object id.
const OBJECT_ID_DIGITS: usize = 24;

/// Inserts a document at the next `sequence` within `scope` (a field and its value), from 1 and without gaps: a place is tried only when the
/// one before it is taken. A document whose `_id` is there already stays as it is; returns where it stands.
///
/// Wants a unique index over the scope's field and `sequence`.
pub(super) async fn insert_next(
    link: &MongoLink,
    collection: &Collection<Document>,
    scope: Document,
    mut document: Document,
) -> Result<u64, StoreError> {
    let counted = format!("{}/{scope}", collection.name());
    let id = document.get("_id").cloned().unwrap_or(Bson::Null);
    // Whoever wrote last here knows where the next one stands, unless others write too.
    let mut known = link.position(&counted);
    let mut newest = match known {
        Some(position) => position,
        None => newest_of(link, collection, &scope).await?,
    };
    for _ in 0..TRIES_MAX {
        document.insert("sequence", bigint(newest + 1));
        if link.unless_taken(collection.insert_one(&document)).await?.is_some() {
            link.remember_position(counted, newest + 1);
            return Ok(newest + 1);
        }
        if let Some(there) = link.bounded(collection.find_one(doc! { "_id": &id })).await? {
            return natural(&there, "sequence");
        }
        newest = if known.take().is_some() { newest_of(link, collection, &scope).await? } else { newest + 1 };
    }
    Err(StoreError::Unavailable("too many write to the same conversation".to_owned()))
}

async fn newest_of(link: &MongoLink, collection: &Collection<Document>, scope: &Document) -> Result<u64, StoreError> {
    let newest = link.bounded(collection.find_one(scope.clone()).sort(doc! { "sequence": -1 })).await?;
    newest.as_ref().map_or(Ok(0), |newest| natural(newest, "sequence"))
}

/// An id as MongoDB's own services write it: an object id where it is one, else the text. Only lower case: two texts never become one id.
pub(super) fn reference(id: &str) -> Bson {
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    match ObjectId::parse_str(id) {
        Ok(object) if id.len() == OBJECT_ID_DIGITS && id.bytes().all(is_hex) => Bson::ObjectId(object),
        Ok(_) | Err(_) => Bson::String(id.to_owned()),
    }
}

/// The text of a [`reference`].
pub(super) fn referred(document: &Document, key: &str) -> Result<String, StoreError> {
    let value = document.get(key);
    let object = value.and_then(Bson::as_object_id).map(|id| id.to_hex());
    object.or_else(|| value.and_then(Bson::as_str).map(str::to_owned)).ok_or_else(|| missing(key))
}

pub(super) fn text(document: &Document, key: &str) -> Result<String, StoreError> {
    document.get_str(key).map(str::to_owned).map_err(|_| missing(key))
}

/// Whole numbers come back in the width that the server likes.
pub(super) fn natural(document: &Document, key: &str) -> Result<u64, StoreError> {
    let value = document.get(key);
    let number = value.and_then(Bson::as_i64).or_else(|| value.and_then(Bson::as_i32).map(i64::from));
    number.and_then(|number| u64::try_from(number).ok()).ok_or_else(|| missing(key))
}

pub(super) fn instant(document: &Document, key: &str) -> Result<u64, StoreError> {
    let date = document.get_datetime(key).map_err(|_| missing(key))?;
    Ok(u64::try_from(date.timestamp_millis()).unwrap_or(0))
}

/// Numbers here count messages and milliseconds: none comes near the bound.
pub(super) fn bigint(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn date(unix_ms: u64) -> DateTime {
    DateTime::from_millis(bigint(unix_ms))
}

pub(super) fn index(keys: Document, unique: bool) -> IndexModel {
    IndexModel::builder().keys(keys).options(IndexOptions::builder().unique(unique).build()).build()
}

fn missing(key: &str) -> StoreError {
    StoreError::Corrupt(format!("a document without a proper {key}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_an_object_id_prints_becomes_one_and_every_id_comes_back() {
        for (id, is_object) in [
            ("507f1f77bcf86cd799439011", true),
            ("507F1F77BCF86CD799439011", false),
            ("507f1f77bcf86cd79943901", false),
            ("alice", false),
            ("", false),
        ] {
            let written = doc! { "user": reference(id) };
            assert_eq!(written.get_object_id("user").is_ok(), is_object, "{id}");
            assert_eq!(referred(&written, "user"), Ok(id.to_owned()));
        }
    }
}
