//! Why a command was not carried out: a value, not an error.

use std::fmt;

/// The reason of a refusal, in words that may be shown to the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The connection has no identity yet.
    NotAuthenticated,
    /// The command needs membership of the room.
    NotMember,
    /// A field is missing, of the wrong type, or outside its limits.
    Invalid {
        /// Its name on the wire.
        field: &'static str,
        /// What is wrong with it, e.g. `must be a string`.
        problem: &'static str,
    },
    /// There is no such thing here for this user.
    NotFound {
        /// What, e.g. `conversation`.
        what: &'static str,
    },
    /// No such event in this dialect.
    UnknownEvent,
    /// The identity is verified and cannot be changed by a payload.
    IdentityFixed,
    /// The server cannot confirm now (its store is away); try again.
    Unavailable,
    /// The connection asks for more than it may (events per second, rooms).
    TooMany {
        /// Of what, e.g. `rooms`.
        what: &'static str,
    },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAuthenticated => f.write_str("Not authenticated"),
            Self::NotMember => f.write_str("Not a member of this room"),
            Self::Invalid { field, problem } => write!(f, "Invalid {field}: {problem}"),
            Self::NotFound { what } => write!(f, "No such {what}"),
            Self::UnknownEvent => f.write_str("Unknown event"),
            Self::IdentityFixed => f.write_str("Identity is verified and cannot be changed"),
            Self::Unavailable => f.write_str("Temporarily unavailable, try again"),
            Self::TooMany { what } => write!(f, "Too many {what}"),
        }
    }
}
