//! Bare tokio-tungstenite: rooms and nothing else, a channel and a writing task per connection, what waits written at once.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes, protocol::WebSocketConfig};

use crate::Outcome;

/// Its default is 128 KiB per connection.
const READ_BUFFER_BYTES: usize = 4096;

type Rooms = Arc<Mutex<HashMap<String, Vec<mpsc::UnboundedSender<Utf8Bytes>>>>>;

pub(crate) async fn serve(port: u16) -> Outcome<()> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let rooms = Rooms::default();
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let rooms = Arc::clone(&rooms);
        tokio::spawn(async move { talk(stream, rooms).await.ok() }); // a client that left is no error
    }
}

async fn talk(stream: TcpStream, rooms: Rooms) -> Result<(), tokio_tungstenite::tungstenite::Error> {
    let config = WebSocketConfig::default().read_buffer_size(READ_BUFFER_BYTES);
    let socket = tokio_tungstenite::accept_async_with_config(stream, Some(config)).await?;
    let (mut sink, mut stream) = socket.split();
    let (sender, mut receiver) = mpsc::unbounded_channel::<Utf8Bytes>();
    tokio::spawn(async move {
        while let Some(text) = receiver.recv().await {
            if sink.feed(Message::Text(text)).await.is_err() {
                return;
            }
            while let Ok(text) = receiver.try_recv() {
                if sink.feed(Message::Text(text)).await.is_err() {
                    return;
                }
            }
            if sink.flush().await.is_err() {
                return;
            }
        }
    });
    while let Some(message) = stream.next().await {
        if let Message::Text(text) = message? {
            act(&text, &sender, &rooms);
        }
    }
    Ok(())
}

fn act(text: &str, sender: &mpsc::UnboundedSender<Utf8Bytes>, rooms: &Rooms) {
    let Ok(frame) = serde_json::from_str::<Value>(text) else { return };
    let Some(room) = frame["roomId"].as_str() else { return };
    let mut rooms = rooms.lock().expect("no code panics while it holds the rooms");
    match frame["type"].as_str() {
        Some("join_room") => {
            rooms.entry(room.to_owned()).or_default().push(sender.clone());
            let _ = sender.send(json!({"type": "joined", "roomId": room}).to_string().into()); // he may be gone
        }
        Some("send_message") => {
            let delivery = crate::speech::new_message(&frame);
            let text = Utf8Bytes::from(json!({"type": "new_message", "data": delivery}).to_string());
            for member in rooms.get(room).into_iter().flatten() {
                let _ = member.send(text.clone()); // he may be gone
            }
        }
        Some(_) | None => {}
    }
}
