//! Who looks on while a run goes.

use crate::outcome::CaseReport;

/// Is told how a run goes.
pub trait Observer: Send + Sync {
    /// So many cases will be reported.
    fn planned(&self, cases: usize);
    /// A case begins.
    fn started(&self, name: &str);
    /// A case is judged.
    fn finished(&self, report: &CaseReport);
}

/// An observer that looks away.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoObserver;

impl Observer for NoObserver {
    fn planned(&self, _: usize) {}
    fn started(&self, _: &str) {}
    fn finished(&self, _: &CaseReport) {}
}
