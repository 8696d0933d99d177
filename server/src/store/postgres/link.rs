//! One PostgreSQL as the adapters use it: address, time limit, tables that are there before the first question, and whether it is there at
//! all, so that nobody waits for one that is away.

use std::{fmt, str::FromStr, sync::Arc, time::Duration};

use sqlx::{
    Connection as _, Error, PgConnection, PgPool,
    migrate::{MigrateError, Migrator},
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::sync::{Notify, watch};

use crate::{config::Secret, store::StoreError};

/// Connections of one instance: a server that several share has room for 100 by default.
const CONNECTIONS_MAX: u32 = 16;

/// The schema of what no document names.
const OWN_SCHEMA: &str = "chatwright";

/// Where it is written which of our steps the database has seen.
const STEPS_TABLE: &str = "chatwright.migrations";

/// How much longer than one question the making of the tables may take.
const MIGRATION_FACTOR: u32 = 5;

/// An answer that takes longer makes somebody look whether the database is there at all: one that refuses connections is known to be away
/// at once, one that is silent when the time for a question is over.
const SLOW: Duration = Duration::from_millis(500);

/// Between two looks whether a database that is away is back.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// PostgreSQL cannot be used as configured; the words never show a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("PostgreSQL cannot be used: a URL such as postgresql://user:password@host/database is expected")]
pub struct BadPostgres;

/// A database. Nothing is wrong with one that is away: questions fail at once until it is back.
#[derive(Clone)]
pub struct PostgresLink {
    pool: PgPool,
    timeout: Duration,
    state: watch::Receiver<State>,
    /// Somebody got no answer: is it there?
    doubt: Arc<Notify>,
}

/// What is known of the database.
#[derive(Debug, Clone)]
enum State {
    /// Nobody has seen it yet.
    Unknown,
    /// It answers, and our tables are there.
    There,
    /// It does not answer, and who looks after it looks again and again; these are the words why.
    Away(String),
    /// It is there, and of no use; asking again does not mend it.
    Broken(String),
}

impl fmt::Debug for PostgresLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresLink").finish_non_exhaustive()
    }
}

impl PostgresLink {
    /// A link that gives each question this much time. Call it inside a tokio runtime: a task looks after the database until the last
    /// clone of the link is dropped.
    ///
    /// # Errors
    /// [`BadPostgres`]. That nobody answers there is no error: the link waits for him.
    pub fn new(url: &Secret, timeout: Duration) -> Result<Self, BadPostgres> {
        let options = PgConnectOptions::from_str(url.expose()).map_err(|_| BadPostgres)?;
        let options = options.application_name("chatwright");
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS_MAX)
            .acquire_timeout(timeout)
            .connect_lazy_with(options.clone());
        let (say, state) = watch::channel(State::Unknown);
        let doubt = Arc::new(Notify::new());
        let watch = Watch { pool: pool.clone(), options, timeout, say, doubt: Arc::clone(&doubt) };
        tokio::spawn(watch.look_after());
        Ok(Self { pool, timeout, state, doubt })
    }

    /// An answer within the time limit, from tables that are there. When the database turns out to be away, nobody waits any longer.
    pub(super) async fn ask<T>(&self, answer: impl AsyncFnOnce(&PgPool) -> Result<T, Error>) -> Result<T, StoreError> {
        let answering = async {
            self.there().await?;
            answer(&self.pool).await.map_err(|problem| judged(&problem))
        };
        let doubting = async {
            tokio::time::sleep(SLOW).await;
            self.doubt.notify_one();
            std::future::pending::<String>().await
        };
        let answer = tokio::select! {
            biased;
            reason = self.gone() => return Err(StoreError::Unavailable(reason)),
            answer = tokio::time::timeout(self.timeout, answering) => answer,
            reason = doubting => return Err(StoreError::Unavailable(reason)),
        };
        let answer =
            answer.unwrap_or_else(|_| Err(StoreError::Unavailable("no answer from PostgreSQL in time".to_owned())));
        if matches!(answer, Err(StoreError::Unavailable(_))) {
            self.doubt.notify_one();
        }
        answer
    }

    /// Waits for the tables.
    async fn there(&self) -> Result<(), StoreError> {
        let mut state = self.state.clone();
        let known = state.wait_for(|state| matches!(state, State::There | State::Broken(_))).await;
        match known.as_deref() {
            Ok(State::Broken(reason)) => Err(StoreError::Corrupt(reason.clone())),
            Ok(State::There | State::Unknown | State::Away(_)) => Ok(()),
            Err(_) => Err(StoreError::Unavailable("nobody looks after PostgreSQL any more".to_owned())),
        }
    }

    /// Returns when the database is away.
    async fn gone(&self) -> String {
        let mut state = self.state.clone();
        match state.wait_for(|state| matches!(state, State::Away(_))).await.as_deref() {
            Ok(State::Away(reason)) => return format!("PostgreSQL is away: {reason}"),
            Ok(State::Unknown | State::There | State::Broken(_)) | Err(_) => {}
        }
        std::future::pending().await
    }
}

