//! One child process in a process group of its own. The group dies with us, however we die: a small warden process waits for the
//! end of a pipe that only we hold, and kills the group when we are gone without having said that all is well.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use tokio::{
    io::AsyncWriteExt,
    process::{Child, ChildStdin, ChildStdout, Command},
};

use super::{file::StopSignal, output::Tail};

/// What the warden runs: a line means that the group ended well, the end of its input that we are dead.
const WARDEN_SCRIPT: &str = "read all_is_well || kill -9 \"-$1\"";
/// After SIGKILL a process is gone as soon as the kernel gets to it.
const REAP_TIMEOUT: Duration = Duration::from_secs(5);
/// A stop signal reaches every thread within this, however busy the machine is.
const PAUSE_TIMEOUT: Duration = Duration::from_secs(2);
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// What to run.
#[derive(Debug, Clone)]
pub(super) struct Run {
    pub(super) command: Vec<String>,
    pub(super) env: BTreeMap<String, String>,
    /// Variables that it does not inherit.
    pub(super) without: Vec<String>,
    pub(super) cwd: PathBuf,
}

impl Run {
    /// For messages.
    pub(super) fn show(&self) -> String {
        format!("`{}` in {}", self.command.join(" "), self.cwd.display())
    }
}

/// Where a program is that runs in a folder: one with a slash is found from there, which `Command` leaves open.
pub(super) fn from_folder(program: &str, cwd: &Path) -> io::Result<PathBuf> {
    if program.contains('/') { std::path::absolute(cwd.join(program)) } else { Ok(PathBuf::from(program)) }
}

/// A running child process with everything that it starts itself. Dropped, it is killed.
pub(super) struct ChildProcess {
    child: Child,
    group: Pid,
    warden: Option<(Child, ChildStdin)>,
    pub(super) tail: Tail,
    paused: bool,
}

impl ChildProcess {
    /// Starts it; its output goes to a tail.
    pub(super) fn spawn(run: &Run) -> io::Result<Self> {
        let (process, stdout) = Self::spawn_heard(run)?;
        if let Some(stdout) = stdout {
            tokio::spawn(process.tail.clone().follow(stdout));
        }
        Ok(process)
    }

    /// Starts it; what it prints on its standard output is for the caller, the rest of its output goes to a tail.
    pub(super) fn spawn_heard(run: &Run) -> io::Result<(Self, Option<ChildStdout>)> {
        let (program, arguments) = run.command.split_first().ok_or_else(|| io::Error::other("the command is empty"))?;
        let mut command = Command::new(from_folder(program, &run.cwd)?);
        for name in &run.without {
            command.env_remove(name);
        }
        let mut child = command
            .args(arguments)
            .envs(&run.env)
            .current_dir(&run.cwd)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let group = child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .map(Pid::from_raw)
            .ok_or_else(|| io::Error::other("the process ended at once"))?;
        let tail = Tail::default();
        let stdout = child.stdout.take();
        if let Some(stderr) = child.stderr.take() {
            tokio::spawn(tail.clone().follow(stderr));
        }
        let mut process = Self { child, group, warden: None, tail, paused: false };
        process.warden = Some(Self::spawn_warden(group)?);
        Ok((process, stdout))
    }

