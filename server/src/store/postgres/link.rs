//! One PostgreSQL as the adapters use it: address, time limit, tables that are there before the first question.

use std::{fmt, str::FromStr, sync::Arc, time::Duration};

use sqlx::{
    Error, PgPool,
    migrate::{MigrateError, Migrator},
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::sync::OnceCell;

use crate::{config::Secret, store::StoreError};

/// Connections of one instance: a server that several share has room for 100 by default.
const CONNECTIONS_MAX: u32 = 16;

/// The schema of what no document names.
const OWN_SCHEMA: &str = "chatwright";

/// Where it is written which of our steps the database has seen.
const STEPS_TABLE: &str = "chatwright.migrations";

/// How much longer than one question the making of the tables may take.
const MIGRATION_FACTOR: u32 = 5;

/// PostgreSQL cannot be used as configured; the words never show a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("PostgreSQL cannot be used: a URL such as postgresql://user:password@host/database is expected")]
pub struct BadPostgres;

/// A database. Nothing is connected before the first question; a lost connection is made again.
#[derive(Clone)]
pub struct PostgresLink {
    pool: PgPool,
    timeout: Duration,
    migrated: Arc<OnceCell<()>>,
}

impl fmt::Debug for PostgresLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresLink").finish_non_exhaustive()
    }
}

impl PostgresLink {
    /// A link that gives each question this much time. Call it inside a tokio runtime.
    ///
    /// # Errors
    /// [`BadPostgres`]. That nobody answers there is no error: the link waits for him.
    pub fn new(url: &Secret, timeout: Duration) -> Result<Self, BadPostgres> {
        let options = PgConnectOptions::from_str(url.expose()).map_err(|_| BadPostgres)?;
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS_MAX)
            .acquire_timeout(timeout)
            .connect_lazy_with(options.application_name("chatwright"));
        Ok(Self { pool, timeout, migrated: Arc::default() })
    }

    /// An answer within the time limit, from tables that are there.
    pub(super) async fn ask<T>(&self, answer: impl AsyncFnOnce(&PgPool) -> Result<T, Error>) -> Result<T, StoreError> {
        self.migrated.get_or_try_init(async || self.migrate().await).await?;
        let answer = tokio::time::timeout(self.timeout, answer(&self.pool)).await;
        let answer = answer.map_err(|_| StoreError::Unavailable("no answer from PostgreSQL in time".to_owned()))?;
        answer.map_err(|problem| judged(&problem))
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