/// Looks after a database: makes the tables as soon as it is there, and then looks whenever somebody got no answer.
struct Watch {
    pool: PgPool,
    options: PgConnectOptions,
    timeout: Duration,
    say: watch::Sender<State>,
    doubt: Arc<Notify>,
}

impl Watch {
    async fn look_after(self) {
        let watching = async {
            self.make_tables().await;
            loop {
                self.doubt.notified().await;
                while let Err(problem) = self.sign_of_life().await {
                    self.away(problem);
                    tokio::time::sleep(LOOK_AGAIN).await;
                }
                self.there();
            }
        };
        tokio::select! {
            () = watching => {}
            () = self.say.closed() => {}
        }
    }

    async fn make_tables(&self) {
        loop {
            let made = match self.sign_of_life().await {
                Ok(()) => self.migrate().await,
                Err(problem) => Err(StoreError::Unavailable(problem)),
            };
            match made {
                Ok(()) => return self.there(),
                Err(StoreError::Unavailable(problem)) => self.away(problem),
                Err(StoreError::Corrupt(problem)) => {
                    tracing::error!(problem, "the tables in PostgreSQL cannot be made");
                    self.say.send_replace(State::Broken(problem));
                }
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    fn there(&self) {
        let was_away = self.say.send_if_modified(|state| {
            let changed = !matches!(state, State::There);
            *state = State::There;
            changed
        });
        if was_away {
            tracing::info!("PostgreSQL is there");
        }
    }

    fn away(&self, problem: String) {
        if !matches!(self.say.send_replace(State::Away(problem.clone())), State::Away(_)) {
            tracing::warn!(problem, "PostgreSQL is away");
        }
    }

    /// A connection of its own: those of the pool may all wait.
    async fn sign_of_life(&self) -> Result<(), String> {
        let asking = async {
            let mut connection = PgConnection::connect_with(&self.options).await?;
            sqlx::query("SELECT 1").execute(&mut connection).await?;
            connection.close().await
        };
        match tokio::time::timeout(self.timeout, asking).await {
            Ok(seen) => seen.map_err(|problem| problem.to_string()),
            Err(_) => Err("no sign of life in time".to_owned()),
        }
    }

    async fn migrate(&self) -> Result<(), StoreError> {
        let mut steps: Migrator = sqlx::migrate!("src/store/postgres/migrations");
        steps.create_schema(OWN_SCHEMA);
        steps.dangerous_set_table_name(STEPS_TABLE);
        let done = tokio::time::timeout(self.timeout * MIGRATION_FACTOR, steps.run(&self.pool)).await;
        let done = done.map_err(|_| StoreError::Unavailable("PostgreSQL makes no tables in time".to_owned()))?;
        done.map_err(|problem| {
            if let MigrateError::Execute(problem) | MigrateError::ExecuteMigration(problem, _) = &problem {
                return judged(problem);
            }
            StoreError::Corrupt(problem.to_string())
        })
    }
}

/// What a database says of wrong data or broken rules will not get better by asking again; everything else may.
fn judged(problem: &Error) -> StoreError {
    const DATA_EXCEPTION: &str = "22";
    const BROKEN_RULE: &str = "23";
    let words = problem.to_string();
    let class = problem.as_database_error().and_then(|error| error.code()).unwrap_or_default();
    let is_wrong = class.starts_with(DATA_EXCEPTION) || class.starts_with(BROKEN_RULE);
    let is_unreadable = matches!(
        problem,
        Error::ColumnDecode { .. } | Error::Decode(_) | Error::ColumnNotFound(_) | Error::ColumnIndexOutOfBounds { .. }
    );
    if is_wrong || is_unreadable { StoreError::Corrupt(words) } else { StoreError::Unavailable(words) }
}
