//! What the names of a case stand for while it is played: fresh users and rooms, captures, clocks and limits of the target.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde_json::Number;

use super::Stage;
use crate::{
    case::{Path, Scope, TokenCall, eval, eval_millis},
    datum::Datum,
    target::Identity,
    tokens::{Hmac, Key, Signing, TokenOrder, User},
};

/// A shorter text stands in other words by accident.
const NAMED_CHARS_MIN: usize = 4;

/// The names of one case.
pub(super) struct Names<'a> {
    stage: &'a Stage<'a>,
    /// What makes this case's users and rooms its own.
    mark: String,
    users: BTreeSet<String>,
    /// `each` and `earlier`, while a preamble runs.
    stand_ins: BTreeMap<String, String>,
    bound: BTreeMap<String, Datum>,
    /// `alice.2` -> `sid` -> its value.
    facts: BTreeMap<(String, String), Datum>,
    tokens: Mutex<BTreeMap<String, String>>,
    issued: AtomicU32,
}

impl<'a> Names<'a> {
    pub(super) fn new(stage: &'a Stage<'a>, mark: String, users: BTreeSet<String>) -> Self {
        Self {
            stage,
            mark,
            users,
            stand_ins: BTreeMap::new(),
            bound: BTreeMap::new(),
            facts: BTreeMap::new(),
            tokens: Mutex::default(),
            issued: AtomicU32::new(0),
        }
    }

    pub(super) fn bind(&mut self, name: &str, value: Datum) {
        self.bound.insert(name.to_owned(), value);
    }

    pub(super) fn unbind(&mut self, name: &str) -> Option<Datum> {
        self.bound.remove(name)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.bound.contains_key(name)
    }

    /// From here on `each` or `earlier` means this actor; says whom it meant before.
    pub(super) fn stand_in(&mut self, pseudo: &str, actor: Option<&str>) -> Option<String> {
        match actor {
            Some(actor) => self.stand_ins.insert(pseudo.to_owned(), actor.to_owned()),
            None => self.stand_ins.remove(pseudo),
        }
    }

    pub(super) fn fact(&mut self, actor: &str, field: &str, value: Datum) {
        self.facts.insert((actor.to_owned(), field.to_owned()), value);
    }

    /// The person behind an actor's name, the same throughout the case.
    pub(super) fn user(&self, user: &str) -> User {
        User {
            id: self.stage.target.adapt.ids.of(&format!("{user}-{}", self.mark)),
            name: format!("{user}_{}", &self.mark[..self.mark.len().min(6)]),
        }
    }

    /// The good token of a user, made once; `None` where the target asks for none.
    pub(super) fn token_of(&self, user: &str) -> Option<String> {
        let maker = self.stage.target.tokens.as_ref()?;
        let mut made = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        Some(made.entry(user.to_owned()).or_insert_with(|| maker.valid(&self.user(user))).clone())
    }

    /// The payload of CONNECT when the case says nothing else.
    pub(super) fn auth_of(&self, user: &str) -> Option<Datum> {
        match self.stage.target.identity {
            Identity::Token => self.token_of(user).map(|token| Datum::object([("token", Datum::Text(token))])),
            Identity::Open => None,
        }
    }