    fn spawn_warden(group: Pid) -> io::Result<(Child, ChildStdin)> {
        let mut warden = Command::new("sh")
            .args(["-c", WARDEN_SCRIPT, "chatwright-warden", &group.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Of its own group, so that Ctrl-C in a terminal does not reach it before it has done its work.
            .process_group(0)
            .spawn()?;
        let pipe = warden.stdin.take().ok_or_else(|| io::Error::other("the warden has no input"))?;
        Ok((warden, pipe))
    }

    /// Its process group, which has the number of the process itself.
    pub(super) fn group(&self) -> i32 {
        self.group.as_raw()
    }

    /// The exit code, once it has ended by itself; a signal's number counts as 128 and more, as in a shell.
    pub(super) fn exit_code(&mut self) -> Option<i32> {
        use std::os::unix::process::ExitStatusExt;
        let status = self.child.try_wait().ok().flatten()?;
        status.code().or_else(|| status.signal().map(|signal| 128 + signal))
    }

    /// Waits for its end.
    pub(super) async fn ended(&mut self) -> Option<i32> {
        let _status = self.child.wait().await;
        self.exit_code()
    }

    /// Asks the process (not its children: that is its own business, as under an orchestrator) to stop, waits, then kills what is
    /// left of the group. Returns its exit code, or `None` when it had to be killed.
    pub(super) async fn stop(mut self, signal: StopSignal, patience: Duration) -> Option<i32> {
        self.resume();
        let signal = match signal {
            StopSignal::Sigterm => Signal::SIGTERM,
            StopSignal::Sigint => Signal::SIGINT,
            StopSignal::Sigquit => Signal::SIGQUIT,
            StopSignal::Sighup => Signal::SIGHUP,
        };
        if self.exit_code().is_none() {
            let _gone = nix::sys::signal::kill(self.group, signal);
        }
        let code = tokio::time::timeout(patience, self.ended()).await.ok().flatten();
        self.kill().await;
        code
    }

    /// Kills the group and waits until nobody of it lives: what the process has started dies in its own time, and holds its ports until
    /// then.
    pub(super) async fn kill(mut self) {
        let _gone = killpg(self.group, Signal::SIGKILL);
        let dead = async {
            let _status = self.child.wait().await;
            while lives(self.group) {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        let _late = tokio::time::timeout(REAP_TIMEOUT, dead).await;
        if let Some((mut warden, mut pipe)) = self.warden.take() {
            let _gone = pipe.write_all(b"all is well\n").await;
            drop(pipe);
            let _late = tokio::time::timeout(REAP_TIMEOUT, warden.wait()).await;
        }
    }

    /// Freezes the group; comes back when its leader stands still. A busy kernel takes its time over that.
    pub(super) async fn pause(&mut self) -> io::Result<()> {
        self.paused = true;
        killpg(self.group, Signal::SIGSTOP).map_err(io::Error::from)?;
        let until = tokio::time::Instant::now() + PAUSE_TIMEOUT;
        while self.goes_on() && tokio::time::Instant::now() < until {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        Ok(())
    }

    /// Whether a thread of the leader is not stopped, as far as the system tells.
    fn goes_on(&self) -> bool {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.group));
        threads.into_iter().flatten().flatten().any(|thread| {
            let about = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
            about
                .rsplit(')')
                .next()
                .is_some_and(|rest| matches!(rest.trim_start().chars().next(), Some('R' | 'S' | 'D')))
        })
    }

    /// Lets it go on.
    pub(super) fn resume(&mut self) {
        if std::mem::take(&mut self.paused) {
            let _gone = killpg(self.group, Signal::SIGCONT);
        }
    }
}

/// Whether a process of the group lives. One that is dead and not reaped holds nothing.
fn lives(group: Pid) -> bool {
    if killpg(group, None).is_err() {
        return false; // nobody has this group
    }
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    processes.map(|process| std::fs::read_to_string(process.path().join("stat")).unwrap_or_default()).any(|about| {
        // PID (NAME) STATE PARENT GROUP ...
        let mut fields = about.rsplit(')').next().unwrap_or_default().split_whitespace();
        let is_alive = fields.next().is_some_and(|state| !matches!(state, "Z" | "X"));
        is_alive && fields.nth(1) == Some(group.to_string().as_str())
    })
}

impl Drop for ChildProcess {
    /// Also on a panic. The warden, whose pipe ends here, kills once more, which harms nobody: while it is not reaped, the group's
    /// number belongs to nobody else.
    fn drop(&mut self) {
        if self.warden.is_some() {
            let _gone = killpg(self.group, Signal::SIGKILL);
        }
    }
}
