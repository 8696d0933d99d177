//! Who is compared, how each is started, and what it speaks.

use std::path::{Path, PathBuf};

use crate::{Outcome, speech::Speech};

/// The floor's name: what others are measured by.
pub(crate) const FLOOR: &str = "floor";

/// The secret of tokens, for contenders that verify them.
pub(crate) const SECRET: &str = "the secret of a comparison on loopback";

/// One server.
#[derive(Debug, Clone)]
pub(crate) struct Contender {
    /// In the table.
    pub(crate) name: String,
    /// In words.
    pub(crate) what: &'static str,
    pub(crate) speech: Speech,
    /// The program and its arguments; `{port}` stands for the port.
    pub(crate) command: Vec<String>,
    pub(crate) environment: Vec<(&'static str, &'static str)>,
}

impl Contender {
    /// The same of another build.
    fn built(&self, build: &Path) -> Self {
        let mut other = self.clone();
        other.command[0] = build.to_string_lossy().into_owned();
        let file = build.file_name().unwrap_or_default().to_string_lossy();
        other.name = format!("{} ({file})", self.name);
        other
    }
}

fn all(chatwright: &Path, this: &Path) -> Vec<Contender> {
    let command = |parts: &[&str]| parts.iter().map(|&part| part.to_owned()).collect::<Vec<_>>();
    let (this, ours) = (this.to_string_lossy(), chatwright.to_string_lossy());
    let node = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/peers/node"));
    let script = |name: &str| node.join(name).to_string_lossy().into_owned();
    let own = |name: &str, what, speech, environment: &[(&'static str, &'static str)], dialect, engine| Contender {
        name: name.to_owned(),
        what,
        speech,
        command: command(&[&ours, "serve", "--dialect", dialect, "--port-base", "{port}", "--engine", engine]),
        environment: environment.to_vec(),
    };
    let peer = |name: &str, what, speech, parts: &[&str]| Contender {
        name: name.to_owned(),
        what,
        speech,
        command: command(parts),
        environment: Vec::new(),
    };
    vec![
        peer(FLOOR, "bare TCP, one write per delivery", Speech::Floor, &[&this, "serve", "floor", "{port}"]),
        peer(
            "floor-in-rounds",
            "bare TCP, one write for all that a round brings",
            Speech::Floor,
            &[&this, "serve", "floor-in-rounds", "{port}"],
        ),
        own("rooms/lean", "ours, Socket.IO, own engine", Speech::Rooms, &[("JWT_SECRET", SECRET)], "rooms", "lean"),
        own(
            "conversations",
            "ours, raw WebSocket",
            Speech::Conversations,
            &[("ACCESS_TOKEN_SECRET", SECRET)],
            "conversations",
            "lean",
        ),
        own(
            "rooms/socketioxide",
            "ours, Socket.IO, socketioxide",
            Speech::Rooms,
            &[("JWT_SECRET", SECRET)],
            "rooms",
            "socketioxide",
        ),
        peer("tungstenite", "bare tokio-tungstenite", Speech::Bare, &[&this, "serve", "tungstenite", "{port}"]),
        peer("socketioxide", "bare socketioxide", Speech::Rooms, &[&this, "serve", "socketioxide", "{port}"]),
        peer("node-ws", "Node, ws", Speech::Bare, &["node", &script("ws.js"), "{port}"]),
        peer("node-socket.io", "Node, socket.io", Speech::Rooms, &["node", &script("socketio.js"), "{port}"]),
    ]
}

/// The contenders of these names; all if none is named. Ours once more for each other build of it. What is not installed is an error that says what to do.
pub(crate) fn chosen(names: &[String], chatwright: &Path, against: &[PathBuf]) -> Outcome<Vec<Contender>> {
    let this = std::env::current_exe()?;
    let all = all(chatwright, &this);
    let known = all.iter().map(|contender| &contender.name[..]).collect::<Vec<_>>().join(", ");
    if let Some(unknown) = names.iter().find(|name| !all.iter().any(|contender| contender.name == **name)) {
        return Err(format!("there is no contender `{unknown}`: {known}").into());
    }
    let mut chosen: Vec<_> =
        all.into_iter().filter(|contender| names.is_empty() || names.contains(&contender.name)).collect();
    let ours: Vec<_> =
        chosen.iter().filter(|contender| contender.command[0] == chatwright.to_string_lossy()).cloned().collect();
    let builds = against.iter().map(PathBuf::as_path).chain((!ours.is_empty()).then_some(chatwright));
    if let Some(missing) = builds.into_iter().find(|build| !build.is_file()) {
        let path = missing.display();
        return Err(
            format!("there is no {path}: build it with `cargo build --release`, or say --chatwright PATH").into()
        );
    }
    chosen.extend(ours.iter().flat_map(|ours| against.iter().map(|build| ours.built(build))));
    let needs_packages = chosen.iter().any(|contender| contender.command[0] == "node");
    if needs_packages && !Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/peers/node/node_modules")).is_dir() {
        return Err(
            "Node's packages are not installed: npm ci --prefix loadtest/peers/node, or leave node-* out with --only"
                .into(),
        );
    }
    Ok(chosen)
}
