//! One MongoDB as the adapters use it: address, time limits, what a confirmed write means.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use mongodb::{
    Client, Collection, Database,
    bson::{Document, doc},
    error::{Error, ErrorKind, WriteFailure},
    options::{Acknowledgment, ClientOptions, ReadConcern, WriteConcern},
};

use crate::{config::Secret, store::StoreError};

/// Where a URL names no database.
const DATABASE: &str = "chat";

/// How long one attempt to connect may take.
const CONNECT_MAX: Duration = Duration::from_secs(1);

/// For how long a MongoDB that was not to be reached is not asked again: otherwise everybody who asks would wait for the time limit.
const SILENCE: Duration = Duration::from_millis(500);

/// MongoDB's number for a second document under a unique key.
const DUPLICATE_KEY: i32 = 11_000;

/// MongoDB cannot be used as configured; the words never show a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("MongoDB cannot be used: {0}")]
pub struct BadMongo(String);

/// A database. Nothing is connected before the first question; a lost connection is made again.
#[derive(Clone)]
pub struct MongoLink {
    database: Database,
    timeout: Duration,
    silent_until: Arc<Mutex<Option<Instant>>>,
    /// The last position that was taken, as far as is known here, by what it counts.
    positions: Arc<Mutex<HashMap<String, u64>>>,
}

/// Positions that are remembered. Beyond it all are forgotten, and each is looked up once more.
const POSITIONS_MAX: usize = 10_000;

impl fmt::Debug for MongoLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MongoLink").field("database", &self.database.name()).finish_non_exhaustive()
    }
}

impl MongoLink {
    /// A link that gives each question this much time.
    ///
    /// # Errors
    /// [`BadMongo`]. That nobody answers there is no error: the link waits for him.
    pub async fn new(url: &Secret, timeout: Duration) -> Result<Self, BadMongo> {
        // The driver's words repeat the URL, which may hold a password.
        let parsed = ClientOptions::parse(url.expose()).await;
        let mut options =
            parsed.map_err(|_| BadMongo("a URL such as mongodb://host:27017/chat is expected".to_owned()))?;
        options.app_name.get_or_insert_with(|| "chatwright".to_owned());
        options.server_selection_timeout = Some(timeout);
        options.connect_timeout = Some(timeout.min(CONNECT_MAX));
        // Confirmed means: written to the journal of a majority, so that neither a killed process nor a new primary forgets it.
        options.write_concern =
            Some(WriteConcern::builder().w(Acknowledgment::Majority).journal(true).w_timeout(timeout).build());
        options.read_concern.get_or_insert_with(ReadConcern::majority);
        let name = options.default_database.clone().unwrap_or_else(|| DATABASE.to_owned());
        let client = Client::with_options(options).map_err(|problem| BadMongo(problem.kind.to_string()))?;
        Ok(Self { database: client.database(&name), timeout, silent_until: Arc::default(), positions: Arc::default() })
    }

    pub(crate) fn collection(&self, name: &str) -> Collection<Document> {
        self.database.collection(name)
    }

    /// Whether the database answers now.
    pub(crate) async fn ping(&self) -> Result<(), StoreError> {
        self.bounded(self.database.run_command(doc! { "ping": 1 })).await.map(|_| ())
    }

    /// An answer within the time limit.
    pub(crate) async fn bounded<T>(&self, answer: impl IntoFuture<Output = Result<T, Error>>) -> Result<T, StoreError> {
        self.attempt(answer).await?.map_err(|problem| judged(&problem))
    }

    /// The same for a write that may find its key taken: `None` then.
    pub(crate) async fn unless_taken<T>(
        &self,
        answer: impl IntoFuture<Output = Result<T, Error>>,
    ) -> Result<Option<T>, StoreError> {
        match self.attempt(answer).await? {
            Ok(done) => Ok(Some(done)),
            Err(problem) if is_duplicate(&problem) => Ok(None),
            Err(problem) => Err(judged(&problem)),
        }
    }

    /// The last position of something that this link knows to be taken.
    pub(super) fn position(&self, of: &str) -> Option<u64> {
        self.positions().get(of).copied()
    }

    pub(super) fn remember_position(&self, of: String, position: u64) {
        let mut positions = self.positions();
        if positions.len() >= POSITIONS_MAX {
            positions.clear();
        }
        positions.insert(of, position);
    }

    fn positions(&self) -> MutexGuard<'_, HashMap<String, u64>> {
        self.positions.lock().expect("no code panics while it holds the positions")
    }

    async fn attempt<T>(
        &self,
        answer: impl IntoFuture<Output = Result<T, Error>>,
    ) -> Result<Result<T, Error>, StoreError> {
        if self.silent_until().is_some_and(|until| Instant::now() < until) {
            return Err(StoreError::Unavailable("no answer from MongoDB lately".to_owned()));
        }
        let answer = tokio::time::timeout(self.timeout, answer.into_future()).await;
        let unreachable = match &answer {
            Ok(Ok(_)) => false,
            Ok(Err(problem)) => matches!(*problem.kind, ErrorKind::ServerSelection { .. } | ErrorKind::Io(_)),
            Err(_) => true,
        };
        if unreachable {
            *self.silent_until() = Some(Instant::now() + SILENCE);
            self.positions().clear(); // it may have lost what they count
        }
        answer.map_err(|_| StoreError::Unavailable("no answer from MongoDB in time".to_owned()))
    }

    fn silent_until(&self) -> MutexGuard<'_, Option<Instant>> {
        self.silent_until.lock().expect("no code panics while it holds the time")
    }
}

/// Whether a write, or every one of several, found its key taken.
fn is_duplicate(problem: &Error) -> bool {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the driver may add kinds of errors")]
    match &*problem.kind {
        ErrorKind::Write(WriteFailure::WriteError(error)) => error.code == DUPLICATE_KEY,
        ErrorKind::InsertMany(error) => {
            error.write_concern_error.is_none()
                && error.write_errors.as_ref().is_some_and(|errors| errors.iter().all(|one| one.code == DUPLICATE_KEY))
        }
        ErrorKind::Command(error) => error.code == DUPLICATE_KEY,
        _ => false,
    }
}

/// Data that cannot be read, and a document that the server looked at and refused, will not get better by asking again; everything else may.
fn judged(problem: &Error) -> StoreError {
    let words = problem.kind.to_string();
    let is_corrupt = matches!(
        *problem.kind,
        ErrorKind::Bson(_) | ErrorKind::InvalidResponse { .. } | ErrorKind::Write(WriteFailure::WriteError(_))
    );
    if is_corrupt { StoreError::Corrupt(words) } else { StoreError::Unavailable(words) }
}
