//! What only `sessions` has, and what its document (`002_6fac51585bee33bb.txt`) calls otherwise.

use super::{Setting, ms, secs, setting};

#[rustfmt::skip] // one line a setting
pub(super) const SETTINGS: &[Setting] = &[
    setting!("clocks.grace", Some("GRACE_PERIOD"), "how long a user may be away before the others are told", |d, v| d.config.grace = v.span(ms(0)..=secs(3600))?),
];
