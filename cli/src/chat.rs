//! `chatwright chat`: a person at a keyboard over the same SDK that bots use. Lines come from standard input, so it also scripts.

use std::{io::BufRead as _, time::Duration};

use anstyle::{AnsiColor, Style};
use chatwright_client_sdk::{
    Bot, BotConfig, BotEvent, Identity,
    protocol::{
        dialects,
        vocabulary::{Message, RoomId},
    },
};
use tokio::sync::mpsc;

use crate::{
    args::{ChatArgs, Global},
    exit::{Outcome, UseError},
    reference, terminal, tokens,
};

/// How long the first connection may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// A token made here lives for a day of talking.
const TOKEN_LIVES: Duration = Duration::from_secs(24 * 3600);
/// Lines typed ahead of the network.
const LINES_MAX: usize = 64;
/// After the last line, what is still on its way is shown for so long.
const LINGER: Duration = Duration::from_millis(500);

const QUIET: Style = Style::new().dimmed();
const NAME: Style = Style::new().bold().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Cyan)));

pub(crate) async fn run(_global: &Global, args: ChatArgs) -> Result<Outcome, UseError> {
    let dialect = dialects::by_name(&args.dialect).ok_or_else(|| {
        UseError::new(format!("chat speaks no dialect `{}`; it speaks {}", args.dialect, reference::spoken()))
    })?;
    let mut config = BotConfig::new(dialect, &args.url);
    config.socket.connect_timeout = CONNECT_WITHIN;
    let mut bot = Bot::connect_with(dialect, identity(&args)?, config)
        .await
        .map_err(|problem| UseError::new(format!("{}: {problem}", args.url)))?;
    let mut talk = Talk { room: RoomId::from(args.room.as_str()) };
    talk.enter(&mut bot, args.room.clone()).await;
    let mut lines = lines();
    loop {
        tokio::select! {
            line = lines.recv() => match line.as_deref().map(str::trim_end) {
                None => break,
                Some("/quit") => return Ok(Outcome::Pass),
                Some(line) => talk.typed(&mut bot, line).await,
            },
            event = bot.next_event() => match event {
                None => return Ok(Outcome::Fail),
                Some(event) => show(&event),
            },
            _ = tokio::signal::ctrl_c() => return Ok(Outcome::Pass),
        }
    }
    // The input has ended: what was said last is still confirmed and shown.
    while let Ok(Some(event)) = tokio::time::timeout(LINGER, bot.next_event()).await {
        show(&event);
    }
    Ok(Outcome::Pass)
}

fn identity(args: &ChatArgs) -> Result<Identity, UseError> {
    Ok(match (&args.token, &args.secret) {
        (Some(token), _) => Identity::token(args.user.clone(), token.clone()),
        (None, Some(secret)) => {
            Identity::token(args.user.clone(), tokens::sign(&args.user, None, secret, TOKEN_LIVES)?)
        }
        (None, None) => Identity::open(args.user.clone(), args.user.clone()),
    })
}

/// Lines of standard input. A thread of its own, since reading a terminal blocks; the channel is bounded, so a pasted book waits.
fn lines() -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel(LINES_MAX);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let Ok(line) = line else { break };
            if sender.blocking_send(line).is_err() {
                break;
            }
        }
    });
    receiver
}

struct Talk {
    room: RoomId,
}

impl Talk {
    async fn typed(&mut self, bot: &mut Bot, line: &str) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "" => {}
            "/join" if !rest.is_empty() => self.enter(bot, rest.to_owned()).await,
            "/leave" => {
                let room = self.room.clone();
                complain(bot.leave(&room).await.err());
            }
            "/typing" => {
                let room = self.room.clone();
                complain(bot.typing(&room, true).await.err());
            }
            word if word.starts_with('/') => terminal::warning("/join ROOM, /leave, /typing or /quit"),
            _ => complain(bot.post(&self.room, line).err()),
        }
    }

    async fn enter(&mut self, bot: &mut Bot, room: String) {
        match bot.join(room).await {
            Ok(entered) => {
                self.room = entered.room;
                for message in &entered.history {
                    say(message, " (before)");
                }
                let here: Vec<_> = entered.members.iter().map(ToString::to_string).collect();
                terminal::out(&format!(
                    "{QUIET}in {}: {}{QUIET:#}",
                    clean(self.room.as_str()),
                    clean(&here.join(", "))
                ));
            }
            Err(problem) => complain(Some(problem)),
        }
    }
}

fn complain<E: std::fmt::Display>(problem: Option<E>) {
    if let Some(problem) = problem {
        terminal::warning(&clean(&problem.to_string()));
    }
}

fn show(event: &BotEvent) {
    let quiet = |text: String| terminal::out(&format!("{QUIET}{}{QUIET:#}", clean(&text)));
    match event {
        BotEvent::Message { message, missed } => say(message, if *missed { " (missed)" } else { "" }),
        BotEvent::Confirmed { .. } | BotEvent::Entered(_) => {}
        BotEvent::Failed { error, .. } => complain(Some(error)),
        BotEvent::NotEntered { room, error } => complain(Some(format!("{room}: {error}"))),
        BotEvent::Joined { member, .. } => quiet(format!("{} is here", member.name)),
        BotEvent::Left { member, .. } => quiet(format!("{} has left", member.name)),
        BotEvent::Typing { member, active: true, .. } => quiet(format!("{} is typing", member.name)),
        BotEvent::Typing { .. } => {}
        BotEvent::Refused { reason } => complain(Some(reason)),
        BotEvent::Disconnected { reason, reconnecting } => {
            quiet(format!("connection lost: {reason}{}", if *reconnecting { ", returning" } else { "" }));
        }
        BotEvent::Reconnected { missed, .. } => quiet(format!("back, {missed} messages were missed")),
        BotEvent::Stranded { reason } => complain(Some(format!("the connection is over: {reason}"))),
        BotEvent::Unreadable(problem) => complain(Some(problem)),
    }
}

fn say(message: &Message, note: &str) {
    let name = clean(&message.sender.name);
    terminal::out(&format!("{NAME}{name}{NAME:#}{QUIET}{note}{QUIET:#}  {}", clean(&message.text)));
}

/// What others wrote cannot move the cursor or change colours here.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
