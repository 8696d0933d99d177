//! Ids are opaque strings: never parsed, never used to split a channel name or a key.

use std::fmt;

use smol_str::SmolStr;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// Cheap to make and to clone: up to 23 bytes stand in place, a longer text is shared. Any characters; its length is bounded by the
        /// dialect's limits, not here.
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(SmolStr);

        impl $name {
            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text.into())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({:?})", stringify!($name), &self.0)
            }
        }
    };
}

id!(
    /// A person or bot, as the verified identity names it.
    UserId
);
id!(
    /// A room (or conversation, or session room).
    RoomId
);
id!(
    /// A stored message. Made by the server, in one shape per dialect.
    MessageId
);
