//! The instances that we started as child processes, and what can be done to them.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::Mutex as AsyncMutex;

use super::{
    child::{ChildProcess, Run},
    control::{Action, BoxFuture, Control, ControlError, Done, Subject},
    deaths::{Death, Deaths},
    file::StopSignal,
    output::Tail,
    port::Port,
    ready::Probe,
};

/// Lines of output below an error.
const SHOWN_LINES: usize = 20;
/// Output comes over a pipe: what a dying process printed last may arrive after its end.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// How one instance is run.
#[derive(Debug, Clone)]
pub(super) struct Recipe {
    pub(super) run: Run,
    pub(super) probe: Probe,
    pub(super) ready_timeout: Duration,
    pub(super) stop_signal: StopSignal,
    pub(super) stop_timeout: Duration,
    /// Its own, kept for it also while it does not run.
    pub(super) ports: Arc<[Port]>,
}

/// Why an instance did not come up.
#[derive(Debug)]
pub(super) struct StartFailure {
    pub(super) reason: String,
    pub(super) output: Vec<String>,
}

impl StartFailure {
    /// Whether it complains about its port; then another port may do.
    pub(super) fn port_in_use(&self) -> bool {
        self.output
            .iter()
            .any(|line| line.contains("EADDRINUSE") || line.to_lowercase().contains("address already in use"))
    }
}

impl std::fmt::Display for StartFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.reason)?;
        show_output(f, &self.output)
    }
}

/// The last lines of an output, indented below a message.
pub(super) fn show_output(f: &mut impl std::fmt::Write, lines: &[String]) -> std::fmt::Result {
    if lines.is_empty() {
        return f.write_str("; it printed nothing");
    }
    f.write_str("; its last lines were:")?;
    for line in &lines[lines.len().saturating_sub(SHOWN_LINES)..] {
        write!(f, "\n    {line}")?;
    }
    Ok(())
}

struct Slot {
    /// 1 is the first.
    number: usize,
    recipe: Recipe,
    deaths: Deaths,
    /// Held over a whole action, so that two actions on one instance queue up.
    process: AsyncMutex<Option<ChildProcess>>,
    /// Of the process that runs or ran last.
    tail: Mutex<Tail>,
}

/// The child processes of a target.
pub(super) struct Children {
    slots: Vec<Slot>,
}

impl Children {
    /// None of them runs yet. Who ends without having been asked to is noted.
    pub(super) fn new(recipes: Vec<Recipe>, deaths: &Deaths) -> Arc<Self> {
        let slot = |(i, recipe)| Slot {
            number: i + 1,
            recipe,
            deaths: deaths.clone(),
            process: AsyncMutex::default(),
            tail: Mutex::default(),
        };
        let slots = recipes.into_iter().enumerate().map(slot).collect();
        Arc::new(Self { slots })
    }

    /// Starts all at once; returns the first failure after every start has ended.
    pub(super) async fn start_all(&self) -> Result<(), (usize, StartFailure)> {
        let starts = self
            .slots
            .iter()
            .enumerate()
            .map(|(i, slot)| async move { slot.start().await.map_err(|failure| (i + 1, failure)) });
        futures_util::future::join_all(starts).await.into_iter().collect()
    }

    /// Stops all at once.
    pub(super) async fn stop_all(&self) {
        futures_util::future::join_all(self.slots.iter().map(Slot::stop)).await;
    }

    /// Kills all at once, without waiting: also while unwinding.
    pub(super) fn kill_all(&self) {
        for slot in &self.slots {
            if let Ok(mut held) = slot.process.try_lock()
                && let Some(mut process) = held.take()
            {
                slot.note_own_end(&mut process);
            }
        }
    }

    /// The process groups that run now and are not being started or stopped.
    pub(super) fn groups(&self) -> Vec<i32> {
        let running = |slot: &Slot| slot.process.try_lock().ok()?.as_ref().map(ChildProcess::group);
        self.slots.iter().filter_map(running).collect()
    }

    fn slot(&self, subject: &Subject) -> Option<&Slot> {
        match subject {
            Subject::Instance(number) => self.slots.get(number.checked_sub(1)?),
            Subject::Backend(_) => None,
        }
    }
}

