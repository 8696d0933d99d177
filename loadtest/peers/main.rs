//! A comparison that anyone can run: this project's server beside others, in the same minutes, under the same load.
//!
//! `compare` starts each contender in turn (`contender.rs`, `floor.rs`, `tungstenite.rs`, `oxide.rs`, `node/`), round after round, lets a
//! crowd of clients talk (`crowd.rs`, `speech.rs`, `scene.rs`) and prints medians of what a delivery cost (`process.rs`, `table.rs`).
//! Figures of different minutes or machines do not compare; the ratio to the floor in the same round does.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it prints a table for people, and how far it is")]

mod contender;
mod crowd;
mod floor;
mod ledger;
mod oxide;
mod process;
mod scene;
mod speech;
mod table;
mod tungstenite;

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use scene::{KINDS, Kind, Load, Scene, Size, turns};
use table::Row;

/// What may go wrong, in words.
type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// Compares chat servers by what a delivery costs them.
#[derive(Debug, Parser)]
struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Alternates the contenders and prints a table
    Compare(Compare),
    /// Is one of the small servers; `compare` starts them
    Serve {
        /// Which: floor, floor-in-rounds, tungstenite or socketioxide
        name: String,
        /// Port on loopback
        port: u16,
    },
}

#[derive(Debug, Parser)]
struct Compare {
    /// How often each contender runs; the table shows medians
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Seconds for which each load is measured
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Connections under load
    #[arg(long, default_value_t = 1000)]
    connections: usize,
    /// Connections for the measurement of memory, made once per contender; 0 leaves it out
    #[arg(long, default_value_t = 5000)]
    idle: usize,
    /// The contenders, comma-separated; left out, all of them
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// The server of this project
    #[arg(long, default_value = "target/release/chatwright", value_name = "PATH")]
    chatwright: PathBuf,
    /// Another build of it, to see what a change costs; may be repeated
    #[arg(long, value_name = "PATH")]
    against: Vec<PathBuf>,
}

fn main() -> Outcome<()> {
    match Args::parse().what {
        What::Serve { name, port } => {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            match name.as_str() {
                "floor" => runtime.block_on(floor::serve(port, floor::Writes::PerDelivery)),
                "floor-in-rounds" => runtime.block_on(floor::serve(port, floor::Writes::PerRound)),
                "tungstenite" => runtime.block_on(tungstenite::serve(port)),
                "socketioxide" => runtime.block_on(oxide::serve(port)),
                _ => {
                    let known = "floor, floor-in-rounds, tungstenite or socketioxide";
                    Err(format!("there is no small server `{name}`: {known}").into())
                }
            }
        }
        What::Compare(compare) => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            tokio::task::LocalSet::new().block_on(&runtime, run(compare))
        }
    }
}

async fn run(compare: Compare) -> Outcome<()> {
    let contenders = contender::chosen(&compare.only, &compare.chatwright, &compare.against)?;
    let size = Size { connections: compare.connections, seconds: compare.seconds };
    process::pin(std::process::id(), process::GENERATOR_CORE);
    let mut rows: Vec<Row> = contenders.into_iter().map(Row::of).collect();
    for round in 1..=compare.rounds {
        play_round(&mut rows, size, &format!("round {round} of {}", compare.rounds)).await;
    }
    for row in rows.iter_mut().filter(|row| compare.idle > 0 && row.failure.is_none()) {
        eprintln!("memory: {}", row.contender.name);
        match in_two_attempts(async || scene::weigh(&row.contender, compare.idle).await).await {
            Ok(bytes) => row.bytes = Some(bytes),
            Err(problem) => row.failure = Some(format!("memory: {problem}")),
        }
    }
    println!("{}", table::text(&rows));
    if !rows.iter().any(Row::is_measured) {
        return Err("nothing could be measured".into());
    }
    Ok(())
}

/// All contenders side by side, one load after the other, in turns. What a contender fails at is tried once more.
async fn play_round(rows: &mut [Row], size: Size, round: &str) {
    let mut scenes = Vec::new();
    for row in rows.iter_mut().filter(|row| row.failure.is_none()) {
        eprintln!("{round}: {} starts", row.contender.name);
        match in_two_attempts(async || Scene::set(&row.contender, size.connections).await).await {
            Ok(scene) => scenes.push((row, scene)),
            Err(problem) => row.failure = Some(format!("{round}: {problem}")),
        }
    }
    let scenes_count = scenes.len();
    for (place, kind) in KINDS.into_iter().enumerate() {
        eprintln!("{round}: load {} of {}", place + 1, KINDS.len());
        for _ in 0..turns(size) {
            scenes.rotate_left(1.min(scenes_count)); // nobody always follows the same other
            for (row, scene) in scenes.iter_mut().filter(|(row, _)| row.failure.is_none()) {
                match play_turn(scene, kind).await {
                    Ok(load) => row.loads[place].push(load),
                    Err(problem) => row.failure = Some(format!("{round}: {problem}")),
                }
            }
        }
    }
    for (row, scene) in scenes {
        row.faults.push(scene.faults());
    }
}

async fn play_turn(scene: &mut Scene, kind: Kind) -> Outcome<Load> {
    let problem = match scene.play(kind).await {
        Ok(load) => return Ok(load),
        Err(problem) => problem,
    };
    eprintln!("it failed and is tried once more: {problem}");
    scene.set_anew().await?;
    scene.play(kind).await
}

/// What comes of an attempt, or of a second one: who fails twice is left out, and the others still compare.
async fn in_two_attempts<T>(attempt: impl AsyncFn() -> Outcome<T>) -> Outcome<T> {
    match attempt().await {
        Ok(measured) => return Ok(measured),
        Err(problem) => eprintln!("it failed and is tried once more: {problem}"),
    }
    attempt().await
}
