//! What can be wrong with a Socket.IO packet: for a reader always a reason to close, for a writer a mistake of the caller.

/// The sender broke the protocol, or a limit: close the connection (`parse error`).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// No type digit.
    #[error("empty packet")]
    Empty,
    /// The first character is no type digit.
    #[error("unknown packet type {0:?}")]
    UnknownType(char),
    /// A binary type without `<number>-`, or a number that is none.
    #[error("malformed number of attachments")]
    AttachmentCount,
    /// An acknowledgement id that is larger than 64 bits, or missing where one must be.
    #[error("malformed acknowledgement id")]
    AckId,
    /// The payload is not JSON.
    #[error("malformed JSON payload")]
    MalformedJson,
    /// The payload is not what the packet's type asks for.
    #[error("unexpected payload: {expected}")]
    UnexpectedPayload {
        /// What the type asks for.
        expected: &'static str,
    },
    /// An event with a name that belongs to the libraries.
    #[error("reserved event name")]
    ReservedEvent,
    /// A placeholder whose number is missing or beyond the attachments.
    #[error("illegal attachment number")]
    IllegalPlaceholder,
    /// A text came while attachments were missing.
    #[error("text while {missing} attachments are missing")]
    MissingAttachments {
        /// How many.
        missing: usize,
    },
    /// An attachment that no packet announced.
    #[error("attachment without a packet")]
    UnexpectedAttachment,
    /// More than a limit allows.
    #[error("{what} beyond the limit of {max}")]
    TooLarge {
        /// Of what, e.g. `attachments`.
        what: &'static str,
        /// The limit.
        max: usize,
    },
}

/// The packet cannot be said: correct the call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// A name that belongs to the libraries.
    #[error("reserved event name {0:?}")]
    ReservedEvent(String),
    /// A namespace that does not start with `/` or holds a comma.
    #[error("malformed namespace {0:?}")]
    MalformedNamespace(String),
    /// JSON beside an attachment that a reader would take for one: it has `_placeholder: true`.
    #[error("json that looks like a placeholder for an attachment")]
    LooksLikePlaceholder,
}
