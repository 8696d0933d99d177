//! A Redis of this machine as a child process, where there is one.
#![expect(unreachable_pub, reason = "shared by test binaries, which export nothing")]

use std::{
    net::{Ipv4Addr, TcpListener},
    process::{Child, Command, Stdio},
    time::Duration,
};

use chatwright_server::config::RedisConfig;
use tempfile::TempDir;

/// A running Redis; killed when dropped.
pub struct Redis {
    child: Child,
    port: u16,
    folder: TempDir,
}

impl Redis {
    /// Starts one; `None`, said loudly, where there is no `redis-server`.
    pub async fn start() -> Option<Self> {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = free.local_addr().expect("an address").port();
        drop(free);
        let folder = tempfile::tempdir().expect("a folder");
        match spawn(port, &folder) {
            Ok(child) => {
                let redis = Self { child, port, folder };
                redis.ready().await;
                Some(redis)
            }
            Err(problem) => {
                let required = std::env::var("CHATWRIGHT_REQUIRE_BACKENDS").is_ok_and(|value| value == "1");
                assert!(!required, "redis-server is required and cannot be started: {problem}");
                not_run(&problem.to_string());
                None
            }
        }
    }

    /// How the server is told about it.
    pub fn config(&self, prefix: &str) -> RedisConfig {
        RedisConfig { prefix: prefix.to_owned(), ..RedisConfig::at("127.0.0.1", self.port) }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Kills it; its append-only file stays.
    pub fn kill(&mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it ends");
    }

    /// Starts it again on the same port and files.
    pub async fn start_again(&mut self) {
        self.child = spawn(self.port, &self.folder).expect("it started before");
        self.ready().await;
    }

    /// A client of its own, to look into it.
    pub async fn client(&self) -> redis::aio::MultiplexedConnection {
        let client = redis::Client::open(("127.0.0.1", self.port)).expect("an address");
        client.get_multiplexed_async_connection().await.expect("a connection")
    }

    /// Waits until a connection that is gone is kept below `prefix`, where other instances find it.
    pub async fn keeps(&self, prefix: &str, pid: &str) {
        let key = format!("{prefix}chatwright:away:{pid}");
        let mut inside = self.client().await;
        let waiting = async {
            while !redis::cmd("EXISTS").arg(&key).query_async::<bool>(&mut inside).await.expect("it answers") {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(super::PATIENCE, waiting).await.expect("it is kept");
    }

    async fn ready(&self) {
        let client = redis::Client::open(("127.0.0.1", self.port)).expect("an address");
        for _ in 0..200 {
            if let Ok(mut connection) = client.get_multiplexed_async_connection().await
                && redis::cmd("PING").query_async::<String>(&mut connection).await.is_ok()
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("Redis did not become ready");
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(port: u16, folder: &TempDir) -> std::io::Result<Child> {
    Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""])
        .args(["--appendonly", "yes", "--appendfsync", "always"])
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
}

#[expect(clippy::print_stderr, reason = "what is not run must be seen")]
fn not_run(problem: &str) {
    eprintln!("NOT RUN: redis-server cannot be started here: {problem}");
}
