//! The id of a conversation: the ids of its two users in byte order, joined by `_`. Pure text in both directions.
//!
//! `_`, `:` and `%` inside a user's id are percent-escaped, so that two pairs never share an id (`a_b` with `c`, `a` with `b_c`) and no
//! id splits the name of a channel (`chat:{conversationId}:read`).

use crate::vocabulary::{RoomId, UserId};

/// The conversation of two users, in whichever order they are named.
#[must_use]
pub fn id_of(one: &UserId, other: &UserId) -> RoomId {
    let (first, second) = if one <= other { (one, other) } else { (other, one) };
    RoomId::from(format!("{}_{}", escaped(first.as_str()), escaped(second.as_str())))
}

/// The two users of a conversation in byte order; `None` if the text is no conversation's id.
#[must_use]
pub fn users_of(conversation: &RoomId) -> Option<(UserId, UserId)> {
    let (first, second) = conversation.as_str().split_once('_')?;
    let users = (UserId::from(unescaped(first)?), UserId::from(unescaped(second)?));
    (id_of(&users.0, &users.1) == *conversation).then_some(users)
}

/// The other user of a conversation; `None` if `user` takes no part in it, or it is no conversation's id.
#[must_use]
pub fn peer_of(conversation: &RoomId, user: &UserId) -> Option<UserId> {
    let (first, second) = users_of(conversation)?;
    if first == *user {
        Some(second)
    } else if second == *user {
        Some(first)
    } else {
        None
    }
}

fn escaped(id: &str) -> String {
    let mut out = String::with_capacity(id.len());
    for character in id.chars() {
        match character {
            '_' => out.push_str("%5F"),
            ':' => out.push_str("%3A"),
            '%' => out.push_str("%25"),
            other => out.push(other),
        }
    }
    out
}

fn unescaped(part: &str) -> Option<String> {
    let mut pieces = part.split('%');
    let mut out = pieces.next()?.to_owned();
    for piece in pieces {
        out.push(match piece.get(..2)? {
            "5F" => '_',
            "3A" => ':',
            "25" => '%',
            _ => return None,
        });
        out.push_str(&piece[2..]);
    }
    (!out.is_empty()).then_some(out)
}
