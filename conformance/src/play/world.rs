//! Steps of the world: the stub of the auth service, instances and backends stopped and started, and everything put back at the end.

use std::time::Duration;

use super::{Blame, Go, Player, Site, Stop};
use crate::{
    auth_stub::Answer,
    case::{Span, Step, Tail, Value, WorldVerb, eval},
    target::{Action, ControlError, Subject},
};

/// Control that takes longer than this has failed.
const CONTROL_TIMEOUT: Duration = Duration::from_secs(60);

impl Player<'_> {
    pub(super) fn script_auth(
        &mut self,
        status: u16,
        user: Option<&Value>,
        delay: Option<&Span>,
        actor: Option<&str>,
    ) -> Go {
        let Some(stub) = &self.stage.target.auth_stub else {
            return Err(Stop::Unplayable("the target does not ask the stub of the auth service".to_owned()));
        };
        let user = user
            .map(|value| eval(value, &self.names).map(|datum| datum.to_plain_json()))
            .transpose()
            .map_err(Stop::Unplayable)?;
        let delay = delay.map_or(Ok(Duration::ZERO), |span| self.span(span))?;
        let id = actor.map(|actor| self.names.user(actor).id);
        stub.answer(id.as_deref(), Answer { status: Some(status), user, delay });
        self.scripted.insert(id);
        self.recorder.note("", &format!("auth answers {status}"), Some(self.line));
        Ok(())
    }

    /// Does it; where an exit code is wanted, it is judged.
    pub(super) async fn control(
        &mut self,
        subject: Subject,
        verb: WorldVerb,
        (code, tail): (Option<&i32>, &Tail),
        step: &Step,
    ) -> Go {
        let Some(control) = &self.stage.target.control else {
            return Err(Stop::Unplayable("nothing controls this target".to_owned()));
        };
        let action = action(verb);
        self.recorder.note("", &step.to_string(), Some(step.line));
        let done = tokio::time::timeout(CONTROL_TIMEOUT, control.act(&subject, action))
            .await
            .map_err(|_| Stop::Unplayable(format!("`{step}` took longer than {CONTROL_TIMEOUT:?}")))?
            .map_err(|error| self.uncontrolled(step, tail, error))?;
        self.recorder.note("", &done.note, Some(step.line));
        match undone_by(action) {
            Some(_) => self.disturbed.insert(subject, action),
            None => self.disturbed.remove(&subject),
        };
        if code.is_none() || code == done.exit_code.as_ref() {
            return Ok(());
        }
        Err(self.ended_wrongly(step, tail, done.note, String::new()))
    }

    /// An instance that does not end when it is asked to has failed; everything else could not be tried.
    fn uncontrolled(&mut self, step: &Step, tail: &Tail, error: ControlError) -> Stop {
        match error {
            ControlError::Failed { subject: Subject::Instance(n), action: Action::Stop | Action::Restart, reason } => {
                // It was killed then.
                self.disturbed.insert(Subject::Instance(n), Action::Kill);
                self.ended_wrongly(step, tail, reason, "an orderly end was asked for".to_owned())
            }
            ControlError::Failed { .. } | ControlError::Unable { .. } => Stop::Unplayable(error.to_string()),
        }
    }

    fn ended_wrongly(&self, step: &Step, tail: &Tail, got: String, why: String) -> Stop {
        let shown = step.to_string();
        let blame = Blame { line: step.line, step: &shown, tail, expected: shown.clone(), got, timed: false, why };
        self.failure(&Site::CASE, blame)
    }

    /// Starts and resumes what the case left down, so that the next case meets a whole target.
    pub(super) async fn restore_world(&mut self) {
        if let Some(stub) = &self.stage.target.auth_stub {
            for id in &self.scripted {
                stub.forget(id.as_deref());
            }
        }
        let Some(control) = &self.stage.target.control else { return };
        let is_instance = |subject: &Subject| matches!(subject, Subject::Instance(_));
        let (instances, backends): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.disturbed).into_iter().partition(|(subject, _)| is_instance(subject));
        // An instance may be ready only when it has what it needs.
        for (subject, action) in backends.into_iter().chain(instances) {
            let Some(undo) = undone_by(action) else { continue };
            let outcome = tokio::time::timeout(CONTROL_TIMEOUT, control.act(&subject, undo)).await;
            let words = match outcome {
                Ok(Ok(done)) => done.note,
                Ok(Err(e)) => e.to_string(),
                Err(_) => format!("to {undo} {subject} took longer than {CONTROL_TIMEOUT:?}"),
            };
            self.recorder.note("", &format!("put back: {words}"), None);
        }
    }
}

fn action(verb: WorldVerb) -> Action {
    match verb {
        WorldVerb::Stops => Action::Stop,
        WorldVerb::Starts => Action::Start,
        WorldVerb::Kills => Action::Kill,
        WorldVerb::Restarts => Action::Restart,
        WorldVerb::Pauses => Action::Pause,
        WorldVerb::Resumes => Action::Resume,
    }
}

/// What puts the subject back, if the action leaves it disturbed.
fn undone_by(action: Action) -> Option<Action> {
    match action {
        Action::Stop | Action::Kill => Some(Action::Start),
        Action::Pause => Some(Action::Resume),
        Action::Start | Action::Restart | Action::Resume => None,
    }
}
