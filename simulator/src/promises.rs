//! What may be asked of the system under test: what its dialect promises, less what its target file takes back. Pure data; the plan, the
//! bots and the checkers read it instead of guessing.

use chatwright_client_sdk::protocol::dialects::{Addressing, CatchUp, Confirmation, Dialect, Entry};
use chatwright_conformance::target::{self, History, Order, RowOverrides};

/// The promises of one target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Promises {
    /// What it speaks.
    pub dialect: &'static Dialect,
    /// How a message is confirmed.
    pub confirmation: Confirmation,
    /// Whether who was away is told what was said meanwhile. If not, only what is sent while everything is well has to arrive.
    pub catch_up: bool,
    /// Whether all members hear a room in one order.
    pub room_order: bool,
    /// Whether an instance tells the history of a room over HTTP.
    pub stored: bool,
}

impl Promises {
    /// Those of a dialect, where a target file overrides so much.
    #[must_use]
    pub fn of(dialect: &'static Dialect, overrides: &RowOverrides) -> Self {
        let own = dialect.capabilities;
        Self {
            dialect,
            confirmation: match overrides.confirm {
                None => own.confirmation,
                Some(target::Confirm::Echo) => Confirmation::Echo,
                Some(target::Confirm::Event) => Confirmation::Event,
                Some(target::Confirm::Ack) => Confirmation::Ack,
                Some(target::Confirm::None) => Confirmation::None,
            },
            catch_up: match overrides.catch_up {
                None => own.catch_up == CatchUp::History,
                Some(target::CatchUp::History | target::CatchUp::Extension) => true,
                Some(target::CatchUp::LiveOnly) => false,
            },
            room_order: match overrides.order {
                None => own.room_order,
                Some(Order::Room) => true,
                Some(Order::Sender) => false,
            },
            stored: dialect.client.history.is_some() && overrides.history != Some(History::None),
        }
    }

    /// Whether the history may tell a message later than it was told live: a backend that fails delays it further.
    #[must_use]
    pub fn history_lags(&self) -> bool {
        self.dialect.client.history.is_some_and(|route| !route.lag.is_zero())
    }

    /// Whether who sends hears his own message: it is what confirms it.
    #[must_use]
    pub fn own_messages(&self) -> bool {
        self.confirmation == Confirmation::Echo
    }

    /// Whether an instance tells who is in a room.
    #[must_use]
    pub fn rosters(&self) -> bool {
        self.dialect.client.members.is_some()
    }

    /// Whether users are addressed instead of rooms.
    #[must_use]
    pub fn addresses_users(&self) -> bool {
        self.dialect.capabilities.entry == Entry::NotNeeded
    }

    /// Whom a bot can address.
    #[must_use]
    pub fn addressing(&self) -> Addressing {
        self.dialect.capabilities.addressing
    }
}

#[cfg(test)]
mod tests {
    use chatwright_client_sdk::protocol::dialects::{self, rooms};

    use super::*;

    #[test]
    fn a_target_file_takes_back_what_its_dialect_promises() {
        let as_documented = Promises::of(&rooms::DIALECT, &RowOverrides::default());
        assert!(as_documented.catch_up && as_documented.stored && as_documented.own_messages());
        let overrides = RowOverrides {
            confirm: Some(target::Confirm::Ack),
            history: Some(History::None),
            catch_up: Some(target::CatchUp::LiveOnly),
            order: Some(Order::Sender),
        };
        let less = Promises::of(&rooms::DIALECT, &overrides);
        assert!(!less.catch_up && !less.stored && !less.room_order && !less.own_messages());
    }

    #[test]
    fn who_cannot_catch_up_has_no_history_that_an_instance_could_tell() {
        for dialect in dialects::ALL {
            let promises = Promises::of(dialect, &RowOverrides::default());
            assert!(promises.catch_up || !promises.stored, "{}", dialect.name);
        }
    }
}
