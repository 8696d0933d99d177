//! From the target file as written to its types; every refusal names the place and says what to do.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Duration,
};

use globset::GlobBuilder;
use regex::Regex;
use toml::Spanned;

use super::{
    address::Address,
    file::{
        Auth, BackendName, Identity, InstanceTemplate, KnownFailing, Limits, Named, Ready, StartSpec, TargetFile,
        Timing, Transport,
    },
    place::FileError,
    template::Template,
    written::{WrittenAuth, WrittenNeed, WrittenStart, WrittenTarget},
};

/// A cold `npm ci` on a slow line.
const SETUP_TIMEOUT_DEFAULT: Duration = Duration::from_secs(300);
/// A Java server on a busy machine.
const READY_TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);
/// The documents speak of a forced exit after 5 to 10 s.
const STOP_TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
/// The dialect of programs that connect instead of listening.
const CLIENT: &str = "client";
/// More would not fit on one machine.
const INSTANCES_MAX: usize = 64;

pub(super) fn parse(path: &Path, text: &str) -> Result<TargetFile, FileError> {
    let written: WrittenTarget = toml::from_str(text).map_err(|e| FileError::from_toml(path, text, &e))?;
    Source { path, text }.target(written)
}

type Needs = std::collections::BTreeMap<BackendName, Spanned<WrittenNeed>>;

/// The backends of which one of these is written.
fn needed(needs: &Needs, kinds: &[WrittenNeed]) -> BTreeSet<BackendName> {
    needs.iter().filter(|(_, need)| kinds.contains(need.get_ref())).map(|(name, _)| *name).collect()
}

/// The file, for its errors.
struct Source<'a> {
    path: &'a Path,
    text: &'a str,
}

