//! What every door asks before it lets somebody in: the identity mode, then the verifier.

use std::{sync::Arc, time::Instant};

use super::{AuthError, Identity, Verifier};
use crate::metrics::Metrics;

/// Whether identities are verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum IdentityMode {
    /// A verified token everywhere; payloads never change who speaks.
    #[default]
    Token,
    /// The documents' looseness: a connection says who it is (`authenticate`), and is believed.
    Open,
}

/// Who came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// Somebody whose token was verified.
    Verified(Identity),
    /// Nobody yet: only in [`IdentityMode::Open`].
    Anonymous,
}

/// The identity check of one server. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Gate {
    mode: IdentityMode,
    verifier: Arc<dyn Verifier>,
    metrics: Metrics,
}

impl Gate {
    /// A gate in this mode.
    #[must_use]
    pub fn new(mode: IdentityMode, verifier: Arc<dyn Verifier>, metrics: Metrics) -> Self {
        Self { mode, verifier, metrics }
    }

    /// The same gate, but a verified token is demanded whatever the mode: for doors that have no other way to know who comes.
    #[must_use]
    pub fn strict(&self) -> Self {
        Self { mode: IdentityMode::Token, ..self.clone() }
    }

    /// The mode, for those who must know whether `authenticate` is obeyed.
    #[must_use]
    pub fn mode(&self) -> IdentityMode {
        self.mode
    }

    /// Lets the bearer of `token` in, or says why not.
    ///
    /// In open mode nobody is kept out: a token that verifies gives its identity, anything else gives none.
    ///
    /// # Errors
    /// In token mode: [`AuthError::Missing`] without a token, else what the verifier says.
    pub async fn admit(&self, token: Option<&str>) -> Result<Admission, AuthError> {
        let verdict = match token {
            Some(token) => self.verify(token).await,
            None => Err(AuthError::Missing),
        };
        match (self.mode, verdict) {
            (_, Ok(identity)) => Ok(Admission::Verified(identity)),
            (IdentityMode::Open, Err(_)) => Ok(Admission::Anonymous),
            (IdentityMode::Token, Err(reason)) => Err(reason),
        }
    }

    async fn verify(&self, token: &str) -> Result<Identity, AuthError> {
        let started = Instant::now();
        let verdict = self.verifier.verify(token).await;
        self.metrics.token_verified(self.verifier.name(), verdict.as_ref().err().copied(), started.elapsed());
        verdict
    }
}