    /// The values that the case has names for, as texts, with these names: first who its users are, then what it has captured.
    pub(super) fn known(&self) -> BTreeMap<String, String> {
        let mut known = BTreeMap::new();
        let mut put = |value: String, name: String| {
            if value.len() >= NAMED_CHARS_MIN {
                known.entry(value).or_insert(name);
            }
        };
        for user in &self.users {
            let User { id, name } = self.user(user);
            put(id, format!("${user}.id"));
            put(name, format!("${user}.name"));
        }
        put(self.mark.clone(), "…".to_owned());
        for (user, token) in self.tokens.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            put(token.clone(), format!("${user}.token"));
        }
        for ((actor, field), value) in &self.facts {
            if let Some(text) = value.as_text() {
                put(text.to_owned(), format!("${actor}.{field}"));
            }
        }
        for (name, value) in &self.bound {
            if let Some(text) = value.as_text() {
                put(text.to_owned(), format!("${name}"));
            }
        }
        known
    }

    fn actor_field(&self, parts: &[String]) -> Option<Datum> {
        let first = parts.first()?;
        let stand_in = self.stand_ins.get(first);
        let (key, field) = match parts {
            [_, field] => (stand_in.unwrap_or(first).clone(), field),
            [_, device, field] => (format!("{first}.{device}"), field),
            _ => return None,
        };
        let user = key.split('.').next().unwrap_or(&key);
        if stand_in.is_none() && !self.users.contains(user) {
            return None;
        }
        match field.as_str() {
            "id" => Some(Datum::Text(self.user(user).id)),
            "name" => Some(Datum::Text(self.user(user).name)),
            "token" => self.token_of(user).map(Datum::Text),
            _ => self.facts.get(&(key, field.clone())).cloned(),
        }
    }

    fn order(&self, call: &TokenCall) -> Result<TokenOrder, String> {
        let mut order = TokenOrder { dropped: call.dropped.clone(), ..TokenOrder::default() };
        if let Some(expires) = &call.expires {
            order.expires_in_secs = Some(eval_millis(expires, self)?.div_euclid(1000));
        }
        if call.foreign_key {
            order.key = Key::Other;
        }
        order.signing = match call.algorithm.as_deref() {
            None => Signing::AsConfigured,
            Some("none") => Signing::None,
            Some("HS256") => Signing::With(Hmac::HS256),
            Some("HS384") => Signing::With(Hmac::HS384),
            Some("HS512") => Signing::With(Hmac::HS512),
            Some(other) => {
                return Err(format!("the judge cannot sign with `{other}`; it knows none, HS256, HS384, HS512"));
            }
        };
        for (name, value) in &call.claims {
            order.claims.insert(name.clone(), eval(value, self)?.to_plain_json());
        }
        Ok(order)
    }
}

impl Scope for Names<'_> {
    fn lookup(&self, path: &Path) -> Option<Datum> {
        let first = path.0.first()?;
        if let Some(bound) = self.bound.get(first) {
            return path.0[1..].iter().try_fold(bound, |datum, part| datum.field(part)).cloned();
        }
        match (first.as_str(), path.0.get(1)) {
            ("limits", Some(name)) => self.stage.limit(name).map(|limit| Datum::Number(limit.into())),
            ("timing", Some(name)) => {
                let millis = u64::try_from(self.stage.clock(name)?.as_millis()).ok()?;
                Some(Datum::Number(Number::from(millis)))
            }
            ("target", Some(name)) if name == "secret" => {
                self.stage.target.tokens.as_ref().map(|tokens| Datum::Text(tokens.secret().to_owned()))
            }
            ("target", Some(listener)) => {
                self.stage.target.instance(1)?.listener(listener).map(|url| Datum::Text(url.to_owned()))
            }
            _ => self.actor_field(&path.0),
        }
    }

    fn clock(&self, name: &str) -> Option<Duration> {
        self.stage.clock(name)
    }

    fn token(&self, call: &TokenCall) -> Result<String, String> {
        let maker = self.stage.target.tokens.as_ref().ok_or("nobody makes tokens for this target")?;
        let actor = self.stand_ins.get(&call.actor).unwrap_or(&call.actor);
        Ok(maker.make(&self.user(actor), &self.order(call)?))
    }

    fn fresh(&self, inside: Option<&str>) -> String {
        let number = self.issued.fetch_add(1, Ordering::Relaxed);
        let fresh = match inside {
            None => format!("r{number}-{}", self.mark),
            Some(inside) => format!("r{number}-{inside}-{}", self.mark),
        };
        // Where clients name no rooms, what they name are users.
        let names_users = self.stage.dialect.can.get("addresses").is_some_and(|whom| whom == "users");
        if names_users { self.stage.target.adapt.ids.of(&fresh) } else { fresh }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "timestamps of servers are compared with the wall clock; nothing that replays depends on it"
    )]
    fn now_ms(&self) -> u64 {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}