impl Source<'_> {
    fn at<T>(&self, spanned: &Spanned<T>, problem: impl Into<String>) -> FileError {
        FileError::at(self.path, self.text, &spanned.span(), problem)
    }

    fn target(&self, written: WrittenTarget) -> Result<TargetFile, FileError> {
        let instances = self.instances(&written)?;
        let is_client = written.dialect.get_ref() == CLIENT;
        let auth = self.auth(written.auth)?;
        let identity = self.identity(written.identity.as_ref(), &auth)?;
        let unset = |transport| written.capabilities.get(&transport) != Some(&false);
        let transports: BTreeSet<_> =
            [Transport::Websocket, Transport::Polling].into_iter().filter(|t| unset(*t)).collect();
        if transports.is_empty() {
            return Err(FileError::whole(
                self.path,
                "[capabilities] leaves no transport; keep `websocket` or `polling`",
            ));
        }
        Ok(TargetFile {
            path: self.path.to_owned(),
            name: self.filled(&written.name)?,
            dialect: self.filled(&written.dialect)?,
            about: written.about,
            identity,
            behaviour: written.behaviour,
            instances,
            start: written.start.map(|start| self.start(start, is_client)).transpose()?,
            needs: needed(&written.needs, &[WrittenNeed::Yes, WrittenNeed::Tls]),
            tls: self.tls(&written.needs)?,
            auth,
            timing: Timing {
                clocks: written
                    .timing
                    .into_iter()
                    .map(|(name, c)| (name, Named { span: c.span(), value: c.into_inner().0 }))
                    .collect(),
            },
            limits: Limits {
                limits: written
                    .limits
                    .into_iter()
                    .map(|(name, l)| (name, Named { span: l.span(), value: l.into_inner() }))
                    .collect(),
            },
            adapt: written.adapt,
            transports,
            known_failing: written
                .known_failing
                .iter()
                .map(|(pattern, reason)| self.known_failing(pattern, reason))
                .collect::<Result<_, _>>()?,
        })
    }

    /// The backends over TLS only: those that can be had so.
    fn tls(&self, needs: &Needs) -> Result<BTreeSet<BackendName>, FileError> {
        let over_tls = needed(needs, &[WrittenNeed::Tls]);
        match over_tls.iter().find(|name| **name != BackendName::Redis) {
            Some(name) => Err(self.at(&needs[name], "there is only `redis` over TLS; write `true`")),
            None => Ok(over_tls),
        }
    }

    fn filled(&self, value: &Spanned<String>) -> Result<String, FileError> {
        let text = value.get_ref().trim();
        if text.is_empty() {
            return Err(self.at(value, "is empty; give it a name"));
        }
        Ok(text.to_owned())
    }

    fn auth(&self, written: Option<Spanned<WrittenAuth>>) -> Result<Auth, FileError> {
        let Some(written) = written else { return Ok(Auth::None) };
        let span = written.span();
        let auth = written.into_inner();
        match (auth.jwt_secret, auth.stub) {
            (Some(secret), true) => Err(self.at(&secret, "there is a secret and `stub = true`; keep one of them")),
            (Some(secret), false) if secret.get_ref().is_empty() => {
                Err(self.at(&secret, "is empty; write the secret that the server verifies tokens with"))
            }
            (Some(secret), false) => Ok(Auth::Secret {
                secret: secret.into_inner(),
                algorithm: auth.algorithm.unwrap_or_default(),
                names: auth.claims,
            }),
            (None, true) => Ok(Auth::Stub { names: auth.claims }),
            (None, false) => Err(FileError::at(
                self.path,
                self.text,
                &span,
                "says nothing; write `jwt_secret = \"...\"` or `stub = true`, or leave [auth] out",
            )),
        }
    }

    fn identity(&self, written: Option<&Spanned<Identity>>, auth: &Auth) -> Result<Identity, FileError> {
        match (written, auth) {
            (Some(identity), Auth::None) if *identity.get_ref() == Identity::Token => Err(self.at(
                identity,
                "tokens are asked for, but there is no way to make one; add [auth] with `jwt_secret` or `stub = true`",
            )),
            (Some(identity), Auth::None | Auth::Secret { .. } | Auth::Stub { .. }) => Ok(*identity.get_ref()),
            (None, Auth::None) => Ok(Identity::Open),
            (None, Auth::Secret { .. } | Auth::Stub { .. }) => Ok(Identity::Token),
        }
    }

    fn instances(&self, written: &WrittenTarget) -> Result<Vec<InstanceTemplate>, FileError> {
        let starts = written.start.is_some();
        let is_client = written.dialect.get_ref() == CLIENT;
        let written = written.instance.as_slice();
        if is_client {
            return match (written.first(), starts) {
                (Some(instance), _) => Err(self.at(instance, "a client listens nowhere; take the table out")),
                (None, false) => Err(FileError::whole(
                    self.path,
                    "a client is started for each case; add [start] with its `command`",
                )),
                (None, true) => Ok(Vec::new()),
            };
        }
        if written.is_empty() {
            return Err(FileError::whole(
                self.path,
                "there is no [[instance]]; add one with its listeners, such as `socket = \"http://127.0.0.1:{port}\"`",
            ));
        }
        if written.len() > INSTANCES_MAX {
            return Err(
                self.at(&written[INSTANCES_MAX], format!("more than {INSTANCES_MAX} instances; leave some out"))
            );
        }
        written.iter().map(|instance| self.instance(instance, starts)).collect()
    }

    fn instance(
        &self,
        written: &Spanned<std::collections::BTreeMap<String, Spanned<Template>>>,
        starts: bool,
    ) -> Result<InstanceTemplate, FileError> {
        let mut listeners = std::collections::BTreeMap::new();
        for (name, template) in written.get_ref() {
            let names: Vec<_> = template.get_ref().names().collect();
            if let (false, Some(unknown)) = (starts, names.first()) {
                let problem = format!(
                    "`{{{unknown}}}` stands for something that chatwright chooses, but there is no [start]; write the real address, or add [start]"
                );
                return Err(self.at(template, problem));
            }
            // Checked with a sample now, so that a bad address is an error of the file and not of the start.
            let sample = names.into_iter().map(|name| (name.to_owned(), "1".to_owned())).collect();
            let url = template.get_ref().fill(&sample).map_err(|problem| self.at(template, problem))?;
            Address::parse(&url).map_err(|problem| self.at(template, problem))?;
            listeners.insert(name.clone(), template.get_ref().clone());
        }
        if listeners.is_empty() {
            return Err(self.at(written, "has no listener; add one, such as `socket = \"http://127.0.0.1:{port}\"`"));
        }
        if listeners.len() > 1 && !listeners.contains_key("socket") {
            return Err(
                self.at(written, "none of its listeners is called `socket`; the one that clients connect to must be")
            );
        }
        Ok(InstanceTemplate { listeners })
    }

    fn start(&self, written: Spanned<WrittenStart>, is_client: bool) -> Result<StartSpec, FileError> {
        let span = written.span();
        let written = written.into_inner();
        let folder = match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
            Some(_) | None => PathBuf::from("."),
        };
        let cwd = written.cwd.as_ref().map_or_else(|| folder.clone(), |cwd| folder.join(cwd.get_ref()));
        if written.command.get_ref().is_empty() {
            return Err(self.at(
                &written.command,
                "is empty; write the program and its arguments, such as [\"node\", \"server.js\"]",
            ));
        }
        let command = written.command.into_inner();
        let ready = match (&written.ready, is_client) {
            (Some(ready), _) => self.ready(ready)?,
            // A client is ready when it comes to the judge.
            (None, true) => Ready::Tcp,
            (None, false) => {
                let problem = "says nothing of when it is ready; add `ready`, such as \"GET /health\"";
                return Err(FileError::at(self.path, self.text, &span, problem));
            }
        };
        Ok(StartSpec {
            setup: written.setup.0,
            setup_makes: written.setup_makes.map(|path| cwd.join(path)),
            setup_reads: written.setup_reads.into_iter().map(|path| cwd.join(path)).collect(),
            setup_timeout: written.setup_timeout.map_or(SETUP_TIMEOUT_DEFAULT, |d| d.0),
            command: command.clone(),
            env: written.env,
            without: Vec::new(),
            scratch: None,
            documented: written.documented.map(|documented| documented.filled(&command)),
            ready,
            cwd,
            ready_timeout: written.ready_timeout.map_or(READY_TIMEOUT_DEFAULT, |d| d.0),
            stop_signal: written.stop_signal.unwrap_or_default(),
            stop_timeout: written.stop_timeout.map_or(STOP_TIMEOUT_DEFAULT, |d| d.0),
        })
    }

    fn ready(&self, written: &Spanned<String>) -> Result<Ready, FileError> {
        const ADVICE: &str = "write \"GET /health\", \"log ~ \\\"regex\\\"\" or \"tcp\"";
        let text = written.get_ref().trim();
        if text == "tcp" {
            return Ok(Ready::Tcp);
        }
        if let Some(url) = text.strip_prefix("GET ") {
            let template = Template::parse(url.trim()).map_err(|problem| self.at(written, problem))?;
            if !url.trim().starts_with(['/', '{']) && !url.trim().starts_with("http://") {
                return Err(self.at(written, format!("`{}` is neither a path nor an http URL; {ADVICE}", url.trim())));
            }
            return Ok(Ready::Get(template));
        }
        if let Some(pattern) = text.strip_prefix("log").map(str::trim_start).and_then(|rest| rest.strip_prefix('~')) {
            let pattern = pattern.trim();
            let pattern = pattern.strip_prefix('"').and_then(|p| p.strip_suffix('"')).unwrap_or(pattern);
            return Regex::new(pattern)
                .map(Ready::Log)
                .map_err(|e| self.at(written, format!("is no regular expression: {e}").replace('\n', " ")));
        }
        Err(self.at(written, format!("`{text}` is no readiness probe; {ADVICE}")))
    }

    fn known_failing(&self, pattern: &str, reason: &Spanned<String>) -> Result<KnownFailing, FileError> {
        if reason.get_ref().trim().is_empty() {
            return Err(self.at(reason, "has no reason; say why these cases fail"));
        }
        let glob = GlobBuilder::new(pattern)
            .build()
            .map_err(|e| self.at(reason, format!("`{pattern}` is no pattern of case names: {}", e.kind())))?;
        Ok(KnownFailing {
            pattern: pattern.to_owned(),
            reason: reason.get_ref().trim().to_owned(),
            matcher: glob.compile_matcher(),
        })
    }
}

