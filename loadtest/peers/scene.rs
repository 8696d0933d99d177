//! One contender under load, a turn at a time: rooms of ten, rooms of a hundred, a flood; and idle, on the scales.

use std::time::{Duration, Instant};

use crate::{
    Outcome,
    contender::Contender,
    crowd::Crowd,
    process::{Process, cpu_of},
    speech::ROOM_SIZES,
};

/// How much load.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub(crate) connections: usize,
    pub(crate) seconds: f64,
}

/// What a load is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// Everybody in turn sends to a room of this size, so often in a second for each connection.
    Paced { room_size: usize, messages: f64 },
    /// Some in each room send as fast as they hear themselves.
    Flood { room_size: usize },
}

/// The loads in the order of the table: ten thousand deliveries a second for a thousand connections, fifty thousand, and as many as go.
pub(crate) const KINDS: [Kind; 3] = [
    Kind::Paced { room_size: ROOM_SIZES[0], messages: 1.0 },
    Kind::Paced { room_size: ROOM_SIZES[1], messages: 0.5 },
    Kind::Flood { room_size: ROOM_SIZES[1] },
];

/// What one turn of a load cost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    /// Microseconds of the server's processor time per delivery.
    pub(crate) server_us: f64,
    /// The same of the crowd.
    pub(crate) crowd_us: f64,
    pub(crate) per_second: f64,
    pub(crate) bytes: f64,
    pub(crate) p50_us: u64,
    pub(crate) p99_us: u64,
}

/// What should never be: counts over a round.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Faults {
    pub(crate) lost: u64,
    pub(crate) disordered: u64,
    pub(crate) leaked: u64,
    /// Connections that the server closed.
    pub(crate) closed: usize,
}

/// The contenders take turns of this length: what else happens on the machine in these seconds happens to all of them.
const TURN_SECONDS: f64 = 0.5;

/// Load that is not measured yet at the beginning of a turn: caches and queues fill.
const WARM_SECONDS: f64 = 0.2;

/// Members of a room of a hundred that flood it.
const FLOODERS_PER_ROOM: usize = 4;

/// Between the last join and a look at the memory.
const SETTLE: Duration = Duration::from_secs(3);

/// So many turns make the seconds that are to be measured.
pub(crate) fn turns(size: Size) -> usize {
    (size.seconds / TURN_SECONDS).ceil().max(1.0) as usize
}

/// A contender that runs, and its crowd.
pub(crate) struct Scene {
    contender: Contender,
    connections: usize,
    process: Process,
    crowd: Crowd,
    faults: Faults,
}

impl Scene {
    pub(crate) async fn set(contender: &Contender, connections: usize) -> Outcome<Self> {
        let (process, crowd) = start(contender, connections).await?;
        Ok(Self { contender: contender.clone(), connections, process, crowd, faults: Faults::default() })
    }

    /// Goes on with a fresh process and a fresh crowd.
    pub(crate) async fn set_anew(&mut self) -> Outcome<()> {
        (self.process, self.crowd) = start(&self.contender, self.connections).await?;
        Ok(())
    }

    /// One turn of a load.
    pub(crate) async fn play(&mut self, kind: Kind) -> Outcome<Load> {
        let (crowd, process) = (&self.crowd, &self.process);
        let load = match kind {
            Kind::Paced { room_size, messages } => {
                let rate = crowd.len() as f64 * messages;
                crowd.begin(room_size);
                crowd.pace(rate, WARM_SECONDS).await;
                let watch = Watch::start(process, crowd)?;
                crowd.pace(rate, TURN_SECONDS).await;
                watch.stop(process, crowd)?
            }
            Kind::Flood { room_size } => {
                crowd.begin(room_size);
                crowd.flood(FLOODERS_PER_ROOM);
                tokio::time::sleep(Duration::from_secs_f64(WARM_SECONDS)).await;
                let watch = Watch::start(process, crowd)?;
                tokio::time::sleep(Duration::from_secs_f64(TURN_SECONDS)).await;
                watch.stop(process, crowd)?
            }
        };
        self.faults.lost += crowd.stop().await;
        self.faults.disordered += crowd.counts().disordered;
        self.faults.leaked += crowd.counts().leaked;
        Ok(load)
    }

    pub(crate) fn faults(&self) -> Faults {
        Faults { closed: self.crowd.closed(), ..self.faults }
    }
}

/// Starts the server and lets everybody into the rooms.
async fn start(contender: &Contender, connections: usize) -> Outcome<(Process, Crowd)> {
    let process = Process::start(contender).await?;
    let crowd = Crowd::connect(contender.speech, process.address, connections, &ROOM_SIZES).await?;
    Ok((process, crowd))
}

/// Figures at the beginning of a measurement.
struct Watch {
    since: Instant,
    server: Duration,
    crowd: Duration,
    received: u64,
    bytes: u64,
}

impl Watch {
    fn start(process: &Process, crowd: &Crowd) -> Outcome<Self> {
        crowd.forget_latencies();
        let counts = crowd.counts();
        let (server, generator) = (process.cpu()?, cpu_of(std::process::id())?);
        Ok(Self { since: Instant::now(), server, crowd: generator, received: counts.received, bytes: counts.bytes })
    }

    fn stop(self, process: &Process, crowd: &Crowd) -> Outcome<Load> {
        let counts = crowd.counts();
        let server = process.cpu()?.saturating_sub(self.server);
        let generator = cpu_of(std::process::id())?.saturating_sub(self.crowd);
        let received = (counts.received - self.received) as f64;
        if received == 0.0 {
            return Err("nothing was delivered".into());
        }
        let latency = |quantile| crowd.latencies().value_at_quantile(quantile);
        Ok(Load {
            server_us: server.as_secs_f64() * 1e6 / received,
            crowd_us: generator.as_secs_f64() * 1e6 / received,
            per_second: received / self.since.elapsed().as_secs_f64(),
            bytes: (counts.bytes - self.bytes) as f64 / received,
            p50_us: latency(0.5),
            p99_us: latency(0.99),
        })
    }
}

/// Bytes of resident memory per idle connection, each in its room of ten.
pub(crate) async fn weigh(contender: &Contender, connections: usize) -> Outcome<f64> {
    let process = Process::start(contender).await?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let before = process.resident_bytes()?;
    let crowd = Crowd::connect(contender.speech, process.address, connections, &ROOM_SIZES[..1]).await?;
    tokio::time::sleep(SETTLE).await;
    let after = process.resident_bytes()?;
    if crowd.closed() > 0 {
        return Err(format!("{} connections were closed", crowd.closed()).into());
    }
    Ok(after.saturating_sub(before) as f64 / connections as f64)
}
