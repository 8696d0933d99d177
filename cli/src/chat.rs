//! `chatwright chat`: a person at a keyboard over the same SDK that bots use. Lines come from standard input, so it also scripts.

use std::{io::BufRead as _, time::Duration};

use anstyle::{AnsiColor, Style};
use chatwright_client_sdk::{
    Bot, BotConfig, BotEvent, Identity,
    protocol::{
        dialects::{self, Entry},
        vocabulary::{Audience, Member, Message, UserId},
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
    let mut talk = Talk { to: None };
    talk.begin(&mut bot, &args).await;
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

/// Whom the person talks to now.
struct Talk {
    to: Option<Audience>,
}

impl Talk {
    /// Into the room, or to the users, that the command line names.
    async fn begin(&mut self, bot: &mut Bot, args: &ChatArgs) {
        match bot.dialect().capabilities.entry {
            Entry::NotNeeded if args.others.is_empty() => terminal::note("/with USER says whom you talk to"),
            Entry::NotNeeded => self.turn_to(bot, &args.others).await,
            Entry::HistoryAndMembers | Entry::MembersIfAny | Entry::Nothing => {
                self.enter(bot, args.room.clone()).await;
            }
        }
    }

    async fn typed(&mut self, bot: &mut Bot, line: &str) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "" => {}
            "/join" if !rest.is_empty() => self.enter(bot, rest.to_owned()).await,
            "/with" if !rest.is_empty() => {
                let others: Vec<String> = rest.split_whitespace().map(str::to_owned).collect();
                self.turn_to(bot, &others).await;
            }
            "/leave" => match self.to.take() {
                Some(Audience::Room(room)) => complain(bot.leave(&room).await.err()),
                Some(Audience::Users(users)) => {
                    for user in users {
                        complain(bot.close_chat(user).await.err());
                    }
                }
                Some(Audience::Here) | None => {}
            },
            "/typing" => {
                if let Some(to) = &self.to {
                    complain(bot.typing_to(to, true).await.err());
                }
            }
            word if word.starts_with('/') => terminal::warning("/join ROOM, /with USER..., /leave, /typing or /quit"),
            _ => match &self.to {
                Some(to) => complain(bot.post_to(to, line).err()),
                None => terminal::warning("nobody hears you: /join ROOM or /with USER first"),
            },
        }
    }

    async fn turn_to(&mut self, bot: &mut Bot, others: &[String]) {
        let users: Vec<UserId> = others.iter().map(|user| UserId::from(user.as_str())).collect();
        match bot.meet("", &users).await {
            Ok(to) => {
                self.to = Some(to);
                terminal::out(&format!("{QUIET}with {}{QUIET:#}", clean(&others.join(", "))));
            }
            Err(problem) => complain(Some(problem)),
        }
    }

    async fn enter(&mut self, bot: &mut Bot, room: String) {
        match bot.join(room).await {
            Ok(entered) => {
                for message in &entered.history {
                    say(message, " (before)");
                }
                let here: Vec<_> = entered.members.iter().map(ToString::to_string).collect();
                terminal::out(&format!(
                    "{QUIET}in {}: {}{QUIET:#}",
                    clean(entered.room.as_str()),
                    clean(&here.join(", "))
                ));
                self.to = Some(Audience::Room(entered.room));
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
        BotEvent::Joined { member, .. } => quiet(format!("{} is here", shown(member))),
        BotEvent::Left { member, .. } => quiet(format!("{} has left", shown(member))),
        BotEvent::Typing { member, active: true, .. } => quiet(format!("{} is typing", shown(member))),
        BotEvent::Typing { .. } | BotEvent::Members { .. } => {}
        BotEvent::Returned { member, .. } => quiet(format!("{} is back", shown(member))),
        BotEvent::Read { messages, .. } => quiet(format!("{} messages were read", messages.len())),
        BotEvent::ChatOpened { by, .. } => quiet(format!("{by} wants to talk to you: /with {by}")),
        BotEvent::ChatClosed { by, .. } => quiet(format!("{by} has ended the conversation")),
        BotEvent::Presence { user, online: true } => quiet(format!("{user} is on-line")),
        BotEvent::Presence { user, online: false } => quiet(format!("{user} is off-line")),
        BotEvent::Stopping => quiet("the server stops".to_owned()),
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
    let name = clean(shown(&message.sender));
    terminal::out(&format!("{NAME}{name}{NAME:#}{QUIET}{note}{QUIET:#}  {}", clean(&message.text)));
}

/// The name to show; the id where a dialect tells no names.
fn shown(member: &Member) -> &str {
    if member.name.is_empty() { member.user.as_str() } else { &member.name }
}

/// What others wrote cannot move the cursor or change colours here.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
