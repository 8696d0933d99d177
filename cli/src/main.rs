//! The binary `chatwright`: arguments -> plain configuration of a library -> run -> exit code.

mod args;
mod backends;
mod chat;
mod check;
mod exit;
mod fixtures;
mod load;
mod logging;
mod progress;
mod record;
mod reference;
mod seed;
mod serve;
mod sim;
mod terminal;
mod tokens;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use tokio::runtime::{Builder, Runtime};

use crate::{
    args::{Cli, Command},
    exit::Outcome,
};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let help = !error.use_stderr();
            // Help and version are answers, anything else is wrong use.
            let shown = error.print();
            return if help && shown.is_ok() { Outcome::Pass.into() } else { Outcome::WrongUse.into() };
        }
    };
    if !matches!(cli.command, Command::Serve(_)) {
        logging::start(&cli.global); // a server's configuration says how it logs
    }
    let runtime = match runtime(&cli.command) {
        Ok(runtime) => runtime,
        Err(error) => return exit::fail(&format!("failed to start the async runtime: {error}")),
    };
    let outcome = runtime.block_on(dispatch(cli));
    // A bounded goodbye: blocking reads of the terminal must not hold the process.
    runtime.shutdown_timeout(std::time::Duration::from_millis(200));
    match outcome {
        Ok(outcome) => outcome.into(),
        Err(error) => exit::fail(&error.to_string()),
    }
}

/// A server with one core to itself has one thread: what is handed from task to task there costs less.
fn runtime(command: &Command) -> std::io::Result<Runtime> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let is_alone = cores == 1 && matches!(command, Command::Serve(_));
    let mut builder = if is_alone { Builder::new_current_thread() } else { Builder::new_multi_thread() };
    builder.enable_all().build()
}

async fn dispatch(cli: Cli) -> Result<Outcome, exit::UseError> {
    match cli.command {
        Command::Serve(args) => serve::run(&cli.global, args).await,
        Command::Check(args) => check::run(&cli.global, args).await,
        Command::Sim(args) => sim::run(&cli.global, args).await,
        Command::Load(args) => load::run(&cli.global, args).await,
        Command::Chat(args) => chat::run(&cli.global, args).await,
        Command::Token(args) => tokens::run(&cli.global, &args),
        Command::Table(args) => check::table(&cli.global, args).await,
        Command::Record(args) => record::run(&cli.global, args).await,
        Command::Cases(args) => check::cases(&cli.global, &args),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "chatwright", &mut std::io::stdout());
            Ok(Outcome::Pass)
        }
    }
}
