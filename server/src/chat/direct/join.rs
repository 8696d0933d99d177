//! `user_join`, coming and going: who a connection is, and who hears that its user is on-line.

use std::sync::Arc;

use chatwright_protocol::vocabulary::{Event, Member, Refusal, RoomId, UserId};
use futures_util::{StreamExt as _, stream};

use super::{Confirmation, Connection, Hub, SAVED_MAX, check_id};
use crate::{
    auth::{Identity, IdentityMode},
    bus::direct::DirectNotice,
    clock,
    store::direct::{Partner, UserRecord},
    transport::Frame,
};

/// Conversations of a user that are followed live from his coming; in older ones the first new message starts a new count.
const PARTNERS_MAX: usize = 2000;

/// Of how many partners, those with the newest messages, a user learns at his coming whether they are on-line: each is a question.
const PRESENCE_ASKED_MAX: usize = 200;

/// How many of those questions run at once.
const PRESENCE_AT_ONCE: usize = 16;

impl Hub {
    /// Says who a connection is, where identity is open; where it is verified, only what is true already is accepted.
    pub(super) async fn user_join(&self, connection: &Arc<Connection>, user: UserId) -> Result<Confirmation, Refusal> {
        check_id(user.as_str(), "userId", self.rules.limits.id_characters_max)?;
        match connection.member() {
            Some(known) if known.user == user => {
                self.tell_who_is_there(connection, &self.partners(&user).await.unwrap_or_default()).await;
                return Ok(Confirmation::Authenticated);
            }
            Some(_) if connection.is_verified() => return Err(Refusal::IdentityFixed),
            Some(_) => self.go_out(connection).await,
            None if self.rules.identity == IdentityMode::Token => return Err(Refusal::NotAuthenticated),
            None => {}
        }
        connection.set_identity(Identity {
            user: user.clone(),
            name: user.to_string(),
            email: None,
            expires_at_ms: None,
        });
        if let Err(refusal) = self.come_in(connection, &user).await {
            connection.clear_identity();
            return Err(refusal);
        }
        Ok(Confirmation::Authenticated)
    }

    /// Puts a connection among its user's: from here on it hears what is for him. Tells his partners if he was nowhere before.
    pub(super) async fn come_in(&self, connection: &Arc<Connection>, user: &UserId) -> Result<(), Refusal> {
        if self.floor().devices(user) >= self.rules.dialect.policy.connections_per_user_max {
            return Err(Refusal::TooMany { what: "connections" });
        }
        let first_here = self.floor().arrive(connection, user);
        let partners = self.acquaint(user).await.unwrap_or_default();
        let device = connection.device(Member::nameless(user.clone()));
        let first = match self.ports.roster.enter(&place_of(user), &device).await {
            Ok(first) => first,
            Err(problem) => {
                self.roster_may_differ(&problem);
                first_here
            }
        };
        if first {
            self.tell_status(user, true);
        }
        self.tell_who_is_there(connection, &partners).await;
        Ok(())
    }

    /// Takes a connection away from its user; tells his partners if he is nowhere any more. Afterwards the connection is nobody.
    pub(super) async fn go_out(&self, connection: &Arc<Connection>) {
        let Some(member) = connection.member() else { return };
        let user = member.user;
        let device = connection.device(Member::nameless(user.clone()));
        let last = self.ports.roster.leave(&place_of(&user), &device).await;
        let last_here = self.floor().depart(connection, &user);
        connection.clear_identity();
        let last = last.unwrap_or_else(|problem| {
            self.roster_may_differ(&problem);
            last_here
        });
        if last {
            self.tell_status(&user, false);
        }
    }

    /// Tells partners here, the other instances, and whoever else listens.
    pub(super) fn tell_status(&self, user: &UserId, online: bool) {
        let at_ms = clock::unix_ms();
        self.floor().tell_watchers(user, &Event::Presence { user: user.clone(), online, at_ms });
        self.publish(&DirectNotice::Status { user: user.clone(), online, at_ms });
    }

    /// Remembers who a user is, as far as a token states it.
    pub(super) async fn remember(&self, identity: &Identity) {
        let email = identity.email.clone().unwrap_or_default();
        let record = UserRecord { user: identity.user.clone(), name: identity.name.clone(), email };
        let known =
            self.saved.lock().expect("no code panics while it holds the users").get(&record.user) == Some(&record);
        if known {
            return;
        }
        match self.ports.store.save_user(&record).await {
            Ok(()) => {
                let mut saved = self.saved.lock().expect("no code panics while it holds the users");
                if saved.len() >= SAVED_MAX {
                    saved.clear();
                }
                saved.insert(record.user.clone(), record);
            }
            Err(problem) => tracing::warn!(%problem, "a user goes by the id until the store is back"),
        }
    }

    /// Follows a user's conversations from where the store says they are. Without the store each starts with its next message, until a
    /// sweep finds the store back.
    pub(super) async fn acquaint(&self, user: &UserId) -> Option<Vec<Partner>> {
        let partners = self.partners(user).await?;
        self.floor().acquaint(user, &partners, partners.len() < PARTNERS_MAX);
        Some(partners)
    }

    async fn partners(&self, user: &UserId) -> Option<Vec<Partner>> {
        let partners = self.ports.store.partners(user, PARTNERS_MAX).await;
        partners.inspect_err(|problem| tracing::warn!(%problem, "a user is here without the store")).ok()
    }

    /// Tells a connection which of its user's partners are on-line.
    async fn tell_who_is_there(&self, connection: &Connection, partners: &[Partner]) {
        let peers: Vec<UserId> = partners.iter().take(PRESENCE_ASKED_MAX).map(|partner| partner.peer.clone()).collect();
        let asked = stream::iter(peers).map(|peer| async move { self.is_online(&peer).await.then_some(peer) });
        let answers: Vec<Option<UserId>> = asked.buffered(PRESENCE_AT_ONCE).collect().await;
        let at_ms = clock::unix_ms();
        for user in answers.into_iter().flatten() {
            if let Some(frame) = Frame::of(self.rules.dialect, &Event::Presence { user, online: true, at_ms }) {
                connection.tell(&frame);
            }
        }
    }
}

/// The room in the roster that stands for a user's being on-line.
pub(super) fn place_of(user: &UserId) -> RoomId {
    RoomId::from(user.as_str())
}
