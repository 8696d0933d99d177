//! Events in a topic of Kafka, keyed by their room, so that those of one room stay in order.

use std::{collections::BTreeMap, fmt, time::Duration};

use futures_util::future::BoxFuture;
use rskafka::{
    BackoffConfig,
    chrono::{DateTime, Utc},
    client::{
        Client, ClientBuilder,
        error::{Error, ProtocolError},
        partition::{Compression, OffsetAt, PartitionClient, UnknownTopicHandling},
    },
    record::Record,
};
use tokio::sync::Mutex;

use super::{EventSink, MessageSent, NotTaken};

/// Of a topic that we make: as many partitions and copies as the cluster's administrator chose for new ones.
const BROKERS_DEFAULT: i16 = -1;

/// What is sent in one go: below the megabyte that a broker takes by default, whatever the records' own overhead.
const BATCH_BYTES_MAX: usize = 500_000;

/// How often, and how far apart, it is looked whether a new topic is known to the broker that was asked: mostly it is at once.
const LOOKS_MAX: u32 = 50;
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// Publishes to one topic.
pub struct KafkaEvents {
    brokers: Vec<String>,
    topic: String,
    timeout: Duration,
    to_json: fn(&MessageSent) -> String,
    open: Mutex<Option<Vec<PartitionClient>>>,
}

impl fmt::Debug for KafkaEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaEvents")
            .field("brokers", &self.brokers)
            .field("topic", &self.topic)
            .finish_non_exhaustive()
    }
}

impl KafkaEvents {
    /// A sink; `to_json` is the dialect's documented form. Nothing is connected before the first event.
    #[must_use]
    pub fn new(brokers: Vec<String>, topic: &str, timeout: Duration, to_json: fn(&MessageSent) -> String) -> Self {
        Self { brokers, topic: topic.to_owned(), timeout, to_json, open: Mutex::default() }
    }

    /// One client per partition; the topic is made if it is not there.
    async fn open(&self) -> Result<Vec<PartitionClient>, Error> {
        let patience = BackoffConfig { deadline: Some(self.timeout), ..BackoffConfig::default() };
        let builder = ClientBuilder::new(self.brokers.clone()).client_id("chatwright").backoff_config(patience);
        let client = builder.build().await?;
        let partitions = match self.partitions(&client).await? {
            Some(partitions) => partitions,
            None => {
                let timeout_ms = i32::try_from(self.timeout.as_millis()).unwrap_or(i32::MAX);
                let controller = client.controller_client()?;
                let made = controller.create_topic(&self.topic, BROKERS_DEFAULT.into(), BROKERS_DEFAULT, timeout_ms);
                match made.await {
                    Ok(()) => {}
                    // Another instance was first.
                    Err(Error::ServerError { protocol_error: ProtocolError::TopicAlreadyExists, .. }) => {}
                    Err(problem) => return Err(problem),
                }
                self.appeared(&client).await?
            }
        };
        let mut clients = Vec::with_capacity(partitions.len());
        for partition in partitions {
            clients.push(client.partition_client(&self.topic, partition, UnknownTopicHandling::Error).await?);
        }
        Ok(clients)
    }

    async fn partitions(&self, client: &Client) -> Result<Option<Vec<i32>>, Error> {
        let topics = client.list_topics().await?;
        Ok(topics
            .into_iter()
            .find(|topic| topic.name == self.topic)
            .map(|topic| topic.partitions.into_iter().collect()))
    }

