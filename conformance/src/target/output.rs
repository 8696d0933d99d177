//! What a child process printed: its last lines, for error messages, and each new line to whoever waits for one.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    sync::watch,
};

/// As much as a probe looks through: what a server prints in the time of one case, and more than a reader wants to see below an error.
const LINES_MAX: usize = 2000;
/// Longer lines are cut: nobody reads them, and a process may print without end.
const LINE_BYTES_MAX: usize = 2000;

/// The last lines of a process.
#[derive(Debug, Clone)]
pub(crate) struct Tail {
    lines: Arc<Mutex<VecDeque<String>>>,
    count: watch::Sender<u64>,
}

impl Default for Tail {
    fn default() -> Self {
        Self { lines: Arc::default(), count: watch::Sender::new(0) }
    }
}

impl Tail {
    /// The kept lines, oldest first.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Changes with every line.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.count.subscribe()
    }

    /// Adds a line.
    pub(crate) fn push(&self, line: &str) {
        let mut end = line.len().min(LINE_BYTES_MAX);
        while !line.is_char_boundary(end) {
            end -= 1;
        }
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == LINES_MAX {
            lines.pop_front();
        }
        lines.push_back(line[..end].to_owned());
        drop(lines);
        self.count.send_modify(|count| *count += 1);
    }

    /// Reads a stream to its end.
    pub(crate) async fn follow(self, stream: impl AsyncRead + Unpin) {
        let mut reader = BufReader::with_capacity(LINE_BYTES_MAX, stream);
        let mut line: Vec<u8> = Vec::new();
        while let Ok(read) = reader.fill_buf().await {
            if read.is_empty() {
                break;
            }
            let (taken, ended) = match read.iter().position(|b| *b == b'\n') {
                Some(at) => (at + 1, true),
                None => (read.len(), false),
            };
            let room = LINE_BYTES_MAX.saturating_sub(line.len());
            line.extend_from_slice(&read[..taken.min(room)]);
            reader.consume(taken);
            if ended {
                self.push(String::from_utf8_lossy(&line).trim_end());
                line.clear();
            }
        }
        if !line.is_empty() {
            self.push(String::from_utf8_lossy(&line).trim_end());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_lines_are_kept_and_long_ones_cut() {
        let tail = Tail::default();
        let mut text: Vec<u8> = (0..LINES_MAX + 5).flat_map(|i| format!("line {i}\n").into_bytes()).collect();
        text.extend_from_slice("é".repeat(LINE_BYTES_MAX).as_bytes());
        tail.clone().follow(&text[..]).await;
        let lines = tail.lines();
        assert_eq!(lines.len(), LINES_MAX);
        assert_eq!(lines[0], "line 6");
        assert!(lines[LINES_MAX - 1].len() <= LINE_BYTES_MAX + 3);
    }
}
