//! A small server of the dialect `rooms` whose habits a test chooses: what strangers do differently from the reference.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
};

use chatwright_protocol::{
    dialects::{AppPacket, rooms::DIALECT, rooms::wire::MessageJson},
    engine_io,
    socket_io::{Arg, Body, Decoder, Limits, Packet},
    vocabulary::{Audience, Command, Event, Member, Message, MessageId, RoomId, UserId},
};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::AbortHandle,
};
use tokio_tungstenite::{accept_async, tungstenite::Message as WsMessage};

/// What this server does its own way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Habits {
    /// Messages have ids.
    pub(crate) ids: bool,
    /// Messages have sequences.
    pub(crate) sequences: bool,
    /// Events are acknowledged.
    pub(crate) acks: bool,
    /// A join's history is newest first.
    pub(crate) newest_first: bool,
    /// `room_users` comes before `message_history`.
    pub(crate) users_first: bool,
    /// What is sent during a join reaches the joiner before the history that holds it, too.
    pub(crate) live_first: bool,
    /// Messages of a join's history.
    pub(crate) page: usize,
}

/// Everything that a server may leave out is there.
pub(crate) const GENEROUS: Habits = Habits {
    ids: true,
    sequences: true,
    acks: true,
    newest_first: false,
    users_first: false,
    live_first: false,
    page: 50,
};

type Out = mpsc::UnboundedSender<String>;

#[derive(Default)]
struct Room {
    messages: Vec<Message>,
    members: Vec<(usize, UserId, Out)>,
}

#[derive(Default)]
struct State {
    waiting: Vec<(RoomId, UserId, String)>,
    rooms: HashMap<RoomId, Room>,
    running: Vec<AbortHandle>,
    connections: usize,
}

#[derive(Clone)]
pub(crate) struct Stranger {
    habits: Habits,
    state: Arc<Mutex<State>>,
    open: Arc<AtomicBool>,
    pub(crate) url: String,
}

