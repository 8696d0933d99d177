//! `chatwright record`: a proxy before a server; what passes through it is written down as a case to edit.

use std::time::Duration;

use chatwright_conformance::{
    dialect::Dialect,
    record::Recording,
    suite::Suite,
    target::{Target, TargetFile},
};

use crate::{
    args::{Global, RecordArgs},
    check,
    exit::{Outcome, UseError},
    fixtures, terminal,
};

/// What the case is said to prove, until its reader says it better.
const TITLE: &str = "What was recorded.";

/// How often it is looked whether all sessions are over.
const LOOK: Duration = Duration::from_millis(100);

/// After the last session's end, what is still on its way is waited for so long.
const LAST_WORDS: Duration = Duration::from_millis(300);

pub(crate) async fn run(global: &Global, args: RecordArgs) -> Result<Outcome, UseError> {
    let suite = fixtures::suite(global)?;
    let file = file(&args)?;
    let dialect = fixtures::dialect(&suite, &file.dialect)?;
    let clause = args.clause.clone().map_or_else(|| first_clause(&suite, dialect), Ok)?;
    let target =
        Target::start(&file, Default::default()).await.map_err(|problem| UseError::new(problem.to_string()))?;
    let url = target.instance(1).map(|instance| instance.main().to_owned()).unwrap_or_default();
    let recording = Recording::start(&url, args.listen)
        .await
        .map_err(|problem| UseError::new(format!("failed to listen on {} before {url}: {problem}", args.listen)))?;
    let until = match args.sessions {
        Some(count) => format!("until {count} sessions have come and gone, or Ctrl-C"),
        None => "until Ctrl-C".to_owned(),
    };
    terminal::note(&format!("recording at {} what goes to {url}, {until}", recording.url()));
    tokio::select! {
        () = over(&recording, args.sessions) => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    let text = recording.case(dialect, TITLE, &clause);
    target.stop().await;
    let (sessions, _) = recording.sessions();
    fixtures::write(&args.output, &text)?;
    terminal::note(&format!(
        "{sessions} sessions in {}; play it: chatwright check {} --cases {}",
        args.output.display(),
        if args.target.contains("://") {
            format!("--url {} --dialect {}", args.target, dialect.name)
        } else {
            format!("--target {}", args.target)
        },
        args.output.display()
    ));
    Ok(if sessions > 0 { Outcome::Pass } else { Outcome::Inconclusive })
}

fn file(args: &RecordArgs) -> Result<TargetFile, UseError> {
    if args.target.contains("://") {
        let dialect = args.dialect.as_deref().unwrap_or("rooms");
        return check::running(&args.target, dialect, None);
    }
    TargetFile::load(std::path::Path::new(&args.target)).map_err(|problem| UseError::new(problem.to_string()))
}

fn first_clause(suite: &Suite, dialect: &Dialect) -> Result<String, UseError> {
    let spec = suite.specs.get(&dialect.name).and_then(|spec| spec.clauses.first());
    spec.map(|clause| clause.id.0.clone())
        .ok_or_else(|| UseError::new(format!("the SPEC of {} has no clause; name one with --clause", dialect.name)))
}

/// Until so many sessions have come, and all are over; without a number: never.
async fn over(recording: &Recording, sessions: Option<usize>) {
    let Some(wanted) = sessions else { return std::future::pending().await };
    loop {
        let (begun, ended) = recording.sessions();
        if begun >= wanted && ended == begun {
            return tokio::time::sleep(LAST_WORDS).await;
        }
        tokio::time::sleep(LOOK).await;
    }
}
