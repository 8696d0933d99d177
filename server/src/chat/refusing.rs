//! What every core refuses in the same way.

use chatwright_protocol::vocabulary::Refusal;

use crate::store::StoreError;

/// An id, or a name, that somebody claims.
pub(super) fn check_id(id: &str, field: &'static str, characters_max: usize) -> Result<(), Refusal> {
    if id.is_empty() {
        return Err(Refusal::Invalid { field, problem: "must not be empty" });
    }
    // Nothing has more characters than bytes, and a message to a hundred names a hundred ids.
    if id.len() > characters_max && id.chars().nth(characters_max).is_some() {
        return Err(Refusal::Invalid { field, problem: "is too long" });
    }
    Ok(())
}

/// The store cannot be asked now.
pub(super) fn away(problem: &StoreError) -> Refusal {
    tracing::warn!(%problem, "a request was refused for want of the store");
    Refusal::Unavailable
}
