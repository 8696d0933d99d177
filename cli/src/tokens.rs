//! `chatwright token`: an identity to try a server with.

use std::time::Duration;

use chatwright_server::{
    auth::mint::{TokenRequest, mint},
    clock::unix_ms,
};

use crate::{
    args::{Global, TokenArgs},
    exit::{Outcome, UseError},
    terminal,
};

pub(crate) fn run(global: &Global, args: &TokenArgs) -> Result<Outcome, UseError> {
    let token = sign(&args.user, args.name.clone(), &args.secret, Duration::from_secs(args.expires_in))?;
    if global.json {
        terminal::out(&serde_json::json!({"user": args.user, "token": token}).to_string());
    } else {
        terminal::out(&token);
    }
    Ok(Outcome::Pass)
}

/// A token for a user that a server with this secret accepts.
pub(crate) fn sign(user: &str, name: Option<String>, secret: &str, lives: Duration) -> Result<String, UseError> {
    let expires_at_ms = unix_ms().saturating_add(u64::try_from(lives.as_millis()).unwrap_or(u64::MAX));
    let request = TokenRequest { user: user.to_owned(), name, email: None, expires_at_ms };
    mint(secret.as_bytes(), &request).map_err(|problem| UseError::new(problem.to_string()))
}
