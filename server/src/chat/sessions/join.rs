//! `join_room`: the connection is in this room from here on, and in no other.

use std::sync::Arc;

use chatwright_protocol::vocabulary::{Member, Refusal, RoomId};

use super::{Confirmation, Connection, Hub, rooms::NotEntered};
use crate::auth::{Identity, IdentityMode};

impl Hub {
    /// Where identity is verified, the payload's ids and names say nothing; where it is open, they say who the connection is.
    pub(super) async fn join(
        &self,
        connection: &Arc<Connection>,
        room: RoomId,
        claimed: Member,
    ) -> Result<Confirmation, Refusal> {
        self.check_id(room.as_str(), "roomId")?;
        let known = connection.member();
        let member = match self.rules.identity {
            IdentityMode::Token => known.clone().ok_or(Refusal::NotAuthenticated)?,
            IdentityMode::Open => {
                self.check_id(claimed.user.as_str(), "userId")?;
                self.check_id(&claimed.name, "username")?;
                claimed
            }
        };
        if known.as_ref().is_some_and(|known| known.user != member.user) || !connection.is_in(&room) {
            self.leave(connection).await;
        }
        if known.as_ref() != Some(&member) {
            let Member { user, name } = member.clone();
            connection.set_identity(Identity { user, name, email: None, expires_at_ms: None });
        }
        self.bring_in(connection, &room, &member).await.map_err(|problem| match problem {
            NotEntered::Full => Refusal::TooMany { what: "users in this room" },
            NotEntered::Store(problem) => {
                tracing::warn!(%problem, "a join was refused");
                Refusal::Unavailable
            }
        })?;
        Ok(Confirmation::Joined)
    }
}
