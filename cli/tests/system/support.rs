//! What tests of the whole system share: the binary, a running server, and honesty about what is missing.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// The secret of servers started here.
pub(crate) const SECRET: &str = "a secret of the tests";

/// The binary, without what the surroundings might tell it.
pub(crate) fn chatwright() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chatwright"));
    command.env("NO_COLOR", "1").env_remove("CHATWRIGHT_SECRET").env_remove("CHATWRIGHT_TOKEN").env_remove("PORT");
    command
}

/// The repository's folder of fixtures.
pub(crate) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures")
}

/// Whether `what` is there. If not it is said loudly, and where everything is required it is a failure.
pub(crate) fn have(what: &str, found: bool) -> bool {
    if !found {
        let required = std::env::var("CHATWRIGHT_REQUIRE_BACKENDS").is_ok_and(|value| value == "1");
        assert!(!required, "{what} is missing, and CHATWRIGHT_REQUIRE_BACKENDS=1 asks for everything");
        #[expect(clippy::print_stdout, reason = "what was not run is said where the test's reader looks")]
        {
            println!("NOT RUN: {what} is missing");
        }
    }
    found
}

/// Node, and the packages of a folder below the fixtures, which are installed on the way.
pub(crate) fn have_node(folder: &Path) -> bool {
    let _alone = SETTING_UP.lock().unwrap_or_else(PoisonError::into_inner);
    let node = succeeds(Command::new("node").arg("--version"));
    let packages = node
        && (folder.join("node_modules").is_dir()
            || succeeds(Command::new("npm").args(["ci", "--no-audit", "--no-fund", "--silent"]).current_dir(folder)));
    have("Node with the packages of the fixtures", packages)
}

/// One set-up at a time: tests of one process share the folders.
static SETTING_UP: Mutex<()> = Mutex::new(());

/// Python, and the packages of a folder below the fixtures in a virtual environment there, which is made on the way.
pub(crate) fn have_python(folder: &Path) -> bool {
    let _alone = SETTING_UP.lock().unwrap_or_else(PoisonError::into_inner);
    let made = folder.join(".venv/made").is_file()
        || succeeds(Command::new("python3").args(["-m", "venv", "--clear", ".venv"]).current_dir(folder))
            && succeeds(
                Command::new(folder.join(".venv/bin/python"))
                    .args(["-m", "pip", "install", "--quiet", "--requirement", "requirements.txt"])
                    .current_dir(folder),
            )
            && std::fs::write(folder.join(".venv/made"), "").is_ok();
    have("Python with the packages of the fixtures", made)
}

/// Java, and the classes and packages of a folder below the fixtures, which Maven makes on the way.
pub(crate) fn have_java(folder: &Path) -> bool {
    let _alone = SETTING_UP.lock().unwrap_or_else(PoisonError::into_inner);
    let java = succeeds(Command::new("java").arg("-version"));
    let made = java
        && (is_newer(&folder.join("target/made"), &folder.join("src/main/java/chatwright/Talk.java"))
            || succeeds(Command::new("mvn").args(["--quiet", "--batch-mode", "process-classes"]).current_dir(folder))
                && std::fs::write(folder.join("target/made"), "").is_ok());
    have("Java and Maven with the packages of the fixtures", made)
}

/// Whether a file is there, and made after the one that it is made of.
fn is_newer(made: &Path, source: &Path) -> bool {
    let modified = |path: &Path| path.metadata().and_then(|data| data.modified());
    modified(made).is_ok_and(|made| modified(source).is_ok_and(|source| made > source))
}

fn succeeds(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// Between two looks at what another process does.
#[expect(clippy::disallowed_methods, reason = "these tests have no runtime that it could block")]
pub(crate) fn pause() {
    std::thread::sleep(Duration::from_millis(20));
}

/// A running reference server, ended when dropped.
pub(crate) struct Served {
    child: Child,
    dialect: String,
    said: serde_json::Value,
    pub(crate) url: String,
    /// Where its page for people is, if it has one.
    pub(crate) page: Option<String>,
}

/// Where a server was: its dialect, and a configuration with the ports of all its listeners.
pub(crate) struct Place {
    dialect: String,
    config: tempfile::NamedTempFile,
}

impl Served {
    /// Starts one of `rooms` on a free port.
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::of("rooms", args)
    }

    /// Starts one of any dialect on free ports.
    pub(crate) fn of(dialect: &str, args: &[&str]) -> Self {
        Self::with(dialect, &[&["--port-base", "0"], args].concat(), &[])
    }

    /// Starts one again where another was.
    pub(crate) fn at(place: &Place) -> Self {
        Self::with(&place.dialect, &["--config", place.config.path().to_str().expect("UTF-8")], &[])
    }

    /// Starts one with these arguments and variables.
    pub(crate) fn with(dialect: &str, args: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut child = chatwright()
            .args(["--json", "serve", "--dialect", dialect, "--host", "127.0.0.1"])
            .args(args)
            .env("JWT_SECRET", SECRET)
            .env("ACCESS_TOKEN_SECRET", SECRET) // as `conversations` calls it
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("piped");
        BufReader::new(stdout).read_line(&mut line).expect("serve says where it is");
        let said: serde_json::Value = serde_json::from_str(&line).expect("one line of JSON");
        let text = |key: &str| said[key].as_str().map(str::to_owned);
        Self { child, dialect: dialect.to_owned(), url: text("url").expect("a url"), page: text("page"), said }
    }

    /// The port of a listener; of the sockets, if it is not named.
    pub(crate) fn port(&self, listener: Option<&str>) -> u16 {
        let url = listener.map_or(&self.said["url"], |name| &self.said["listeners"][name]);
        let port = url.as_str().and_then(|url| url.rsplit_once(':')).map(|(_, port)| port.parse());
        port.and_then(Result::ok).expect("an address with a port")
    }

    /// The number of its process.
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    /// The number of chat connections that it has now, as its `/health` says.
    pub(crate) fn connections(&self) -> u64 {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port(None))).expect("it listens");
        stream.write_all(b"GET /health HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
        let health: serde_json::Value = serde_json::from_str(body).expect("JSON");
        health["connections"].as_u64().expect("a number")
    }

    /// Where it is, to start another one there.
    pub(crate) fn place(&self) -> Place {
        let mut text = format!("[listen]\nport = {}\n", self.port(None));
        for name in self.said["listeners"].as_object().expect("an object").keys() {
            text += &format!("{name}_port = {}\n", self.port(Some(name)));
        }
        let config = tempfile::NamedTempFile::new().expect("a scratch file");
        std::fs::write(config.path(), text).expect("a scratch file");
        Place { dialect: self.dialect.clone(), config }
    }

    /// Asks it to stop, and waits for that.
    pub(crate) fn stop(mut self) -> std::process::ExitStatus {
        let pid = self.child.id().to_string();
        assert!(succeeds(Command::new("kill").args(["-TERM", &pid])), "it takes a signal");
        self.child.wait().expect("it ends")
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A token for a user of such a server.
pub(crate) fn token(user: &str) -> String {
    let output = chatwright().args(["token", "--user", user, "--secret", SECRET]).output().expect("the binary runs");
    assert!(output.status.success());
    text(&output.stdout).trim().to_owned()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Fails with everything that was said, unless the exit code is this one.
#[track_caller]
pub(crate) fn ends_with(output: &Output, code: i32) {
    let (said, noted) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "standard output:\n{said}\nstandard error:\n{noted}");
}
