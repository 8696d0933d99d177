//! The user service's core: registers accounts, lets their owners log in, and gives them tokens. Passwords are kept as Argon2id hashes.

use std::{sync::Arc, time::Duration};

use argon2::{
    Argon2, PasswordVerifier as _,
    password_hash::{PasswordHash, PasswordHasher as _, SaltString},
};
use chatwright_protocol::vocabulary::UserId;
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::object_id::object_id;
use crate::{
    auth::{
        jwt::JwtRules,
        mint::{TokenRequest, mint_for},
    },
    clock,
    config::Secret,
    store::{
        StoreError,
        gateway::{Account, AccountStore, Registration},
    },
};

/// How long a token is good for.
const TOKEN_LIFETIME: Duration = Duration::from_secs(3600);

/// Hashes made at once: each takes 19 MiB and a core for a moment. Bounds what a flood of log-ins costs everybody else.
const HASHES_AT_ONCE: usize = 2;

/// Requests that wait for their hash; more are told to come back later.
const HASHES_WAITING_MAX: usize = 64;

/// RFC 5321, 4.5.3.1.3: a path has at most 256 octets, two of them its brackets.
const EMAIL_BYTES_MAX: usize = 254;

/// A shorter password is guessed; a longer one than this is no password but a weapon against the hash.
const PASSWORD_CHARACTERS_MIN: usize = 6;
const PASSWORD_BYTES_MAX: usize = 1024;

const NAME_CHARACTERS_MAX: usize = 128;

/// What somebody registers with or logs in with.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The address as typed.
    pub email: String,
    /// The password. Never shown, never logged.
    pub password: Secret,
}

/// Somebody who is known now.
#[derive(Clone, PartialEq, Eq)]
pub struct SignedIn {
    /// Whose account.
    pub account: Account,
    /// A signed token.
    pub token: Secret,
}

/// Why nobody was registered or let in. The words may be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum AccountRefusal {
    /// The address is none.
    #[error("Invalid email: an address such as ann@example.org is expected")]
    Email,
    /// The password is too short or too long.
    #[error("Invalid password: 6 characters to 1024 bytes are expected")]
    Password,
    /// The name is blank or too long.
    #[error("Invalid username: 1 to 128 characters are expected")]
    Name,
    /// There is an account with this address.
    #[error("Email already registered")]
    Taken,
    /// No such account, or another password: nobody learns which.
    #[error("Invalid credentials")]
    Wrong,
    /// Too many ask at once.
    #[error("Too many requests, try again")]
    Busy,
    /// The store is away.
    #[error("Temporarily unavailable, try again")]
    Unavailable,
}

/// The accounts of one server.
pub struct Accounts {
    store: Arc<dyn AccountStore>,
    tokens: JwtRules,
    /// The hash of no password: compared with where there is no account, so that the answer takes as long.
    nobody: String,
    places: Semaphore,
    running: Arc<Semaphore>,
}

impl Accounts {
    /// Accounts in this store; tokens are made for a verifier with these rules.
    ///
    /// # Panics
    /// If the hash of a random text cannot be made, which its fixed parameters rule out.
    #[must_use]
    pub fn new(store: Arc<dyn AccountStore>, tokens: JwtRules) -> Self {
        let nobody = hash(&Uuid::new_v4().to_string()).expect("the default parameters are valid");
        Self {
            store,
            tokens,
            nobody,
            places: Semaphore::new(HASHES_WAITING_MAX),
            running: Arc::new(Semaphore::new(HASHES_AT_ONCE)),
        }
    }

