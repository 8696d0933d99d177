//! Bare socketioxide, as its documentation shows it: rooms, a broadcast, and nothing else.

use serde_json::{Value, json};
use socketioxide::{
    SocketIo,
    extract::{Data, SocketRef},
};

use crate::Outcome;

/// Packets that may wait for one client: with its default of 128, messages are lost under load while the connection stays.
const PACKETS_WAITING_MAX: usize = 65_536;

pub(crate) async fn serve(port: u16) -> Outcome<()> {
    let (layer, io) = SocketIo::builder().max_buffer_size(PACKETS_WAITING_MAX).build_layer();
    io.ns("/", async |socket: SocketRef| {
        socket.on("join_room", async |socket: SocketRef, Data::<Value>(data)| {
            if let Some(room) = data["roomId"].as_str() {
                socket.join(room.to_owned());
                let _ = socket.emit("message_history", &json!([])); // he may be gone
            }
        });
        socket.on("send_message", async |socket: SocketRef, Data::<Value>(data)| {
            if let Some(room) = data["roomId"].as_str() {
                let delivery = crate::speech::new_message(&data);
                let _ = socket.within(room.to_owned()).emit("new_message", &delivery).await; // some may be gone
            }
        });
    });
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    axum::serve(
        axum::serve::ListenerExt::tap_io(listener, |stream| drop(stream.set_nodelay(true))),
        axum::Router::new().layer(layer),
    )
    .await?;
    Ok(())
}
