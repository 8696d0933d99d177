//! One Redis server as the adapters use it: address, key prefix, time limits, and connections that come back by themselves.

use std::{
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use redis::{
    Client, Cmd, ConnectionAddr, ErrorKind, FromRedisValue, IntoConnectionInfo as _, Pipeline, RedisConnectionInfo,
    RedisError, ScriptInvocation, TlsCertificates,
    aio::{ConnectionManager, ConnectionManagerConfig},
};

use crate::{
    config::{RedisConfig, RedisTls},
    store::StoreError,
};

/// Between two attempts to connect; each request starts an attempt of its own when the connection is gone.
const RECONNECT_PAUSE_MAX: Duration = Duration::from_millis(250);

/// How long one attempt to connect may take. Shorter than a question: what stands between us and a Redis that is just starting may take
/// connections and say nothing.
pub(crate) const CONNECT_MAX: Duration = Duration::from_secs(1);

/// Attempts that one request waits for before it fails.
const RECONNECT_ATTEMPTS: usize = 2;

/// Where Redis is and how long it may take.
#[derive(Debug, Clone)]
pub struct RedisOptions {
    /// Where, with which password, under which prefix.
    pub server: RedisConfig,
    /// The time for one question, reconnecting included.
    pub timeout: Duration,
}

/// The client library refuses to use this Redis; the words never show a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Redis at {host} cannot be used: {problem}")]
pub struct BadRedis {
    host: String,
    problem: String,
}

/// For how long a Redis that did not answer in time is not asked again: otherwise everybody who asks would wait for the time limit, one
/// behind the other. One that refuses connections fails fast by itself.
const SILENCE: Duration = Duration::from_millis(500);

/// A connection for questions. Nothing is connected before the first one; a lost connection is made again.
#[derive(Clone)]
pub struct RedisLink {
    connection: ConnectionManager,
    prefix: String,
    timeout: Duration,
    silent_until: Arc<Mutex<Option<Instant>>>,
}

impl fmt::Debug for RedisLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisLink").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

impl RedisLink {
    /// A link of its own connection.
    ///
    /// # Errors
    /// [`BadRedis`]. That nobody answers there is no error: the link waits for him.
    pub fn new(options: &RedisOptions) -> Result<Self, BadRedis> {
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(RECONNECT_ATTEMPTS)
            .set_max_delay(RECONNECT_PAUSE_MAX)
            .set_connection_timeout(Some(options.timeout.min(CONNECT_MAX)))
            .set_response_timeout(Some(options.timeout * 2)); // ours comes first, and counts
        let connection = ConnectionManager::new_lazy_with_config(client(options)?, config);
        let connection = connection.map_err(|problem| bad(options, &problem))?;
        Ok(Self {
            connection,
            prefix: options.server.prefix.clone(),
            timeout: options.timeout,
            silent_until: Arc::default(),
        })
    }

    /// A key or channel: the prefix, a fixed part, an id, a fixed part. Two of them are equal only if all parts are, because the ids
    /// stand between parts that no other kind of key has.
    pub(crate) fn key(&self, before: &str, id: &str, after: &str) -> String {
        format!("{}{before}{id}{after}", self.prefix)
    }

    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    pub(crate) async fn run<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StoreError> {
        let mut connection = self.connection.clone();
        self.bounded(command.query_async(&mut connection)).await
    }

    pub(crate) async fn run_all<T: FromRedisValue>(&self, commands: &Pipeline) -> Result<T, StoreError> {
        let mut connection = self.connection.clone();
        self.bounded(commands.query_async(&mut connection)).await
    }

    pub(crate) async fn run_script<T: FromRedisValue>(&self, script: &ScriptInvocation<'_>) -> Result<T, StoreError> {
        let mut connection = self.connection.clone();
        self.bounded(script.invoke_async(&mut connection)).await
    }

    /// [`run`](Self::run) for what changes nothing: asked again if the connection turns out to be gone. The first question after an outage
    /// always fails, because it is the one that finds out; without this a user would have to ask it.
    pub(crate) async fn read<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StoreError> {
        match self.run(command).await {
            Err(StoreError::Unavailable(_)) => self.run(command).await,
            answer @ (Ok(_) | Err(StoreError::Corrupt(_))) => answer,
        }
    }

    /// The same for several commands.
    pub(crate) async fn read_all<T: FromRedisValue>(&self, commands: &Pipeline) -> Result<T, StoreError> {
        match self.run_all(commands).await {
            Err(StoreError::Unavailable(_)) => self.run_all(commands).await,
            answer @ (Ok(_) | Err(StoreError::Corrupt(_))) => answer,
        }
    }

    /// The same for a script.
    pub(crate) async fn read_script<T: FromRedisValue>(&self, script: &ScriptInvocation<'_>) -> Result<T, StoreError> {
        match self.run_script(script).await {
            Err(StoreError::Unavailable(_)) => self.run_script(script).await,
            answer @ (Ok(_) | Err(StoreError::Corrupt(_))) => answer,
        }
    }

    async fn bounded<T>(&self, answer: impl Future<Output = Result<T, RedisError>>) -> Result<T, StoreError> {
        if self.silent_until().is_some_and(|until| Instant::now() < until) {
            return Err(StoreError::Unavailable("no answer lately".to_owned()));
        }
        let Ok(answer) = tokio::time::timeout(self.timeout, answer).await else {
            *self.silent_until() = Some(Instant::now() + SILENCE);
            return Err(StoreError::Unavailable("no answer in time".to_owned()));
        };
        answer.map_err(|problem| judged(&problem))
    }

    fn silent_until(&self) -> MutexGuard<'_, Option<Instant>> {
        self.silent_until.lock().expect("no code panics while it holds the time")
    }
}

