//! What can be done to a target from outside. Child processes are controlled here; containers and in-process instances are
//! controlled by whoever started them, who hands in a [`Control`] of his own.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use tokio::sync::mpsc;

/// A future in a box, so that `Control` can be a trait object.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What an action is done to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// A server process; 1 is the first, as in the case language.
    Instance(usize),
    /// A backend by its name, such as `redis`.
    Backend(String),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Instance(n) => write!(f, "instance {n}"),
            Self::Backend(name) => write!(f, "backend {name}"),
        }
    }
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// Starts it at the address that it had, and waits until it is ready. Nothing happens when it runs already.
    Start,
    /// Asks it to end (the target file's `stop_signal`) and waits for that. Nothing happens when it is down.
    Stop,
    /// Ends it at once, without a word (SIGKILL). Nothing happens when it is down.
    Kill,
    /// Stop, then start.
    Restart,
    /// Freezes it with its connections open (SIGSTOP).
    Pause,
    /// Lets it go on (SIGCONT).
    Resume,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Kill => "kill",
            Self::Restart => "restart",
            Self::Pause => "pause",
            Self::Resume => "resume",
        })
    }
}

/// What an action came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Done {
    /// The exit code of a process that a `Stop` or `Restart` ended by itself.
    pub exit_code: Option<i32>,
    /// One line for a transcript or timeline, such as `instance 1 stopped after SIGTERM with exit code 0`.
    pub note: String,
}

/// Why an action did not come about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// Nobody here can do that.
    #[error("nothing here can {action} {subject}")]
    Unable {
        /// To what.
        subject: Subject,
        /// What.
        action: Action,
    },
    /// It was tried and went wrong; the text says how, with the last lines of output where there are some.
    #[error("failed to {action} {subject}: {reason}")]
    Failed {
        /// To what.
        subject: Subject,
        /// What.
        action: Action,
        /// Why.
        reason: String,
    },
}

/// Why a question has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// Nobody here can ask that subject.
    #[error("nothing here can ask it")]
    Unable,
    /// It was asked and refused, or was not there; the text says how.
    #[error("{0}")]
    Failed(String),
}

/// Does things to instances and backends. An implementation answers for its own subjects only; [`Controls`] joins several.
pub trait Control: Send + Sync {
    /// Whether [`Control::act`] knows how to do this.
    fn can(&self, subject: &Subject, action: Action) -> bool;

    /// Does it, and returns when it has taken effect: a started subject is ready, a stopped one has ended.
    ///
    /// # Errors
    /// [`ControlError::Unable`] for a subject or action that is not its own, else [`ControlError::Failed`].
    fn act<'a>(&'a self, subject: &'a Subject, action: Action) -> BoxFuture<'a, Result<Done, ControlError>>;

    /// The last lines that the subject printed, oldest first, for error messages and reports.
    fn last_lines(&self, subject: &Subject) -> Vec<String>;

    /// Asks a subject in its own language (a Redis command, SQL, ...) without changing it: for probes. The answer is its plain data.
    ///
    /// # Errors
    /// [`AskError::Unable`] for a subject that is not its own, else [`AskError::Failed`].
    fn ask<'a>(
        &'a self,
        _subject: &'a Subject,
        _question: &'a str,
    ) -> BoxFuture<'a, Result<serde_json::Value, AskError>> {
        Box::pin(std::future::ready(Err(AskError::Unable)))
    }

    /// Listens to what is published at a subject, from its answer on until the receiver is dropped or the subject ends: for probes.
    /// `channel` names channels in the subject's own words; what comes is `{"channel": ..., "text": ...}`.
    ///
    /// # Errors
    /// [`AskError::Unable`] for a subject that is not its own or publishes nothing, else [`AskError::Failed`].
    fn listen<'a>(&'a self, _subject: &'a Subject, _channel: &'a str) -> BoxFuture<'a, Result<Published, AskError>> {
        Box::pin(std::future::ready(Err(AskError::Unable)))
    }
}

/// What is published where somebody listens. Its sender waits while it is full.
pub type Published = mpsc::Receiver<serde_json::Value>;

/// Several controls as one: the first that can do it does it.
#[derive(Clone, Default)]
pub struct Controls {
    parts: Vec<Arc<dyn Control>>,
}

impl Controls {
    /// Joins these; earlier ones are asked first.
    #[must_use]
    pub fn new(parts: Vec<Arc<dyn Control>>) -> Self {
        Self { parts }
    }
}

impl fmt::Debug for Controls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Controls({})", self.parts.len())
    }
}

impl Control for Controls {
    fn can(&self, subject: &Subject, action: Action) -> bool {
        self.parts.iter().any(|part| part.can(subject, action))
    }

    fn act<'a>(&'a self, subject: &'a Subject, action: Action) -> BoxFuture<'a, Result<Done, ControlError>> {
        match self.parts.iter().find(|part| part.can(subject, action)) {
            Some(part) => part.act(subject, action),
            None => Box::pin(std::future::ready(Err(ControlError::Unable { subject: subject.clone(), action }))),
        }
    }

    fn ask<'a>(
        &'a self,
        subject: &'a Subject,
        question: &'a str,
    ) -> BoxFuture<'a, Result<serde_json::Value, AskError>> {
        Box::pin(async move {
            for part in &self.parts {
                match part.ask(subject, question).await {
                    Err(AskError::Unable) => {}
                    answer @ (Ok(_) | Err(AskError::Failed(_))) => return answer,
                }
            }
            Err(AskError::Unable)
        })
    }

    fn listen<'a>(&'a self, subject: &'a Subject, channel: &'a str) -> BoxFuture<'a, Result<Published, AskError>> {
        Box::pin(async move {
            for part in &self.parts {
                match part.listen(subject, channel).await {
                    Err(AskError::Unable) => {}
                    answer @ (Ok(_) | Err(AskError::Failed(_))) => return answer,
                }
            }
            Err(AskError::Unable)
        })
    }

    fn last_lines(&self, subject: &Subject) -> Vec<String> {
        self.parts.iter().map(|part| part.last_lines(subject)).find(|lines| !lines.is_empty()).unwrap_or_default()
    }
}