impl Slot {
    async fn start(&self) -> Result<(), StartFailure> {
        let mut held = self.process.lock().await;
        if held.as_mut().is_some_and(|process| process.exit_code().is_none()) {
            return Ok(());
        }
        if let Some(mut ended) = held.take() {
            self.note_own_end(&mut ended);
        }
        let fail = |reason, output| Err(StartFailure { reason, output });
        let mut process = match ChildProcess::spawn(&self.recipe.run) {
            Ok(process) => process,
            Err(e) => {
                let advice = if e.kind() == std::io::ErrorKind::NotFound {
                    "; is it installed, and does the folder exist?"
                } else {
                    ""
                };
                return Err(StartFailure {
                    reason: format!("failed to run {}: {e}{advice}", self.recipe.run.show()),
                    output: Vec::new(),
                });
            }
        };
        let tail = process.tail.clone();
        *self.tail.lock().unwrap_or_else(PoisonError::into_inner) = tail.clone();
        let mut said = String::new();
        let ready = tokio::select! {
            () = self.recipe.probe.wait(&tail, &mut said) => Ok(()),
            code = process.ended() => Err(code),
            () = tokio::time::sleep(self.recipe.ready_timeout) => Err(None),
        };
        // Whoever answers for one that has ended is a stranger.
        let ready = ready.and_then(|()| process.exit_code().map_or(Ok(()), |code| Err(Some(code))));
        match ready {
            Ok(()) => {
                *held = Some(process);
                Ok(())
            }
            Err(code) => {
                let ended = process.exit_code().or(code);
                process.kill().await;
                tokio::time::sleep(LAST_WORDS).await;
                let run = self.recipe.run.show();
                match ended {
                    Some(code) => fail(format!("{run} ended with exit code {code} before it was ready"), tail.lines()),
                    None => {
                        let (waited, probe) = (self.recipe.ready_timeout, self.recipe.probe.show());
                        fail(
                            format!(
                                "{run} was not ready after {waited:?}: waited for {probe} ({said}); raise `ready_timeout` if it needs longer"
                            ),
                            tail.lines(),
                        )
                    }
                }
            }
        }
    }

    /// Remembers a process that has ended already, asked by nobody.
    fn note_own_end(&self, process: &mut ChildProcess) {
        if let Some(exit_code) = process.exit_code() {
            self.deaths.note(Death { instance: self.number, exit_code, last_lines: process.tail.lines() });
        }
    }

    /// The process, to end it.
    async fn take(&self) -> Option<ChildProcess> {
        let mut process = self.process.lock().await.take()?;
        self.note_own_end(&mut process);
        Some(process)
    }

    async fn stop(&self) -> Option<i32> {
        let process = self.take().await?;
        process.stop(self.recipe.stop_signal, self.recipe.stop_timeout).await
    }

    async fn kill(&self) {
        if let Some(process) = self.take().await {
            process.kill().await;
        }
    }

    async fn asked_to_stop(&self) -> Result<Option<i32>, String> {
        if self.process.lock().await.is_none() {
            return Ok(None);
        }
        match self.stop().await {
            Some(code) => Ok(Some(code)),
            None => Err(format!("it did not end within {:?} and was killed", self.recipe.stop_timeout)),
        }
    }

    async fn pause(&self) -> Result<(), String> {
        match self.process.lock().await.as_mut() {
            Some(process) => process.pause().await.map_err(|e| e.to_string()),
            None => Err("it does not run".to_owned()),
        }
    }

    async fn act(&self, action: Action) -> Result<Option<i32>, String> {
        match action {
            Action::Start => self.start().await.map(|()| None).map_err(|failure| failure.to_string()),
            Action::Stop => self.asked_to_stop().await,
            Action::Kill => {
                self.kill().await;
                Ok(None)
            }
            Action::Restart => {
                let code = self.asked_to_stop().await?;
                self.start().await.map_err(|failure| failure.to_string())?;
                Ok(code)
            }
            Action::Pause => self.pause().await.map(|()| None),
            Action::Resume => {
                if let Some(process) = self.process.lock().await.as_mut() {
                    process.resume();
                }
                Ok(None)
            }
        }
    }
}

impl Control for Children {
    fn can(&self, subject: &Subject, _action: Action) -> bool {
        self.slot(subject).is_some()
    }

    fn act<'a>(&'a self, subject: &'a Subject, action: Action) -> BoxFuture<'a, Result<Done, ControlError>> {
        Box::pin(async move {
            let Some(slot) = self.slot(subject) else {
                return Err(ControlError::Unable { subject: subject.clone(), action });
            };
            let exit_code = slot.act(action).await.map_err(|reason| ControlError::Failed {
                subject: subject.clone(),
                action,
                reason,
            })?;
            let done = match action {
                Action::Start => "started".to_owned(),
                Action::Stop => {
                    exit_code.map_or("was down already".to_owned(), |code| format!("stopped with exit code {code}"))
                }
                Action::Kill => "killed".to_owned(),
                Action::Restart => exit_code
                    .map_or("started".to_owned(), |code| format!("stopped with exit code {code} and started again")),
                Action::Pause => "paused".to_owned(),
                Action::Resume => "resumed".to_owned(),
            };
            Ok(Done { exit_code, note: format!("{subject} {done}") })
        })
    }

    fn last_lines(&self, subject: &Subject) -> Vec<String> {
        self.slot(subject)
            .map(|slot| slot.tail.lock().unwrap_or_else(PoisonError::into_inner).lines())
            .unwrap_or_default()
    }
}
