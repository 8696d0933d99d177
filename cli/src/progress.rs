//! Progress of long work on standard error; nothing where that is no terminal.

use std::time::Duration;

use chatwright_conformance::{
    outcome::{CaseReport, Verdict},
    run::Observer,
    wrong::{KillRow, Watcher},
};
use indicatif::{ProgressBar, ProgressStyle};

/// A bar over the cases of a run.
pub(crate) struct Cases {
    bar: ProgressBar,
}

impl Cases {
    pub(crate) fn new() -> Self {
        let bar = ProgressBar::new(0);
        bar.set_style(
            ProgressStyle::with_template("{spinner} {bar:32} {pos}/{len} cases  {wide_msg}")
                .expect("a constant template"),
        );
        bar.enable_steady_tick(Duration::from_millis(120));
        Self { bar }
    }

    pub(crate) fn close(&self) {
        self.bar.finish_and_clear();
    }
}

impl Observer for Cases {
    fn planned(&self, cases: usize) {
        self.bar.inc_length(cases as u64);
    }

    fn started(&self, name: &str) {
        self.bar.set_message(name.to_owned());
    }

    fn finished(&self, report: &CaseReport) {
        match report.verdict {
            Verdict::Fail | Verdict::UnexpectedPass => self.bar.println(format!("failed: {}", report.name)),
            Verdict::Pass
            | Verdict::NonStrict
            | Verdict::Otherwise
            | Verdict::KnownFailure
            | Verdict::Inconclusive
            | Verdict::NotRun => {}
        }
        self.bar.inc(1);
    }
}

/// A bar over the wrong servers of a self-test, and over what they are made of.
pub(crate) struct WrongServers {
    bar: ProgressBar,
}

impl WrongServers {
    pub(crate) fn new() -> Self {
        let bar = ProgressBar::new(0);
        bar.set_style(
            ProgressStyle::with_template("{spinner} {bar:32} {pos}/{len} servers, {elapsed}  {wide_msg}")
                .expect("a constant template"),
        );
        bar.enable_steady_tick(Duration::from_millis(120));
        Self { bar }
    }

    pub(crate) fn close(&self) {
        self.bar.finish_and_clear();
    }
}

impl Watcher for WrongServers {
    fn planned(&self, bases: usize, servers: usize) {
        self.bar.inc_length((bases + servers) as u64);
    }

    fn base(&self, name: &str, played: Result<Duration, &str>) {
        if let Err(why) = played {
            self.bar.println(format!("{name}: {why}"));
        }
        self.bar.set_message(name.to_owned());
        self.bar.inc(1);
    }

    fn judged(&self, row: &KillRow) {
        if !row.is_caught() {
            self.bar.println(format!("not noticed, attempt {}: {}", row.attempts, row.name));
        }
        self.bar.set_message(row.name.clone());
        if row.attempts == 1 {
            self.bar.inc(1);
        }
    }
}

/// A line that says what is going on.
pub(crate) struct Spinner {
    bar: ProgressBar,
}

impl Spinner {
    pub(crate) fn new(what: &str) -> Self {
        let bar = ProgressBar::new_spinner();
        bar.set_message(what.to_owned());
        bar.enable_steady_tick(Duration::from_millis(120));
        Self { bar }
    }

    pub(crate) fn say(&self, what: &str) {
        self.bar.set_message(what.to_owned());
    }

    pub(crate) fn close(&self) {
        self.bar.finish_and_clear();
    }
}
