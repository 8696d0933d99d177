//! What has to be done once before the first instance starts, such as installing packages; skipped while its result is newer than
//! what it was made from, as `make` does it.

use std::{collections::BTreeMap, fs::File, path::Path, process::Stdio, time::SystemTime};

use tokio::process::Command;

use super::{
    child::from_folder,
    children::show_output,
    file::{StartSpec, TargetFile},
    launch::TargetError,
    output::Tail,
    place::FileError,
};

/// Runs the setup commands in order, unless their result is there already.
pub(super) async fn run(
    file: &TargetFile,
    spec: &StartSpec,
    values: &BTreeMap<String, String>,
) -> Result<(), TargetError> {
    if spec.setup.is_empty() || is_made(spec) {
        return Ok(());
    }
    // Two runs at once would install into the same folder: the second waits, and finds the work done.
    let _lock = lock(&file.path).await;
    if is_made(spec) {
        return Ok(());
    }
    let all = async {
        for command in &spec.setup {
            let words = command.iter().map(|word| word.fill(values)).collect::<Result<Vec<_>, _>>();
            let words = words.map_err(|problem| FileError {
                key: "start.setup".to_owned(),
                ..FileError::whole(&file.path, problem)
            })?;
            step(file, spec, &words).await?;
        }
        Ok(())
    };
    match tokio::time::timeout(spec.setup_timeout, all).await {
        Ok(outcome) => outcome,
        Err(_) => Err(failed(
            file,
            format!("setup did not end within {:?}; raise `setup_timeout` if it needs longer", spec.setup_timeout),
        )),
    }
}

async fn step(file: &TargetFile, spec: &StartSpec, words: &[String]) -> Result<(), TargetError> {
    let shown = format!("setup `{}` in {}", words.join(" "), spec.cwd.display());
    let Some((program, arguments)) = words.split_first() else { return Ok(()) };
    let program = from_folder(program, &spec.cwd).map_err(|e| failed(file, format!("{shown}: {e}")))?;
    let child = Command::new(program)
        .args(arguments)
        .current_dir(&spec.cwd)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn();
    let mut child = child.map_err(|e| {
        failed(file, format!("{shown} could not run: {e}; is it installed, and does the folder exist?"))
    })?;
    let tail = Tail::default();
    let follow = async {
        let stdout = child.stdout.take().map(|stream| tail.clone().follow(stream));
        let stderr = child.stderr.take().map(|stream| tail.clone().follow(stream));
        let both = async {
            tokio::join!(
                async {
                    if let Some(stream) = stdout {
                        stream.await
                    }
                },
                async {
                    if let Some(stream) = stderr {
                        stream.await
                    }
                }
            );
        };
        tokio::join!(child.wait(), both).0
    };
    let status = follow.await.map_err(|e| failed(file, format!("{shown}: {e}")))?;
    if status.success() {
        return Ok(());
    }
    let mut reason = format!("{shown} failed with {status}");
    show_output(&mut reason, &tail.lines()).expect("writing to a string does not fail");
    Err(failed(file, reason))
}

fn failed(file: &TargetFile, reason: String) -> TargetError {
    TargetError::NotStarted { target: file.path.display().to_string(), reason }
}

fn is_made(spec: &StartSpec) -> bool {
    let changed = |path: &Path| path.metadata().and_then(|about| about.modified()).ok();
    let Some(made) = spec.setup_makes.as_deref().and_then(changed) else { return false };
    spec.setup_reads.iter().all(|read| changed(read).is_none_or(|read: SystemTime| read <= made))
}

/// A lock on the target file itself, given back when dropped. A file system without locks is no reason not to start.
async fn lock(path: &Path) -> Option<File> {
    let path = path.to_owned();
    tokio::task::spawn_blocking(move || {
        let file = File::open(path).ok()?;
        file.lock().ok()?;
        Some(file)
    })
    .await
    .ok()
    .flatten()
}
