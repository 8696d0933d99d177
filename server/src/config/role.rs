//! Which of `gateway`'s services a process plays, and where the API gateway finds those that it does not play.

use http::Uri;

use super::Config;

/// A service, or all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Role {
    /// All services in one process.
    #[default]
    All,
    /// Registration and log-in.
    User,
    /// Histories, and storing what the queue delivers.
    Message,
    /// Sockets.
    Chat,
    /// The API gateway, and the web page.
    Gateway,
}

impl Role {
    /// All of them, by name.
    pub const NAMED: [(&'static str, Self); 5] = [
        ("all", Self::All),
        ("user", Self::User),
        ("message", Self::Message),
        ("chat", Self::Chat),
        ("gateway", Self::Gateway),
    ];

    /// The role of this name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::NAMED.iter().find(|(known, _)| *known == name).map(|(_, role)| *role)
    }

    /// Whether a process of this role plays that service.
    #[must_use]
    pub fn plays(self, service: Self) -> bool {
        self == Self::All || self == service
    }

    /// The listener of the service that is played alone; `None`: it is that of the sockets, or there are several.
    fn listener(self) -> Option<&'static str> {
        match self {
            Self::All | Self::Chat => None,
            Self::User => Some("user"),
            Self::Message => Some("message"),
            Self::Gateway => Some("gateway"),
        }
    }
}

/// The addresses of services for the API gateway; none of a service: it is played in this process.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Upstreams {
    /// Of the user service.
    pub user: Vec<Uri>,
    /// Of the message service.
    pub message: Vec<Uri>,
    /// Of the chat service.
    pub chat: Vec<Uri>,
}

impl Config {
    /// Leaves of the listeners those of its role. One service alone listens where [`listen`](Config::listen) says if that was said
    /// (`is_placed`), else at its own documented port.
    pub(super) fn settle_role(&mut self, is_placed: bool) {
        if self.role == Role::All {
            return;
        }
        if let Some(own) = self.role.listener().and_then(|name| self.listeners.get(name)).filter(|_| !is_placed) {
            self.listen.set_port(own.port());
        }
        let role = self.role;
        self.listeners.retain(|name, _| role == Role::Gateway && *name == "web");
    }
}
