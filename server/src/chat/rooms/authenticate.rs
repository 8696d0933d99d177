//! `authenticate`: says who a connection is, where identity is open; never changes it where identity is verified.

use std::sync::Arc;

use chatwright_protocol::vocabulary::{Member, Refusal};

use super::{Confirmation, Connection, Hub, check_id};
use crate::{
    auth::{Identity, IdentityMode},
    store::Admission,
};

impl Hub {
    pub(super) async fn authenticate(
        &self,
        connection: &Arc<Connection>,
        claimed: Member,
    ) -> Result<Confirmation, Refusal> {
        let known = connection.member();
        if known.as_ref().is_some_and(|known| known.user == claimed.user) {
            return Ok(Confirmation::Authenticated);
        }
        if self.rules.identity == IdentityMode::Token {
            return Err(Refusal::IdentityFixed);
        }
        check_id(claimed.user.as_str(), "userId", self.rules.limits.id_characters_max)?;
        check_id(&claimed.name, "username", self.rules.limits.id_characters_max)?;
        self.forget_member(connection).await;
        connection.set_identity(Identity {
            user: claimed.user.clone(),
            name: claimed.name.clone(),
            email: None,
            expires_at_ms: None,
        });
        match self.admit(connection, claimed).await {
            Admission::Admitted => Ok(Confirmation::Authenticated),
            Admission::Full => {
                connection.clear_identity();
                Err(Refusal::TooMany { what: "connections" })
            }
        }
    }
}
