//! How late the judge itself is while it judges: a round trip on the loopback interface through its own tasks, again and again, and what the
//! system says about how busy the machine is.

use std::{
    collections::VecDeque,
    io,
    net::Ipv4Addr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::Instant,
};

use crate::{
    case::clipped,
    clocks::EXCUSED_MAX,
    outcome::{Failure, Lateness},
    target::show_duration,
};

/// A judge that is later than this sees deadlines missed that were kept: what fails then is played again, alone.
const LAG_MAX: Duration = EXCUSED_MAX;

/// How often a round trip is made: often enough that each case meets some, seldom enough to cost nothing.
const EVERY: Duration = Duration::from_millis(25);

/// Round trips that are remembered: those of several minutes, and no case lasts longer.
const TRIPS_MAX: usize = 20_000;

/// Where Linux says how long tasks waited for a processor, and the share (in per cent of ten seconds) above which the machine is busy.
const PRESSURE: &str = "/proc/pressure/cpu";
const BUSY_PERCENT: f64 = 40.0;

/// Why a failure may be the judge's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// It was so late.
    Late(Duration),
    /// The machine was busy. A failure by time alone then may be the judge's or the target's; and of cases played together any failure may
    /// be that something came late, and something else before it.
    Busy,
}

impl Doubt {
    /// Whether there is any about this failure.
    pub(crate) fn of(failure: &Failure, late: Lateness, together: bool) -> Option<Self> {
        match late.worst() {
            late if late > LAG_MAX => Some(Self::Late(late)),
            _ => ((failure.timed || together) && is_machine_busy()).then_some(Self::Busy),
        }
    }

    /// What happened, for the report of a case that was played again.
    pub(crate) fn story(self, failure: Option<&Failure>) -> String {
        let place = failure.map_or_else(String::new, |failure| {
            format!("line {} failed ({}): got {}", failure.line, failure.clause.0, clipped(&failure.got))
        });
        match self {
            Self::Late(late) => format!("{place}, while the judge was {} late", show_duration(late)),
            Self::Busy => format!("{place}, while the machine was busy"),
        }
    }
}

type Trips = Arc<Mutex<VecDeque<(Instant, Duration)>>>;

/// Measures as long as it lives.
pub(crate) struct Metronome {
    trips: Trips,
    task: JoinHandle<()>,
}

impl Metronome {
    pub(crate) fn start() -> Self {
        let trips = Trips::default();
        let seen = Arc::clone(&trips);
        let task = tokio::spawn(async move {
            // Without a loopback interface there is nothing to measure, and nothing to judge either.
            let _ = beat(&seen).await;
        });
        Self { trips, task }
    }

    /// The longest round trip that ended since then.
    pub(crate) fn worst_since(&self, since: Instant) -> Duration {
        let trips = self.trips.lock().unwrap_or_else(PoisonError::into_inner);
        trips.iter().rev().take_while(|(at, _)| *at >= since).map(|(_, trip)| *trip).max().unwrap_or_default()
    }
}

impl Drop for Metronome {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn beat(trips: &Trips) -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let (mut near, (far, _)) = tokio::try_join!(TcpStream::connect(address), listener.accept())?;
    near.set_nodelay(true)?;
    let (mut read, mut write) = far.into_split();
    let echo = tokio::spawn(async move { tokio::io::copy(&mut read, &mut write).await.map(drop) });
    loop {
        tokio::time::sleep(EVERY).await;
        let began = Instant::now();
        near.write_all(b"?").await?;
        near.read_exact(&mut [0]).await?;
        let mut trips = trips.lock().unwrap_or_else(PoisonError::into_inner);
        if trips.len() >= TRIPS_MAX {
            trips.pop_front();
        }
        trips.push_back((Instant::now(), began.elapsed()));
        if echo.is_finished() {
            return Ok(());
        }
    }
}

/// Whether the system says that tasks have to wait for a processor. `false` where it says nothing.
fn is_machine_busy() -> bool {
    std::fs::read_to_string(PRESSURE).is_ok_and(|text| pressure(&text).is_some_and(|percent| percent > BUSY_PERCENT))
}

/// `some avg10=12.34 avg60=...`.
fn pressure(text: &str) -> Option<f64> {
    let some = text.lines().find(|line| line.starts_with("some "))?;
    some.split_whitespace().find_map(|word| word.strip_prefix("avg10="))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pressure_of_the_last_ten_seconds_is_read() {
        let text = "some avg10=12.50 avg60=1.00 avg300=0.50 total=1\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n";
        assert_eq!(pressure(text), Some(12.5));
        assert_eq!(pressure("nothing like it"), None);
    }

    #[tokio::test]
    async fn round_trips_are_measured_from_the_start_on() {
        let (began, metronome) = (Instant::now(), Metronome::start());
        while metronome.worst_since(began).is_zero() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(metronome.worst_since(Instant::now() + Duration::from_secs(1)), Duration::ZERO);
    }
}
