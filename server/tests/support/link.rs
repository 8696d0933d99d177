//! A link to a backend that can be slow, and deaf to who subscribes.
#![expect(unreachable_pub, reason = "shared by test binaries, which export nothing")]

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, tcp::OwnedReadHalf},
    sync::{mpsc, watch},
    time::{Instant, sleep_until},
};

/// Answers that wait for their time.
const WAITING_MAX: usize = 1024;
const CHUNK_BYTES: usize = 16 * 1024;

#[derive(Debug, Clone, Copy, Default)]
struct Mood {
    delay: Duration,
    deaf: bool,
}

/// What stands between a server and its backend.
pub struct Link {
    address: SocketAddr,
    mood: watch::Sender<Mood>,
}

impl Link {
    /// Passes on everything to this port of this machine, at once.
    pub async fn to(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (mood, moods) = watch::channel(Mood::default());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(backend) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await else { continue };
                tokio::spawn(pass(client, backend, moods.clone()));
            }
        });
        Self { address, mood }
    }

    /// Where the server finds it.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// From here on each answer comes so much later.
    pub fn delay(&self, delay: Duration) {
        self.mood.send_modify(|mood| mood.delay = delay);
    }

    /// Whether the connections of those who subscribe are cut, old and new.
    pub fn cut_subscribers(&self, deaf: bool) {
        self.mood.send_modify(|mood| mood.deaf = deaf);
    }
}

async fn pass(client: TcpStream, backend: TcpStream, mut mood: watch::Receiver<Mood>) {
    let (mut asked, mut to_client) = client.into_split();
    let (answered, mut to_backend) = backend.into_split();
    let (sender, mut waiting) = mpsc::channel(WAITING_MAX);
    let reading = read_answers(answered, sender, mood.clone());
    let delivering = async {
        while let Some((due, chunk)) = waiting.recv().await {
            sleep_until(due).await;
            if to_client.write_all(&chunk).await.is_err() {
                return;
            }
        }
    };
    let asking = async {
        let (mut chunk, mut subscribes) = (vec![0; CHUNK_BYTES], false);
        loop {
            let count = tokio::select! {
                read = asked.read(&mut chunk) => read.unwrap_or(0),
                changed = mood.changed() => match changed {
                    Ok(()) if subscribes && mood.borrow().deaf => return,
                    Ok(()) => continue,
                    Err(_) => return,
                },
            };
            subscribes |= chunk[..count].windows(9).any(|word| word.eq_ignore_ascii_case(b"subscribe"));
            let is_cut = subscribes && mood.borrow().deaf;
            if count == 0 || is_cut || to_backend.write_all(&chunk[..count]).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = reading => {}
        () = delivering => {}
        () = asking => {}
    }
}

async fn read_answers(
    mut answered: OwnedReadHalf,
    sender: mpsc::Sender<(Instant, Vec<u8>)>,
    mood: watch::Receiver<Mood>,
) {
    let mut chunk = vec![0; CHUNK_BYTES];
    while let Ok(count) = answered.read(&mut chunk).await {
        let due = Instant::now() + mood.borrow().delay;
        if count == 0 || sender.send((due, chunk[..count].to_vec())).await.is_err() {
            return;
        }
    }
}
