//! A server's process: started on a core of its own, and what it has used, as the kernel counts it.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::{Outcome, contender::Contender};

/// Where servers run, and where the crowd does: so that one does not take the other's time.
pub(crate) const SERVER_CORE: usize = 0;
pub(crate) const GENERATOR_CORE: usize = 1;

/// How long a server may take to listen.
const START_MAX: Duration = Duration::from_secs(20);

/// A running server; killed when dropped.
pub(crate) struct Process {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Process {
    pub(crate) async fn start(contender: &Contender) -> Outcome<Self> {
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?; // free a moment ago
        let port = address.port().to_string();
        let (program, arguments) = contender.command.split_first().ok_or("a contender has a command")?;
        let mut command = on_core(SERVER_CORE, program);
        command.args(arguments.iter().map(|argument| argument.replace("{port}", &port)));
        command.envs(contender.environment.iter().copied()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(|problem| format!("{program} does not start: {problem}"))?;
        let started = Instant::now();
        while tokio::net::TcpStream::connect(address).await.is_err() {
            if let Some(status) = child.try_wait()? {
                return Err(format!("{program} ended at once: {status}").into());
            }
            if started.elapsed() > START_MAX {
                return Err(format!("{program} does not listen on {address}").into());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(Self { child, address })
    }

    /// User and system time of all its threads so far.
    pub(crate) fn cpu(&self) -> Outcome<Duration> {
        cpu_of(self.child.id())
    }

    /// Resident memory in bytes.
    pub(crate) fn resident_bytes(&self) -> Outcome<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS in /proc")?;
        let kibibytes: u64 = line.split_whitespace().next().ok_or("no figure in VmRSS")?.parse()?;
        Ok(kibibytes * 1024)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it may have ended by itself
        let _ = self.child.wait();
    }
}

/// Time on a processor, in nanoseconds per thread: `stat` counts in hundredths of a second, too coarse for some seconds of load.
pub(crate) fn cpu_of(process: u32) -> Outcome<Duration> {
    let mut nanoseconds = 0;
    for thread in fs::read_dir(format!("/proc/{process}/task"))?.flatten() {
        let Ok(schedule) = fs::read_to_string(thread.path().join("schedstat")) else { continue }; // a thread that just ended
        nanoseconds += schedule.split_whitespace().next().ok_or("schedstat is empty")?.parse::<u64>()?;
    }
    Ok(Duration::from_nanos(nanoseconds))
}

/// A command that runs on one core from its first moment on, so that what it makes of the number of cores is always the same. Without
/// `taskset` the figures are noisier: the crowd then takes time between two writes, and with it what the server had at hand.
fn on_core(core: usize, program: &str) -> Command {
    if !taskset(&["-c", &core.to_string(), "true"]) {
        return Command::new(program);
    }
    let mut command = Command::new("taskset");
    command.args(["-c", &core.to_string(), program]);
    command
}

/// Puts a process and its threads on one core, if there is that core.
pub(crate) fn pin(process: u32, core: usize) {
    taskset(&["-a", "-c", "-p", &core.to_string(), &process.to_string()]);
}

fn taskset(arguments: &[&str]) -> bool {
    let mut command = Command::new("taskset");
    command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
