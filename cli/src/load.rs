//! tmp
use crate::{
    args::{Global, LoadArgs},
    exit::{Outcome, UseError},
};
pub(crate) async fn run(_g: &Global, _a: LoadArgs) -> Result<Outcome, UseError> {
    Err(UseError::new("not yet"))
}
