//! The file of a wrong server, read into types; `fixtures/wrong/README.md` describes it.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;
use toml::Spanned;

use super::{
    rule::{Rule, WrittenRule},
    server::Misbehaviour,
};
use crate::{
    outcome::ClauseId,
    plan::filter,
    target::{FileError, parse_duration, read_text},
};

/// A server with one planted defect.
#[derive(Debug, Clone)]
pub struct WrongServer {
    /// Its file's name without the ending.
    pub name: String,
    /// Its file.
    pub path: PathBuf,
    /// What is wrong.
    pub title: String,
    /// The clause that the defect breaks.
    pub clause: ClauseId,
    /// The cases meant for it, without transports.
    pub caught_by: Vec<String>,
    /// Globs of the cases that are played on it; empty: all.
    pub play: Vec<String>,
    /// What its cases need beside one instance.
    pub needs: Vec<String>,
    /// How long its cases may sit out clocks, where that is more than usual.
    pub clock_budget: Option<Duration>,
    /// What is wrong, as the machine has it.
    pub defect: Defect,
}

/// How a server is made wrong.
#[derive(Debug, Clone)]
pub enum Defect {
    /// A changed copy of a target.
    Patch {
        /// A folder of `fixtures/targets`.
        base: String,
        /// What is changed.
        edits: Vec<Edit>,
    },
    /// A wire-rewriting proxy before a target.
    Proxy {
        /// A folder of `fixtures/targets`, or `reference/NAME`: a target file of the reference server.
        base: String,
        /// What is rewritten.
        rules: Vec<Rule>,
    },
    /// A server of its own.
    Server(Misbehaviour),
}

