//! Strangers with other words: a copy of each sample server in which events, fields, routes and shapes are renamed passes when its target file
//! says so, the report lists it, and without that the copy fails.

use std::{fs, os::unix::fs::symlink, path::PathBuf, process::Output};

use tempfile::TempDir;

use crate::support::{chatwright, ends_with, fixtures, have_node, text};

/// The clocks of the sample servers are too fast for a machine that does other things too.
const SLOWER: [(&str, &str); 9] = [
    ("_INTERVAL = \"500\"", "_INTERVAL = \"2000\""),
    ("_TIMEOUT = \"1000\"", "_TIMEOUT = \"3000\""),
    ("ping_interval = \"500ms\"", "ping_interval = \"2s\""),
    ("ping_timeout = \"500ms\"", "ping_timeout = \"2s\""),
    ("ping_timeout = \"1s\"", "ping_timeout = \"3s\""),
    ("connect_timeout = \"1s\"", "connect_timeout = \"3s\""),
    ("auth_timeout = \"1s\"", "auth_timeout = \"3s\""),
    ("history_lag = \"500ms\"", "history_lag = \"2s\""),
    ("[timing]", "[timing]\ndeadline = \"4s\""),
];

/// How a sample server becomes a stranger.
struct Renamed {
    dialect: &'static str,
    /// Whole words of its sources, and what stands there instead.
    words: &'static [(&'static str, &'static str)],
    /// Pieces of its sources or of its target file, and what stands there instead; before the words.
    pieces: &'static [(&'static str, &'static str)],
    /// The end of its target file.
    adapt: &'static str,
    /// Some of what the report has to list.
    listed: &'static [&'static str],
    /// The folders of cases that it is judged by; `messages` alone shows that it is a stranger.
    played: &'static [&'static str],
}

/// A copy that lives as long as this.
struct Copy {
    folder: TempDir,
}

