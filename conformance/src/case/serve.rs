//! The steps with which a case serves a client instead of being one: as data, and as they are printed.

use std::fmt::{self, Display, Formatter};

use super::{
    act::Tail,
    ast::{ConnectOptions, Transport},
    value::{Pattern, Payload, Span, Value},
};

/// What is done for a client that is judged.
#[derive(Debug, Clone, PartialEq)]
pub enum Serve {
    /// `starts ...`: the program, until it knocks for the first time or ends.
    Starts(Starting),
    /// `accepts [PATTERN] [header.NAME=TEXT ...]`: its next request that opens something.
    Accepts {
        /// What the request must look like.
        pattern: Option<Pattern>,
        /// Headers of the answer, instead of or beside its own.
        headers: Vec<(String, Payload)>,
        /// Bounds and the clause it states.
        tail: Tail,
    },
    /// `refuses STATUS [PATTERN]`: the same, turned away.
    Refuses {
        /// HTTP status.
        status: u16,
        /// What the request must look like.
        pattern: Option<Pattern>,
        /// Bounds and the clause it states.
        tail: Tail,
    },
    /// `unasked D`: for so long no request opens anything.
    Unasked(Span, Tail),
}

/// What a client is started with.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Starting {
    /// The transports that it is to use; the run's axis if not said.
    pub transport: Option<Transport>,
    /// The payload of its CONNECT; none if not said.
    pub auth: Option<Value>,
    /// Further variables of its environment.
    pub variables: Vec<(String, Payload)>,
}

impl Starting {
    /// With what the options of a `use` line say instead.
    pub(crate) fn with(&self, options: &ConnectOptions) -> Self {
        Self {
            transport: options.transport.or(self.transport),
            auth: options.auth.clone().or_else(|| self.auth.clone()),
            variables: self.variables.clone(),
        }
    }
}

impl Serve {
    /// Bounds and clause, where it is an expectation.
    pub(crate) fn tail(&self) -> Option<&Tail> {
        match self {
            Self::Starts(_) => None,
            Self::Accepts { tail, .. } | Self::Refuses { tail, .. } | Self::Unasked(_, tail) => Some(tail),
        }
    }
}

impl Display for Serve {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let texts = |f: &mut Formatter<'_>, kind: &str, all: &[(String, Payload)]| {
            all.iter().try_for_each(|(name, text)| write!(f, " {kind}.{name}={text}"))
        };
        match self {
            Self::Starts(Starting { transport, auth, variables }) => {
                f.write_str("starts")?;
                transport.map_or(Ok(()), |transport| write!(f, " transport={transport}"))?;
                auth.as_ref().map_or(Ok(()), |auth| write!(f, " auth={auth}"))?;
                texts(f, "env", variables)
            }
            Self::Accepts { pattern, headers, tail } => {
                f.write_str("accepts")?;
                pattern.as_ref().map_or(Ok(()), |pattern| write!(f, " {pattern}"))?;
                texts(f, "header", headers)?;
                write!(f, "{tail}")
            }
            Self::Refuses { status, pattern, tail } => {
                write!(f, "refuses {status}")?;
                pattern.as_ref().map_or(Ok(()), |pattern| write!(f, " {pattern}"))?;
                write!(f, "{tail}")
            }
            Self::Unasked(span, tail) => write!(f, "unasked {span}{tail}"),
        }
    }
}