    /// The partitions of a topic that was just made, which brokers answer before all of them know it; none if that takes too long.
    async fn appeared(&self, client: &Client) -> Result<Vec<i32>, Error> {
        for _ in 0..LOOKS_MAX {
            if let Some(partitions) = self.partitions(client).await? {
                return Ok(partitions);
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
        Ok(Vec::new())
    }

    fn record(&self, event: &MessageSent) -> Record {
        Record {
            key: Some(event.room.as_str().as_bytes().to_vec()),
            value: Some((self.to_json)(event).into_bytes()),
            headers: BTreeMap::new(),
            timestamp: instant(event.sent_at_ms),
        }
    }

    /// Publishes records of one partition, of so many.
    async fn publish(&self, records: Vec<Record>, (index, of): (Option<usize>, usize)) -> Result<(), NotTaken> {
        let publish = async |partitions: &[PartitionClient]| {
            let partition = index.filter(|_| partitions.len() == of).and_then(|index| partitions.get(index));
            let partition = partition.ok_or_else(|| format!("the topic {} has no such partition", self.topic))?;
            let produced = partition.produce(records, Compression::NoCompression).await;
            produced.map(|_| ()).map_err(|problem| problem.to_string())
        };
        self.at_topic(publish).await
    }

    /// Publishes partition by partition, in as few batches as it fits in, up to the first that is not taken.
    async fn publish_all(&self, events: &[&MessageSent], taken: &mut [bool]) -> Result<(), NotTaken> {
        let partitions = self.at_topic(async |partitions| Ok(partitions.len())).await?;
        let mut records: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (place, event) in events.iter().enumerate() {
            let partition = partition_of(event.room.as_str().as_bytes(), partitions);
            records.entry(partition).or_default().push((place, self.record(event)));
        }
        for (partition, records) in records {
            for batch in batches(records) {
                let (places, records): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
                self.publish(records, (partition, partitions)).await?;
                places.into_iter().for_each(|place| taken[place] = true);
            }
        }
        Ok(())
    }
}

/// Records in the same order, as many together as may be sent at once; a larger one alone.
fn batches(records: Vec<(usize, Record)>) -> Vec<Vec<(usize, Record)>> {
    let mut batches: Vec<Vec<_>> = Vec::new();
    let mut bytes = 0;
    for (place, record) in records {
        let size = record.approximate_size();
        match batches.last_mut() {
            Some(batch) if bytes + size <= BATCH_BYTES_MAX => {
                bytes += size;
                batch.push((place, record));
            }
            Some(_) | None => {
                bytes = size;
                batches.push(vec![(place, record)]);
            }
        }
    }
    batches
}

impl KafkaEvents {
    /// Does something with the open topic, opening it first, within the time limit. What fails is opened anew the next time: a broker that
    /// came back may have other partitions elsewhere.
    async fn at_topic<T>(&self, act: impl AsyncFnOnce(&[PartitionClient]) -> Result<T, String>) -> Result<T, NotTaken> {
        // One after the other: the order of a room's events must stay.
        let mut open = self.open.lock().await;
        let acting = async {
            if open.as_ref().is_none_or(Vec::is_empty) {
                *open = Some(self.open().await.map_err(|problem| problem.to_string())?);
            }
            act(open.as_deref().unwrap_or_default()).await
        };
        let done = tokio::time::timeout(self.timeout, acting).await;
        let done = done.unwrap_or_else(|_| Err("no answer in time".to_owned()));
        if done.is_err() {
            *open = None;
        }
        done.map_err(|problem| NotTaken(format!("Kafka: {problem}")))
    }
}

impl EventSink for KafkaEvents {
    fn offer<'a>(&'a self, event: &'a MessageSent) -> BoxFuture<'a, Result<(), NotTaken>> {
        Box::pin(async move { self.publish_all(&[event], &mut [false]).await })
    }

    fn offer_all<'a>(&'a self, events: &'a [&'a MessageSent]) -> BoxFuture<'a, Vec<Result<(), NotTaken>>> {
        Box::pin(async move {
            let mut taken = vec![false; events.len()];
            let all = self.publish_all(events, &mut taken).await;
            taken.into_iter().map(|taken| if taken { Ok(()) } else { all.clone() }).collect()
        })
    }

    /// Opens the topic, and makes it if it is not there: whoever waits for its first event finds it.
    fn ping(&self) -> BoxFuture<'_, Result<(), NotTaken>> {
        Box::pin(self.at_topic(async |partitions| {
            let first = partitions.first().ok_or("the topic has no partition yet")?;
            first.get_offset(OffsetAt::Latest).await.map(|_| ()).map_err(|problem| problem.to_string())
        }))
    }

    fn technology(&self) -> &'static str {
        "kafka"
    }
}

fn instant(unix_ms: u64) -> DateTime<Utc> {
    i64::try_from(unix_ms).ok().and_then(DateTime::from_timestamp_millis).unwrap_or_default()
}

/// The partition that every client of Kafka's own chooses for a key, so that other producers' events of a room come in one order with ours.
fn partition_of(key: &[u8], partitions: usize) -> Option<usize> {
    let hash = usize::try_from(murmur2(key) & 0x7fff_ffff).ok()?;
    hash.checked_rem(partitions)
}

/// Murmur2 with Kafka's seed.
fn murmur2(data: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const MIX: u32 = 0x5bd1_e995;
    let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
    let mut hash = SEED ^ length;
    let mut words = data.chunks_exact(4);
    for word in &mut words {
        let mut mixed = u32::from_le_bytes([word[0], word[1], word[2], word[3]]).wrapping_mul(MIX);
        mixed ^= mixed >> 24;
        hash = hash.wrapping_mul(MIX) ^ mixed.wrapping_mul(MIX);
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        for (index, byte) in rest.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * index);
        }
        hash = hash.wrapping_mul(MIX);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(MIX);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_hash_as_with_kafkas_own_clients() {
        // The pairs of Apache Kafka's own test of its hash.
        let pairs: [(&str, i32); 6] = [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ];
        for (key, hash) in pairs {
            assert_eq!(murmur2(key.as_bytes()).cast_signed(), hash, "{key}");
        }
    }

    #[test]
    fn what_is_sent_at_once_has_a_bound_and_stays_in_order() {
        let record = |bytes| Record {
            key: None,
            value: Some(vec![0; bytes]),
            headers: BTreeMap::new(),
            timestamp: DateTime::UNIX_EPOCH,
        };
        let sizes = [100, 300_000, 300_000, 600_000, 100];
        let records = sizes.into_iter().map(record).enumerate().collect();
        let places: Vec<Vec<usize>> =
            batches(records).into_iter().map(|batch| batch.into_iter().map(|(place, _)| place).collect()).collect();
        assert_eq!(places, [vec![0, 1], vec![2], vec![3], vec![4]]);
    }

    #[test]
    fn every_key_has_a_partition_and_a_topic_without_partitions_has_none() {
        assert_eq!(partition_of(b"room", 0), None);
        assert!((1..20).all(|partitions| partition_of(b"room", partitions).is_some_and(|index| index < partitions)));
    }
}