impl Copy {
    fn of(renamed: &Renamed) -> Self {
        let original = fixtures().join(format!("targets/{}-node", renamed.dialect));
        let folder = tempfile::tempdir().expect("a scratch folder");
        let packages = fs::canonicalize(original.join("node_modules")).expect("installed");
        symlink(packages, folder.path().join("node_modules")).expect("a link");
        fs::copy(original.join("package.json"), folder.path().join("package.json")).expect("copied");
        fs::create_dir(folder.path().join("src")).expect("a scratch folder");
        let mut left: Vec<&str> = renamed.pieces.iter().map(|(piece, _)| *piece).collect();
        for entry in fs::read_dir(original.join("src")).expect("its sources") {
            let path = entry.expect("a file").path();
            let said = fs::read_to_string(&path).expect("text");
            let place = folder.path().join("src").join(path.file_name().expect("a file"));
            fs::write(place, renamed.rename(said, &mut left)).expect("written");
        }
        let target = fs::read_to_string(original.join("target.toml")).expect("text");
        // Its packages are there; setting up would put others in their place.
        let lines: Vec<&str> = target.lines().filter(|line| !line.starts_with("setup")).collect();
        let mut plain = SLOWER.iter().fold(lines.join("\n"), |target, (fast, slow)| target.replace(fast, slow));
        for (piece, instead) in renamed.pieces {
            if plain.contains(piece) {
                plain = plain.replace(piece, instead);
                left.retain(|other| other != piece);
            }
        }
        assert!(left.is_empty(), "no source holds {left:?} any more");
        fs::write(folder.path().join("plain.toml"), &plain).expect("written");
        fs::write(folder.path().join("adapted.toml"), format!("{plain}\n\n{}", renamed.adapt)).expect("written");
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn check(&self, target: &str, further: &[&str]) -> Output {
        let mut command = chatwright();
        command.args(["check", "--target"]).arg(self.path(target)).arg("--report").arg(self.path("report"));
        command.args(further).output().expect("the binary runs")
    }
}

impl Renamed {
    fn rename(&self, mut source: String, left: &mut Vec<&str>) -> String {
        for (piece, instead) in self.pieces {
            if source.contains(piece) {
                source = source.replace(piece, instead);
                left.retain(|other| other != piece);
            }
        }
        self.words.iter().fold(source, |source, (word, instead)| whole_words(&source, word, instead))
    }
}

/// The text with another word in each place where this one stands alone.
fn whole_words(source: &str, word: &str, instead: &str) -> String {
    let is_part = |sign: Option<char>| sign.is_some_and(|sign| sign.is_ascii_alphanumeric() || sign == '_');
    let mut parts = source.split(word).peekable();
    let mut out = String::new();
    while let Some(part) = parts.next() {
        out += part;
        if let Some(next) = parts.peek() {
            let stands_alone = !is_part(out.chars().last()) && !is_part(next.chars().next());
            out += if stands_alone { instead } else { word };
        }
    }
    out
}

#[track_caller]
fn is_understood(renamed: &Renamed) {
    if !have_node(&fixtures().join(format!("targets/{}-node", renamed.dialect))) {
        return;
    }
    let copy = Copy::of(renamed);
    let folders: Vec<String> = renamed.played.iter().map(|folder| format!("{}/{folder}/*", renamed.dialect)).collect();
    let filters: Vec<&str> = folders.iter().flat_map(|folder| ["--filter", folder.as_str()]).collect();
    let adapted = copy.check("adapted.toml", &filters);
    ends_with(&adapted, 0);
    let page = fs::read_to_string(copy.path("report/report.html")).expect("a report");
    let data = fs::read_to_string(copy.path("report/report.json")).expect("a report");
    let report: serde_json::Value = serde_json::from_str(&data).expect("JSON");
    assert!(page.contains("Adapted"), "the page lists it too");
    for line in renamed.listed {
        assert!(text(&adapted.stdout).contains(line), "the terminal says: {line}");
        assert!(report["runs"][0]["adapted"].as_array().is_some_and(|all| all.iter().any(|one| one == line)), "{line}");
    }
    let messages = format!("{}/messages/*", renamed.dialect);
    let plain = copy.check("plain.toml", &["--no-report", "--filter", &messages]);
    ends_with(&plain, 1);
}

#[test]
fn a_server_of_rooms_with_other_events_fields_routes_and_a_wrapped_list_is_understood() {
    is_understood(&Renamed {
        dialect: "rooms",
        words: &[
            ("join_room", "come_in"),
            ("send_message", "talk_out"),
            ("new_message", "talk_in"),
            ("message_history", "talk_past"),
            ("roomId", "channelId"),
            ("isTyping", "typesNow"),
            ("userCount", "headCount"),
        ],
        pieces: &[
            (r"(?:\/api)?\/chat\/", r"(?:\/v2)?\/talk\/"),
            (r"\/api\/chat\/", r"\/v2\/talk\/"),
            (
                "socket.emit('room_users', chat.rooms.users(roomId))",
                "socket.emit('room_users', { present: chat.rooms.users(roomId) })",
            ),
        ],
        adapt: r#"
[adapt]
rename_events = { join_room = "come_in", send_message = "talk_out", new_message = "talk_in", message_history = "talk_past" }
rename_fields = { roomId = "channelId", isTyping = "typesNow", userCount = "headCount" }
rename_routes = { "/api/chat" = "/v2/talk", "/chat" = "/talk" }
wrap_arguments = { room_users = "present" }
"#,
        listed: &[
            "event `join_room` is `come_in` here",
            "field `roomId` is `channelId` here",
            "route `/api/chat` is `/v2/talk` here",
            "event `room_users` holds its argument in `present` here",
        ],
        played: &["joining", "leaving", "messages", "history", "rest", "typing", "presence"],
    });
}

#[test]
fn a_server_of_conversations_with_other_kinds_of_frames_and_fields_is_understood() {
    is_understood(&Renamed {
        dialect: "conversations",
        words: &[
            ("send_message", "post"),
            ("new_message", "posted"),
            ("message_sent", "accepted"),
            ("recipientIds", "toPeople"),
            ("conversationId", "threadId"),
            ("senderId", "authorId"),
        ],
        pieces: &[],
        adapt: r#"
[adapt]
rename_events = { send_message = "post", new_message = "posted", message_sent = "accepted" }
rename_fields = { recipientIds = "toPeople", conversationId = "threadId", senderId = "authorId" }
"#,
        listed: &["event `send_message` is `post` here", "field `recipientIds` is `toPeople` here"],
        played: &["auth", "messages", "typing", "connections"],
    });
}

#[test]
fn a_server_of_sessions_with_an_event_for_each_notice_is_understood() {
    is_understood(&Renamed {
        dialect: "sessions",
        words: &[
            ("join_room", "enter_session"),
            ("send_message", "say_line"),
            ("receive_message", "hear_line"),
            ("username", "nickname"),
            ("roomId", "sessionId"),
        ],
        pieces: &[
            (
                "socket.emit('system_message', { eventType: 'existing_users', users: others })",
                "socket.emit('people_here', { users: others })",
            ),
            (
                "member.emit('system_message', { eventType, userId, username })",
                "member.emit({ connect: 'person_came', disconnect: 'person_left', reconnect: 'person_back' }[eventType], { userId, username })",
            ),
            ("emit('receive_message', said)", "emit('receive_message', { line: said })"),
        ],
        adapt: r#"
[adapt]
rename_fields = { username = "nickname", roomId = "sessionId" }
wrap_arguments = { receive_message = "line" }

[adapt.rename_events]
join_room = "enter_session"
send_message = "say_line"
receive_message = "hear_line"
existing_users = "people_here"
connect = "person_came"
disconnect = "person_left"
reconnect = "person_back"

[adapt.split_events]
system_message = { by = "eventType", into = ["existing_users", "connect", "disconnect", "reconnect"] }
"#,
        listed: &[
            "event `system_message` is several here, told apart by its `eventType`: existing_users, connect, disconnect, reconnect",
            "event `connect` is `person_came` here",
            "event `receive_message` holds its argument in `line` here",
        ],
        played: &["joining", "leaving", "messages", "grace", "isolation"],
    });
}

#[test]
fn a_server_of_direct_whose_users_have_ids_of_24_hex_digits_is_understood() {
    is_understood(&Renamed {
        dialect: "direct",
        words: &[
            ("send_message", "say"),
            ("new_message", "line_in"),
            ("load_chat_history", "read_past"),
            ("chat_history", "past_lines"),
            ("targetUserId", "peerId"),
            ("conversationId", "threadId"),
            ("messageIds", "lineIds"),
        ],
        pieces: &[
            ("api === 'api' && word === 'chat'", "api === 'v2' && word === 'talk'"),
            (
                "  return value;\n}\n\nexport function object",
                "  if (['userId', 'targetUserId'].includes(name) && !/^[0-9a-f]{24}$/.test(value)) throw new Error(`${name} must be 24 hex digits`);\n  return value;\n}\n\nexport function object",
            ),
        ],
        adapt: r#"
[adapt]
rename_events = { send_message = "say", new_message = "line_in", load_chat_history = "read_past", chat_history = "past_lines" }
rename_fields = { targetUserId = "peerId", conversationId = "threadId", messageIds = "lineIds" }
rename_routes = { "/api/chat" = "/v2/talk" }
ids = "hex24"
"#,
        listed: &[
            "event `send_message` is `say` here",
            "route `/api/chat` is `/v2/talk` here",
            "ids of users are 24 hex digits",
        ],
        played: &["chats", "messages", "history", "reading", "rest", "searching", "deleting", "typing", "status"],
    });
}

#[test]
fn a_server_of_gateway_whose_rooms_are_named_in_an_object_is_understood() {
    is_understood(&Renamed {
        dialect: "gateway",
        words: &[
            ("joinRoom", "enterRoom"),
            ("sendMessage", "postLine"),
            ("receiveMessage", "lineIn"),
            ("roomId", "room_id"),
            ("timestamp", "sentAt"),
        ],
        pieces: &[
            (
                "socket.on('joinRoom', (room) => {",
                "socket.on('joinRoom', (payload) => {\n    const room = payload?.room;",
            ),
            ("/auth/", "/accounts/"),
            (r"^\/messages\/history\/", r"^\/archive\/history\/"),
            ("/messages/health", "/archive/health"),
        ],
        adapt: r#"
[adapt]
rename_events = { joinRoom = "enterRoom", sendMessage = "postLine", receiveMessage = "lineIn" }
rename_fields = { roomId = "room_id", timestamp = "sentAt" }
rename_routes = { "/auth" = "/accounts", "/messages" = "/archive" }
wrap_arguments = { joinRoom = "room" }
"#,
        listed: &[
            "event `joinRoom` is `enterRoom` here",
            "route `/auth` is `/accounts` here",
            "event `joinRoom` holds its argument in `room` here",
        ],
        played: &["accounts", "rooms", "messages", "history", "identity"],
    });
}

#[test]
fn a_word_is_replaced_where_it_stands_alone() {
    assert_eq!(
        whole_words("roomId, a.roomId; roomIds 'roomId'", "roomId", "channel"),
        "channel, a.channel; roomIds 'channel'"
    );
}
