//! What a server hears: packets as a client may send them. The server's own kinds are ignored unread, as the official server does.

use super::DecodeError;

/// One text packet of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FromClient<'a> {
    /// `1`: the client ends the session.
    Close,
    /// `2` with its data: only `probe` makes sense, on a transport that is tried.
    Ping(&'a str),
    /// `3`: the answer to a ping.
    Pong,
    /// `4`: text for the layer above.
    Text(&'a str),
    /// `5`: the client has moved to this transport.
    Upgrade,
    /// What only a server says (`0`, `6`).
    Ignored,
}

impl<'a> FromClient<'a> {
    /// Reads one text packet.
    ///
    /// # Errors
    /// [`DecodeError`] when it is empty, of an unknown type, or a close or upgrade packet with data.
    pub fn read(text: &'a str) -> Result<Self, DecodeError> {
        let mut chars = text.chars();
        let digit = chars.next().ok_or(DecodeError::Empty)?;
        let data = chars.as_str();
        let bare = |packet| if data.is_empty() { Ok(packet) } else { Err(DecodeError::UnexpectedData(digit)) };
        match digit {
            '0' | '6' => Ok(Self::Ignored),
            '1' => bare(Self::Close),
            '2' => Ok(Self::Ping(data)),
            '3' => Ok(Self::Pong),
            '4' => Ok(Self::Text(data)),
            '5' => bare(Self::Upgrade),
            other => Err(DecodeError::UnknownType(other)),
        }
    }
}
