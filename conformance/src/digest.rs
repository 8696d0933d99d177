//! Tells versions of cases apart.

use sha1::{Digest as _, Sha1};

use crate::outcome::CaseReport;

/// So much of a digest tells versions of cases apart, and can be read aloud.
const DIGEST_HEX_DIGITS: usize = 12;

/// What the cases are, in a word: it changes with any of their names or texts, and not with their order.
pub(crate) fn digest(cases: &[CaseReport]) -> String {
    let mut sha = Sha1::new();
    for case in cases {
        sha.update(case.name.as_bytes());
        sha.update([0]);
        sha.update(case.source.as_bytes());
        sha.update([0]);
    }
    let mut digest = crate::datum::hex(&sha.finalize());
    digest.truncate(DIGEST_HEX_DIGITS);
    digest
}
