//! The one reading of a user's claims, for tokens and for what auth services answer, so that all verifiers agree on ids and names.

use chatwright_protocol::vocabulary::UserId;
use serde_json::{Map, Value};

use super::{AuthError, Identity};

/// Ids longer than this are refused everywhere (the dialects' limit for ids).
const USER_ID_CHARACTERS_MAX: usize = 128;
/// A longer name would be repeated in every message of its user.
const NAME_CHARACTERS_MAX: usize = 256;

/// Under which names a user's fields are looked for; the first that is there counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimNames {
    /// The id: a string or an integer.
    pub user: Vec<String>,
    /// The name to show.
    pub name: Vec<String>,
    /// The e-mail address.
    pub email: Vec<String>,
}

impl Default for ClaimNames {
    fn default() -> Self {
        let names = |list: &[&str]| list.iter().map(|&name| name.to_owned()).collect();
        Self { user: names(&["userId", "id", "sub"]), name: names(&["username", "name"]), email: names(&["email"]) }
    }
}

impl ClaimNames {
    /// The identity that these claims state.
    ///
    /// # Errors
    /// [`AuthError::Invalid`] without a usable id, with a field of another type, or with an `exp` that is not a number.
    pub(super) fn identity(&self, claims: &Map<String, Value>) -> Result<Identity, AuthError> {
        let id = match first(claims, &self.user) {
            Some(Value::String(id)) => id.clone(),
            Some(Value::Number(id)) if id.is_i64() || id.is_u64() => id.to_string(),
            _ => return Err(AuthError::Invalid),
        };
        let name = text(claims, &self.name)?.filter(|name| !name.trim().is_empty()).unwrap_or(&id).to_owned();
        let email = text(claims, &self.email)?.map(str::to_owned);
        checked(Identity { user: UserId::from(id), name, email, expires_at_ms: instant_ms(claims, "exp")? })
    }
}

/// The same identity if its id and name are within their limits.
pub(super) fn checked(identity: Identity) -> Result<Identity, AuthError> {
    let id = identity.user.as_str();
    let id_is_usable = !id.trim().is_empty() && id.chars().count() <= USER_ID_CHARACTERS_MAX;
    if id_is_usable && identity.name.chars().count() <= NAME_CHARACTERS_MAX {
        Ok(identity)
    } else {
        Err(AuthError::Invalid)
    }
}

/// A NumericDate (seconds, possibly with a fraction) as milliseconds. Text is refused: it would pass for "no end".
pub(super) fn instant_ms(claims: &Map<String, Value>, claim: &str) -> Result<Option<u64>, AuthError> {
    let Some(value) = claims.get(claim).filter(|value| !value.is_null()) else {
        return Ok(None);
    };
    let seconds = value.as_f64().filter(|seconds| seconds.is_finite()).ok_or(AuthError::Invalid)?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates: before 1970 is long over")]
    Ok(Some((seconds * 1000.0) as u64))
}

fn first<'a>(claims: &'a Map<String, Value>, names: &[String]) -> Option<&'a Value> {
    names.iter().filter_map(|name| claims.get(name)).find(|value| !value.is_null())
}

fn text<'a>(claims: &'a Map<String, Value>, names: &[String]) -> Result<Option<&'a str>, AuthError> {
    first(claims, names).map(|value| value.as_str().ok_or(AuthError::Invalid)).transpose()
}
