//! Events appended to a file, one JSON object per line: a notification service (or a person with `tail -f`) reads along.

use std::path::Path;

use futures_util::future::BoxFuture;
use tokio::{
    fs::{File, OpenOptions},
    io::AsyncWriteExt,
    sync::Mutex,
};

use super::{EventSink, MessageSent, NotTaken};

/// Appends to one file. A line is handed to the operating system before the event counts as taken: it survives the death of this
/// process, not of the machine.
#[derive(Debug)]
pub struct JsonLines {
    file: Mutex<File>,
    wire: fn(&MessageSent) -> String,
}

impl JsonLines {
    /// Opens the file for appending; makes it if it is not there. `wire` writes an event as JSON without a line end, as its dialect
    /// documents it.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub async fn open(path: &Path, wire: fn(&MessageSent) -> String) -> std::io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path).await?;
        Ok(Self { file: Mutex::new(file), wire })
    }
}

impl EventSink for JsonLines {
    fn offer<'a>(&'a self, event: &'a MessageSent) -> BoxFuture<'a, Result<(), NotTaken>> {
        Box::pin(async move {
            let mut line = (self.wire)(event);
            line.push('\n');
            let mut file = self.file.lock().await;
            let written = async {
                file.write_all(line.as_bytes()).await?;
                file.flush().await
            };
            written.await.map_err(|problem| NotTaken(problem.to_string()))
        })
    }

    fn technology(&self) -> &'static str {
        "file"
    }
}