impl Stranger {
    pub(crate) async fn with(habits: Habits) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let server = Self { habits, state: Arc::default(), open: Arc::new(AtomicBool::new(true)), url };
        let accepting = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                if accepting.open.load(Ordering::SeqCst) {
                    let running = tokio::spawn(accepting.clone().converse(stream)).abort_handle();
                    accepting.state().running.push(running);
                }
            }
        });
        server
    }

    /// All connections end, new ones are refused.
    pub(crate) fn cut(&self) {
        self.open.store(false, Ordering::SeqCst);
        let mut state = self.state();
        state.running.drain(..).for_each(|running| running.abort());
        state.rooms.values_mut().for_each(|room| room.members.clear());
    }

    pub(crate) fn mend(&self) {
        self.open.store(true, Ordering::SeqCst);
    }

    /// Says something in a room, as somebody who has no connection.
    pub(crate) fn say(&self, room: &RoomId, text: &str) {
        self.post(room, &UserId::from("alice"), text);
    }

    /// What waits for the store is stored and told.
    pub(crate) fn store(&self) {
        let waiting = std::mem::take(&mut self.state().waiting);
        for (room, user, text) in waiting {
            self.post(&room, &user, &text);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics with it")
    }

    async fn converse(self, mut stream: TcpStream) {
        let mut head = [0; 9];
        while stream.peek(&mut head).await.is_ok_and(|read| read < head.len() && read > 0) {
            tokio::task::yield_now().await;
        }
        if &head == b"GET /api/" {
            // No such route here; the client has gone if this cannot be said.
            let _ = stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
            return;
        }
        let Ok(socket) = accept_async(stream).await else { return };
        let (mut sink, mut source) = socket.split();
        let (out, mut outgoing) = mpsc::unbounded_channel::<String>();
        let open = r#"0{"sid":"s","upgrades":[],"pingInterval":60000,"pingTimeout":60000,"maxPayload":100000}"#;
        out.send(open.to_owned()).expect("the receiver is here");
        let writing = async {
            while let Some(text) = outgoing.recv().await {
                if sink.send(WsMessage::text(text)).await.is_err() {
                    return;
                }
            }
        };
        let reading = async {
            let mut decoder = Decoder::new(Limits::default());
            let mut user = UserId::from("nobody");
            let connection = {
                let mut state = self.state();
                state.connections += 1;
                state.connections
            };
            while let Some(Ok(WsMessage::Text(text))) = source.next().await {
                let Ok(engine_io::Packet::Text(text)) = engine_io::Packet::decode_text(&text) else { continue };
                let Ok(Some(packet)) = decoder.text(&text) else { return };
                self.obey(connection, &mut user, packet, &out);
            }
        };
        tokio::select! { () = writing => {}, () = reading => {} }
    }

    fn obey(&self, connection: usize, user: &mut UserId, packet: Packet, out: &Out) {
        let (name, args, id) = match packet.body {
            Body::Connect(_) => return send(out, Body::Connect(json!({"sid": "x"}).as_object().cloned())),
            Body::Event { name, args, id } => (name, args, id),
            Body::Disconnect | Body::Ack { .. } | Body::ConnectError { .. } => return,
        };
        let args = args.into_iter().filter_map(Arg::into_json).collect();
        let refused = match (DIALECT.server.decode)(&AppPacket::Event { name, args }) {
            Ok(Command::Authenticate { user: claimed, .. }) => {
                *user = claimed;
                None
            }
            Ok(Command::Join { room, .. }) => {
                self.join(connection, user, &room, out);
                None
            }
            Ok(Command::Send { text, .. }) if text == "forbidden" => Some("that is forbidden"),
            Ok(Command::Send { to: Audience::Room(room), text, .. }) if text.starts_with("later") => {
                self.state().waiting.push((room, user.clone(), text));
                return id.into_iter().for_each(|id| {
                    let answer = json!({"ok": false, "pending": true, "error": "not stored yet"});
                    send(out, Body::Ack { id, args: vec![answer.into()] });
                });
            }
            Ok(Command::Send { to: Audience::Room(room), text, .. }) => {
                self.post(&room, user, &text);
                None
            }
            Ok(Command::Leave { .. } | Command::Typing { .. }) => None,
            Ok(_) | Err(_) => Some("what?"),
        };
        if let Some(reason) = refused {
            emit(out, "error", json!({"message": reason}));
        }
        if let Some(id) = id.filter(|_| self.habits.acks) {
            let answer = refused.map_or(json!({"ok": true}), |reason| json!({"ok": false, "error": reason}));
            send(out, Body::Ack { id, args: vec![answer.into()] });
        }
    }

    fn join(&self, connection: usize, user: &UserId, name: &RoomId, out: &Out) {
        let mut state = self.state();
        let room = state.rooms.entry(name.clone()).or_default();
        room.members.push((connection, user.clone(), out.clone()));
        if self.habits.live_first
            && let Some(newest) = room.messages.last()
        {
            emit(out, "new_message", self.json(newest));
        }
        let skipped = room.messages.len().saturating_sub(self.habits.page);
        let mut history: Vec<Value> = room.messages[skipped..].iter().map(|message| self.json(message)).collect();
        if self.habits.newest_first {
            history.reverse();
        }
        let users: Vec<&str> = room.members.iter().map(|(_, user, _)| user.as_str()).collect();
        let mut answers = [("message_history", Value::from(history)), ("room_users", json!(users))];
        if self.habits.users_first {
            answers.reverse();
        }
        for (event, payload) in answers {
            emit(out, event, payload);
        }
    }

    fn post(&self, name: &RoomId, user: &UserId, text: &str) {
        let mut state = self.state();
        let room = state.rooms.entry(name.clone()).or_default();
        let sequence = room.messages.len() as u64 + 1;
        let message = Message {
            id: MessageId::from(format!("id-{sequence}")),
            room: name.clone(),
            sender: Member { user: user.clone(), name: user.to_string() },
            text: text.to_owned(),
            kind: chatwright_protocol::vocabulary::MessageKind::Text,
            sent_at_ms: sequence / 3,
            sequence,
            receiver: None,
            attachment: None,
            read_at_ms: None,
        };
        for (_, _, out) in &room.members {
            emit(out, "new_message", self.json(&message));
        }
        room.messages.push(message);
    }

    fn json(&self, message: &Message) -> Value {
        let mut json = MessageJson::from(message);
        json.message_id = json.message_id.filter(|_| self.habits.ids);
        json.sequence = json.sequence.filter(|_| self.habits.sequences);
        serde_json::to_value(json).expect("plain structs serialise")
    }
}

fn emit(out: &Out, name: &str, payload: Value) {
    let Ok(Event::Message(_) | Event::History { .. } | Event::Members { .. } | Event::Refused(_)) =
        (DIALECT.client.decode)(&AppPacket::event(name, payload.clone()))
    else {
        panic!("this server speaks the dialect: {name} {payload}");
    };
    send(out, Body::Event { name: name.to_owned(), args: vec![payload.into()], id: None });
}

fn send(out: &Out, body: Body) {
    let packet = Packet { namespace: "/".to_owned(), body }.encode().expect("well-formed");
    // A client that is gone hears nothing.
    let _ = out.send(format!("4{}", packet.text));
}