    /// Makes an account; `name` is the name that messages show, by default what stands before the `@`.
    ///
    /// # Errors
    /// [`AccountRefusal`]; nothing was stored then.
    pub async fn register(&self, credentials: Credentials, name: Option<String>) -> Result<SignedIn, AccountRefusal> {
        let email = normal(&credentials.email).ok_or(AccountRefusal::Email)?;
        let password = credentials.password;
        let is_long_enough = password.expose().chars().nth(PASSWORD_CHARACTERS_MIN - 1).is_some();
        if !is_long_enough || password.expose().len() > PASSWORD_BYTES_MAX {
            return Err(AccountRefusal::Password);
        }
        let name = name.unwrap_or_else(|| email.split('@').next().unwrap_or_default().to_owned());
        if name.trim().is_empty() || name.chars().nth(NAME_CHARACTERS_MAX).is_some() {
            return Err(AccountRefusal::Name);
        }
        if self.store.by_email(&email).await.map_err(|problem| away(&problem))?.is_some() {
            return Err(AccountRefusal::Taken); // saves a hash; who comes first is decided by the store below
        }
        let password_hash = self.compute(move || hash(password.expose())).await?.ok_or(AccountRefusal::Unavailable)?;
        let id = UserId::from(object_id());
        let account = Account { id, email, name, password_hash, created_at_ms: clock::unix_ms() };
        match self.store.register(&account).await.map_err(|problem| away(&problem))? {
            Registration::Created => self.signed_in(account),
            Registration::Taken => Err(AccountRefusal::Taken),
        }
    }

    /// Lets the owner of an account in. An address that nobody has is answered like a wrong password, and as slowly.
    ///
    /// # Errors
    /// [`AccountRefusal`].
    pub async fn log_in(&self, credentials: Credentials) -> Result<SignedIn, AccountRefusal> {
        let password = credentials.password;
        if password.expose().len() > PASSWORD_BYTES_MAX {
            return Err(AccountRefusal::Wrong);
        }
        let account = match normal(&credentials.email) {
            Some(email) => self.store.by_email(&email).await.map_err(|problem| away(&problem))?,
            None => None,
        };
        let expected = account.as_ref().map_or_else(|| self.nobody.clone(), |account| account.password_hash.clone());
        let is_right = self.compute(move || verified(password.expose(), &expected)).await?;
        match account {
            Some(account) if is_right => self.signed_in(account),
            Some(_) | None => Err(AccountRefusal::Wrong),
        }
    }

    /// What is wrong with the store now, and its technology.
    pub async fn problem(&self) -> (&'static str, Option<String>) {
        (self.store.technology(), self.store.ping().await.err().map(|problem| problem.to_string()))
    }

    /// Hashing blocks: it is done elsewhere, a few at a time.
    async fn compute<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, AccountRefusal> {
        let _place = self.places.try_acquire().map_err(|_| AccountRefusal::Busy)?;
        let running = Arc::clone(&self.running).acquire_owned().await.map_err(|_| AccountRefusal::Unavailable)?;
        let work = move || {
            let answer = work();
            drop(running); // also when nobody waits for the answer any more
            answer
        };
        tokio::task::spawn_blocking(work).await.map_err(|_| AccountRefusal::Unavailable)
    }

    fn signed_in(&self, account: Account) -> Result<SignedIn, AccountRefusal> {
        let lifetime_ms = u64::try_from(TOKEN_LIFETIME.as_millis()).unwrap_or(u64::MAX);
        let request = TokenRequest {
            user: account.id.to_string(),
            name: Some(account.name.clone()),
            email: Some(account.email.clone()),
            expires_at_ms: clock::unix_ms().saturating_add(lifetime_ms),
        };
        let token = mint_for(&self.tokens, &request).map_err(|problem| {
            tracing::error!(%problem, "no token can be signed");
            AccountRefusal::Unavailable
        })?;
        Ok(SignedIn { account, token: Secret::new(token) })
    }
}

fn away(problem: &StoreError) -> AccountRefusal {
    tracing::warn!(%problem, "a request was refused for want of the account store");
    AccountRefusal::Unavailable
}

/// An address as it is compared. Whether mail arrives there is not our business.
fn normal(email: &str) -> Option<String> {
    let email = email.trim().to_lowercase();
    let (local, domain) = email.split_once('@')?;
    let is_plain = |text: &str| !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control());
    (is_plain(local) && is_plain(domain) && !domain.contains('@') && email.len() <= EMAIL_BYTES_MAX).then_some(email)
}

fn hash(password: &str) -> Option<String> {
    let salt = SaltString::encode_b64(Uuid::new_v4().as_bytes()).ok()?;
    let hash = Argon2::default().hash_password(password.as_bytes(), &salt).ok()?;
    Some(hash.to_string())
}

fn verified(password: &str, expected: &str) -> bool {
    let Ok(expected) = PasswordHash::new(expected) else { return false };
    Argon2::default().verify_password(password.as_bytes(), &expected).is_ok()
}