impl TargetFile {
    /// Refuses clocks and limits that the dialect does not know: they would be typing errors that change nothing, silently.
    /// `deadline` is known to every dialect.
    ///
    /// # Errors
    /// The first unknown name, with its place.
    pub fn check_names(&self, clocks: &BTreeSet<String>, limits: &BTreeSet<String>) -> Result<(), FileError> {
        let unknown_clock = self.timing.clocks.iter().find(|(name, _)| *name != "deadline" && !clocks.contains(*name));
        let unknown_limit = self.limits.limits.iter().find(|(name, _)| !limits.contains(*name));
        let (kind, name, span, known) = match (unknown_clock, unknown_limit) {
            (Some((name, named)), _) => ("clock", name, &named.span, clocks),
            (None, Some((name, named))) => ("limit", name, &named.span, limits),
            (None, None) => return Ok(()),
        };
        let known: Vec<_> = known.iter().map(String::as_str).collect();
        let problem = format!("dialect `{}` has no {kind} `{name}`; it has {}", self.dialect, known.join(", "));
        let text = std::fs::read_to_string(&self.path).unwrap_or_default();
        if text.is_empty() {
            return Err(FileError::whole(&self.path, problem));
        }
        Err(FileError::at(&self.path, &text, span, problem))
    }
}
