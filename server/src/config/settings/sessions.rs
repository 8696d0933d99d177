//! What only `sessions` has, and what its document (`002_6fac51585bee33bb.txt`) calls otherwise.

use super::Setting;

pub(super) const SETTINGS: &[Setting] = &[];