/// A client for this server.
pub(crate) fn client(options: &RedisOptions) -> Result<Client, BadRedis> {
    let RedisConfig { host, port, user, password, database, tls, .. } = &options.server;
    let info = (host.as_str(), *port).into_connection_info().map_err(|problem| bad(options, &problem))?;
    let mut settings = RedisConnectionInfo::default().set_db(i64::from(*database));
    if let Some(user) = user {
        settings = settings.set_username(user);
    }
    if let Some(password) = password {
        settings = settings.set_password(password.expose());
    }
    let info = info.set_redis_settings(settings);
    let client = match tls {
        None => Client::open(info),
        Some(RedisTls { authority }) => {
            let certificates = TlsCertificates { client_tls: None, root_cert: authority_pem(options, authority)? };
            // Several libraries of this process bring a provider of their own; the first choice counts.
            let _ = rustls::crypto::ring::default_provider().install_default();
            let address = ConnectionAddr::TcpTls { host: host.clone(), port: *port, insecure: false, tls_params: None };
            Client::build_with_tls(info.set_addr(address), certificates)
        }
    };
    client.map_err(|problem| bad(options, &problem))
}

/// Read once, at the start.
fn authority_pem(options: &RedisOptions, path: &Option<PathBuf>) -> Result<Option<Vec<u8>>, BadRedis> {
    let Some(path) = path else { return Ok(None) };
    let problem = |problem: std::io::Error| BadRedis {
        host: options.server.host.clone(),
        problem: format!("failed to read {}: {problem}", path.display()),
    };
    std::fs::read(path).map(Some).map_err(problem)
}

fn bad(options: &RedisOptions, problem: &RedisError) -> BadRedis {
    BadRedis { host: options.server.host.clone(), problem: problem.to_string() }
}

/// Broken data will not get better by asking again; everything else may.
fn judged(problem: &RedisError) -> StoreError {
    let is_corrupt = matches!(problem.kind(), ErrorKind::UnexpectedReturnType | ErrorKind::Parse);
    let words = problem.to_string();
    if is_corrupt { StoreError::Corrupt(words) } else { StoreError::Unavailable(words) }
}
