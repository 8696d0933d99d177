//! One contender under load: rooms of ten, rooms of a hundred, a flood; and idle, on the scales.

use std::time::Duration;

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

/// What one load cost.
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

/// One run of a contender.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measured {
    pub(crate) tens: Load,
    pub(crate) hundreds: Load,
    pub(crate) flood: Load,
    pub(crate) lost: u64,
    pub(crate) disordered: u64,
    pub(crate) leaked: u64,
    pub(crate) closed: usize,
}

/// Load that is not measured yet: caches and queues fill.
const WARM_SECONDS: f64 = 0.5;

/// Members of a room of a hundred that flood it.
const FLOODERS_PER_ROOM: usize = 4;

/// Between the last join and a look at the memory.
const SETTLE: Duration = Duration::from_secs(3);

/// All loads, one after the other, on one start of the server.
pub(crate) async fn play(contender: &Contender, size: Size) -> Outcome<Measured> {
    let process = Process::start(contender).await?;
    let crowd = Crowd::connect(contender.speech, process.address, size.connections, &ROOM_SIZES).await?;
    let mut faults = [0; 3];
    let [ten, hundred] = ROOM_SIZES;
    // Ten thousand deliveries a second for a thousand connections, then fifty thousand.
    let tens = paced(&process, &crowd, ten, size.connections as f64, size.seconds, &mut faults).await?;
    let hundreds = paced(&process, &crowd, hundred, size.connections as f64 / 2.0, size.seconds, &mut faults).await?;
    let flood = flood(&process, &crowd, hundred, size.seconds, &mut faults).await?;
    let [lost, disordered, leaked] = faults;
    Ok(Measured { tens, hundreds, flood, lost, disordered, leaked, closed: crowd.closed() })
}

async fn paced(
    process: &Process,
    crowd: &Crowd,
    room_size: usize,
    rate: f64,
    seconds: f64,
    faults: &mut [u64; 3],
) -> Outcome<Load> {
    crowd.begin(room_size);
    crowd.pace(rate, WARM_SECONDS).await;
    crowd.forget_latencies();
    let watch = Watch::start(process, crowd)?;
    crowd.pace(rate, seconds).await;
    let load = watch.stop(process, crowd, seconds)?;
    conclude(crowd, faults).await;
    Ok(load)
}

async fn flood(
    process: &Process,
    crowd: &Crowd,
    room_size: usize,
    seconds: f64,
    faults: &mut [u64; 3],
) -> Outcome<Load> {
    crowd.begin(room_size);
    crowd.flood(FLOODERS_PER_ROOM);
    tokio::time::sleep(Duration::from_secs_f64(WARM_SECONDS)).await;
    crowd.forget_latencies();
    let watch = Watch::start(process, crowd)?;
    tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
    let load = watch.stop(process, crowd, seconds)?;
    conclude(crowd, faults).await;
    Ok(load)
}

async fn conclude(crowd: &Crowd, [lost, disordered, leaked]: &mut [u64; 3]) {
    *lost += crowd.stop().await;
    *disordered += crowd.counts().disordered;
    *leaked += crowd.counts().leaked;
}

/// Figures at the beginning of a measurement.
struct Watch {
    server: Duration,
    crowd: Duration,
    received: u64,
    bytes: u64,
}

impl Watch {
    fn start(process: &Process, crowd: &Crowd) -> Outcome<Self> {
        let counts = crowd.counts();
        let (server, generator) = (process.cpu()?, cpu_of(std::process::id())?);
        Ok(Self { server, crowd: generator, received: counts.received, bytes: counts.bytes })
    }

    fn stop(self, process: &Process, crowd: &Crowd, seconds: f64) -> Outcome<Load> {
        let counts = crowd.counts();
        let (server, generator) =
            (process.cpu()?.saturating_sub(self.server), cpu_of(std::process::id())?.saturating_sub(self.crowd));
        let received = (counts.received - self.received) as f64;
        if received == 0.0 {
            return Err("nothing was delivered".into());
        }
        Ok(Load {
            server_us: server.as_secs_f64() * 1e6 / received,
            crowd_us: generator.as_secs_f64() * 1e6 / received,
            per_second: received / seconds,
            bytes: (counts.bytes - self.bytes) as f64 / received,
            p50_us: crowd.latency_us(0.5),
            p99_us: crowd.latency_us(0.99),
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
