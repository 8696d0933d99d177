//! The port `channels`: texts on named channels, for dialects whose document names the channels that other services share with them.
//!
//! What an instance wants to hear is fixed when it starts: some channels by name, and all that begin alike. It says nothing about what the
//! texts mean; that is in a file per dialect beside this folder.

pub mod memory;
pub mod redis;

use futures_util::future::BoxFuture;
use tokio::sync::mpsc;

use super::BusDown;

/// What an instance listens to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interest {
    /// Channels of exactly these names.
    pub named: &'static [&'static str],
    /// All channels that begin with one of these.
    pub beginning: &'static [&'static str],
}

impl Interest {
    fn covers(&self, channel: &str) -> bool {
        self.named.contains(&channel) || self.beginning.iter().any(|start| channel.starts_with(start))
    }
}

/// What a listener receives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// A text.
    Text {
        /// On which channel.
        channel: String,
        /// As it was published.
        text: String,
    },
    /// Anything may have been missed: the link was away, or the listener was too slow.
    Gap,
}

/// The reading end; each adapter's constructor gives one.
pub type Hearing = mpsc::Receiver<Heard>;

/// Publishes texts, and hears those of an [`Interest`], its own among them.
///
/// Promises of every adapter:
/// - *Order*: texts that one instance publishes on one channel are heard in that order.
/// - *Delivery*: at most once; what is lost after the first connection is followed by [`Heard::Gap`].
/// - *Isolation*: names are exact; no character of an id in them is special.
/// - *Time*: publishing never waits for a listener; what waits to be published is bounded.
pub trait Channels: Send + Sync {
    /// Publishes a text. Queued in order; an error means that nobody may hear it.
    ///
    /// # Errors
    /// [`BusDown`] when too much waits already.
    fn publish(&self, channel: String, text: String) -> Result<(), BusDown>;

    /// Whether texts go out and come in now.
    fn ping(&self) -> BoxFuture<'_, Result<(), BusDown>>;

    /// The name of the technology, for `/health` and logs, e.g. `memory`.
    fn technology(&self) -> &'static str;
}
