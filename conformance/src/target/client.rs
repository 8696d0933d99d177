//! A client that is judged: a program that is started for each case, told by its environment where the judge listens, and heard on its
//! standard output.

use std::{io, path::Path, sync::Arc};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader},
    sync::{mpsc, watch},
};

use super::{
    Target, TargetFile,
    child::{ChildProcess, Run},
    output::Tail,
    place::FileError,
};

/// Lines that wait for the player: a client prints one for each thing that it sees.
const LINES_MAX: usize = 4096;
/// A longer line than this tells of a case's events in more detail than a case has.
const LINE_BYTES_MAX: u64 = 1 << 20;

/// How it is started.
pub(super) struct ClientRecipe {
    run: Run,
}

/// What a client has done outside of its connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Said {
    /// A line on its standard output.
    Line(String),
    /// It has ended, with this exit code; `None`: it is not known.
    Exited(Option<i32>),
}

/// A client that runs. Dropped, it is killed with everything that it has started.
pub(crate) struct ClientProgram {
    pub(crate) said: mpsc::Receiver<Said>,
    /// How it has ended, once it has.
    pub(crate) ended: watch::Receiver<Option<String>>,
    tail: Tail,
    listening: tokio::task::AbortHandle,
}

impl ClientRecipe {
    pub(super) fn new(run: Run) -> Self {
        Self { run }
    }
}

impl Target {
    /// Whether this is a client: there is nothing to connect to, it comes to the judge.
    #[must_use]
    pub fn is_client(&self) -> bool {
        self.client.is_some()
    }

    /// Starts the client with these variables beside its own.
    ///
    /// # Errors
    /// Why it does not run; not being a client is one reason.
    pub(crate) fn start_client(&self, variables: Vec<(String, String)>) -> io::Result<ClientProgram> {
        let recipe = self.client.as_ref().ok_or_else(|| io::Error::other("the target is no client"))?;
        let mut run = recipe.run.clone();
        run.env.extend(variables);
        let (mut process, stdout) =
            ChildProcess::spawn_heard(&run).map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", run.show())))?;
        let tail = process.tail.clone();
        let (sink, said) = mpsc::channel(LINES_MAX);
        let (end, ended) = watch::channel(None);
        let others = tail.clone();
        let listening = tokio::spawn(async move {
            if let Some(stdout) = stdout {
                let mut lines = BufReader::new(stdout);
                loop {
                    let mut line = Vec::new();
                    let read = (&mut lines).take(LINE_BYTES_MAX).read_until(b'\n', &mut line).await;
                    if !matches!(read, Ok(count) if count > 0) {
                        break;
                    }
                    let line = String::from_utf8_lossy(&line).trim_end().to_owned();
                    if line.starts_with('{') {
                        // The player is gone: so is what it would have done with the line.
                        let _gone = sink.send(Said::Line(line)).await;
                    } else {
                        others.push(&line);
                    }
                }
            }
            let code = process.ended().await;
            let how = code.map_or_else(|| "it ended".to_owned(), |code| format!("it ended with exit code {code}"));
            end.send_replace(Some(how));
            let _gone = sink.send(Said::Exited(code)).await;
        });
        Ok(ClientProgram { said, ended, tail, listening: listening.abort_handle() })
    }
}

impl ClientProgram {
    /// What it has printed otherwise: for who wants to know why it does not do what it should.
    pub(crate) fn lines(&self) -> Arc<dyn Fn() -> Vec<String> + Send + Sync> {
        let tail = self.tail.clone();
        Arc::new(move || tail.lines())
    }
}

impl Drop for ClientProgram {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

/// How reports name a client that was given by its command.
const COMMAND: &str = "client: ";

fn shown_as(command: &str) -> String {
    format!("{COMMAND}{command}")
}

/// The command of a client that was given by it; `origin` is where a report says that its target comes from.
pub(crate) fn command_of(origin: &str) -> Option<&str> {
    origin.strip_prefix(COMMAND)
}

impl TargetFile {
    /// A client that this command of a shell starts.
    ///
    /// # Errors
    /// When the command is empty.
    pub fn for_client(command: &str) -> Result<Self, FileError> {
        let quoted = |text: &str| toml::Value::String(text.replace('{', "{{").replace('}', "}}")).to_string();
        let shown = Path::new(command.split_whitespace().next().unwrap_or_default());
        if command.trim().is_empty() {
            return Err(FileError::whole(shown, "the command of the client is empty"));
        }
        let text = format!(
            "name = {}\ndialect = \"client\"\n[start]\ncommand = [\"sh\", \"-c\", {}]\n",
            quoted(&shown_as(command)),
            quoted(&format!("exec {command}"))
        );
        // It runs where the user is: paths in the command are meant from there.
        let file = Self::parse(Path::new("client.toml"), &text);
        let file = file.map_err(|e| FileError::whole(Path::new(command), e.problem))?;
        Ok(Self { path: shown_as(command).into(), ..file })
    }
}