/// One change of a file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edit {
    /// Below the folder of the target.
    pub file: PathBuf,
    /// A text that stands there exactly once.
    pub find: String,
    /// What stands there instead.
    pub replace: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    title: Spanned<String>,
    clause: Spanned<String>,
    caught_by: Spanned<Vec<String>>,
    #[serde(default)]
    play: Vec<String>,
    #[serde(default)]
    needs: Vec<String>,
    clock_budget: Option<Spanned<String>>,
    patch: Option<WrittenPatch>,
    proxy: Option<WrittenProxy>,
    server: Option<WrittenServer>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenPatch {
    base: String,
    edit: Vec<Spanned<Edit>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenProxy {
    base: String,
    rule: Vec<Spanned<WrittenRule>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenServer {
    misbehaviour: Misbehaviour,
}

/// Those whose name, or the name of a case that is meant for them, fits one of these globs; none means all.
///
/// # Errors
/// A glob that is none.
pub fn meant(servers: Vec<WrongServer>, globs: &[String]) -> Result<Vec<WrongServer>, String> {
    let Some(globs) = filter(globs)? else { return Ok(servers) };
    let fits =
        |server: &WrongServer| globs.is_match(&server.name) || server.caught_by.iter().any(|case| globs.is_match(case));
    Ok(servers.into_iter().filter(fits).collect())
}

impl WrongServer {
    /// Where its defect sits, shortly: `rooms-node: src/events.js`.
    #[must_use]
    pub fn planted(&self) -> String {
        match &self.defect {
            Defect::Patch { base, edits } => {
                let files: BTreeSet<String> = edits.iter().map(|edit| edit.file.display().to_string()).collect();
                format!("{base}: {}", files.into_iter().collect::<Vec<_>>().join(", "))
            }
            Defect::Proxy { base, .. } => format!("a proxy before {base}"),
            Defect::Server(_) => "a small server of its own".to_owned(),
        }
    }

    /// All wrong servers of a folder, by name.
    ///
    /// # Errors
    /// The first file that is wrong in a way it should not be.
    pub fn load_all(folder: &Path) -> Result<Vec<Self>, FileError> {
        let unreadable = |e| FileError::whole(folder, format!("failed to read the wrong servers: {e}; check the path"));
        let mut paths = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            if path.extension().is_some_and(|ending| ending == "toml") {
                paths.push(path);
            }
        }
        let mut all = paths.iter().map(|path| Self::load(path)).collect::<Result<Vec<_>, _>>()?;
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    /// One wrong server.
    ///
    /// # Errors
    /// What is wrong with its file, and where.
    pub fn load(path: &Path) -> Result<Self, FileError> {
        Self::parse(path, &read_text(path, "wrong server")?)
    }

    /// One wrong server from a text that lies, or would lie, at `path`.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn parse(path: &Path, text: &str) -> Result<Self, FileError> {
        let written: Written = toml::from_str(text).map_err(|e| FileError::from_toml(path, text, &e))?;
        let at = |span: std::ops::Range<usize>, problem: &str| FileError::at(path, text, &span, problem);
        if written.title.get_ref().trim().is_empty() {
            return Err(at(written.title.span(), "is empty; say what is wrong with this server"));
        }
        if written.clause.get_ref().split_once('/').is_none_or(|(spec, number)| spec.is_empty() || number.is_empty()) {
            return Err(at(written.clause.span(), "is no citation; write it like \"rooms/5.1\""));
        }
        if written.caught_by.get_ref().is_empty() {
            return Err(at(written.caught_by.span(), "names no case; name the one that is meant for this defect"));
        }
        let budget = |text: Spanned<String>| {
            parse_duration(text.get_ref()).map_err(|problem| at(text.span(), &format!("is no time: {problem}")))
        };
        let clock_budget = written.clock_budget.map(budget).transpose()?;
        let edited = |edit: &Spanned<Edit>| match edit
            .get_ref()
            .file
            .components()
            .all(|part| matches!(part, std::path::Component::Normal(_)))
        {
            true if edit.get_ref().find.is_empty() => {
                Err(at(edit.span(), "looks for nothing; write the text that is replaced"))
            }
            true => Ok(edit.get_ref().clone()),
            false => Err(at(edit.span(), "leaves the folder of the target; name a file below it")),
        };
        let ruled = |rule: &Spanned<WrittenRule>| rule.get_ref().parse().map_err(|problem| at(rule.span(), &problem));
        let defect = match (written.patch, written.proxy, written.server) {
            (Some(patch), None, None) if patch.edit.is_empty() => {
                return Err(FileError::whole(path, "[patch] changes nothing; add an [[patch.edit]]"));
            }
            (Some(patch), None, None) => {
                Defect::Patch { base: patch.base, edits: patch.edit.iter().map(edited).collect::<Result<_, _>>()? }
            }
            (None, Some(proxy), None) if proxy.rule.is_empty() => {
                return Err(FileError::whole(path, "[proxy] changes nothing; add a [[proxy.rule]]"));
            }
            (None, Some(proxy), None) => {
                Defect::Proxy { base: proxy.base, rules: proxy.rule.iter().map(ruled).collect::<Result<_, _>>()? }
            }
            (None, None, Some(server)) => Defect::Server(server.misbehaviour),
            _ => return Err(FileError::whole(path, "needs exactly one of [patch], [proxy] and [server]")),
        };
        Ok(Self {
            name: path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
            path: path.to_owned(),
            title: written.title.into_inner(),
            clause: ClauseId(written.clause.into_inner()),
            caught_by: written.caught_by.into_inner(),
            play: written.play,
            needs: written.needs,
            clock_budget,
            defect,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "title = \"t\"\nclause = \"rooms/5.1\"\ncaught_by = [\"rooms/a\"]\n";

    fn parse(text: &str) -> Result<WrongServer, FileError> {
        WrongServer::parse(Path::new("wrong/echo-missing.toml"), text)
    }

    #[test]
    fn the_three_kinds_are_read() {
        let patch = parse(&format!(
            "{HEAD}[patch]\nbase = \"b\"\n[[patch.edit]]\nfile = \"src/a.js\"\nfind = \"x\"\nreplace = \"\"\n"
        ))
        .expect("a patch");
        assert_eq!((patch.name.as_str(), patch.clause.0.as_str()), ("echo-missing", "rooms/5.1"));
        assert!(matches!(&patch.defect, Defect::Patch { base, edits } if base == "b" && edits.len() == 1));
        let proxy = parse(&format!(
            "{HEAD}[proxy]\nbase = \"b\"\n[[proxy.rule]]\nto = \"client\"\npacket = 'x'\ndo = \"drop\"\n"
        ))
        .expect("a proxy");
        assert!(matches!(&proxy.defect, Defect::Proxy { rules, .. } if rules.len() == 1));
        let server = parse(&format!("{HEAD}[server]\nmisbehaviour = \"invalid-utf8-accepted\"\n")).expect("a server");
        assert!(matches!(server.defect, Defect::Server(Misbehaviour::InvalidUtf8Accepted)));
    }

    #[test]
    fn each_mistake_is_told_with_its_place() {
        let rule = |rule: &str| format!("{HEAD}[proxy]\nbase = \"b\"\n[[proxy.rule]]\n{rule}\n");
        let edit = |edit: &str| format!("{HEAD}[patch]\nbase = \"b\"\n[[patch.edit]]\n{edit}\n");
        let cases = [
            (HEAD.to_owned(), "exactly one of"),
            (HEAD.replace("rooms/5.1", "5.1") + "[server]\nmisbehaviour = \"no-pings\"", ":2:10: `clause`"),
            (HEAD.replace("[\"rooms/a\"]", "[]") + "[server]\nmisbehaviour = \"no-pings\"", ":3:13: `caught_by`"),
            (format!("{HEAD}clock_budget = \"long\"\n[server]\nmisbehaviour = \"no-pings\""), ":4:16: `clock_budget`"),
            (format!("{HEAD}[server]\nmisbehaviour = \"sings\""), "unknown variant `sings`"),
            (edit("file = \"../x\"\nfind = \"a\"\nreplace = \"b\""), "leaves the folder"),
            (edit("file = \"x\"\nfind = \"\"\nreplace = \"b\""), "looks for nothing"),
            (rule("to = \"client\"\ndo = \"drop\""), "exactly one of `packet`"),
            (rule("to = \"client\"\npacket = '('\ndo = \"drop\""), "no regular expression"),
            (rule("to = \"client\"\npacket = 'x'\ndo = \"sing\""), "is nothing a rule can do"),
            (rule("to = \"client\"\npacket = 'x'\ndo = \"delay\""), "needs `by"),
            (rule("to = \"client\"\npacket = 'x'\ndo = \"drop\"\nby = \"1s\""), "`by` means nothing"),
            (rule("to = \"server\"\npacket = 'x'\ndo = \"copy\""), "goes to the client"),
            (rule("to = \"server\"\nhttp = 'x'\ndo = \"swap\""), "for packets only"),
            (rule("to = \"client\"\npacket = 'x'\nwhich = \"0\"\ndo = \"drop\""), "counts nothing"),
            (rule("to = \"client\"\nhttp = 'x'\nover = \"polling\"\ndo = \"drop\""), "`over` is for packets"),
        ];
        for (text, expected) in cases {
            let error = parse(&text).expect_err(expected).to_string();
            assert!(
                error.starts_with("wrong/echo-missing.toml") && error.contains(expected),
                "wanted `{expected}` in: {error}"
            );
        }
    }

    #[test]
    fn every_wrong_server_of_the_fixtures_is_read() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/wrong");
        let all = WrongServer::load_all(&folder).expect("all are well written");
        assert!(all.len() >= 40, "only {} wrong servers", all.len());
        assert!(all.is_sorted_by(|a, b| a.name < b.name));
    }
}
