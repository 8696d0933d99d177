//! Strangers: servers that keep to the letter of a contract and decide otherwise wherever it leaves them free. A defect that breaks a SHOULD or
//! a REF clause is such a decision; as many of them as go together are made in one copy of a target. Nothing in it breaks a MUST, so a case
//! that says so accuses somebody of what its own steps took for granted.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::{Bases, Defect, Edit, WrongError, WrongServer, patch::apply};
use crate::{
    outcome::{ClauseId, Level},
    suite::Suite,
    target::{FileError, read_text},
};

/// Where a target keeps what is its own: neither its packages, which decide about the protocols below, nor its target file.
const OWN: &str = "src";
/// It speaks no dialect: its page says all that it does.
const ECHO: &str = "echo-node";

/// A copy that is being filled with decisions: the text of each changed file so far.
struct Draft {
    base: String,
    /// That of the first decision.
    clause: ClauseId,
    edits: Vec<Edit>,
    decisions: Vec<String>,
    texts: BTreeMap<PathBuf, String>,
}

impl Draft {
    fn of(base: &str, clause: &ClauseId) -> Self {
        Self {
            base: base.to_owned(),
            clause: clause.clone(),
            edits: Vec::new(),
            decisions: Vec::new(),
            texts: BTreeMap::new(),
        }
    }

    /// Makes these edits too, all or none. False where they do not go together with those made before.
    fn takes(&mut self, folder: &Path, server: &WrongServer, edits: &[Edit]) -> Result<bool, FileError> {
        let mut texts = BTreeMap::new();
        for edit in edits {
            let text = match texts.get(&edit.file).or_else(|| self.texts.get(&edit.file)) {
                Some(text) => apply(edit, text),
                None => apply(edit, &read_text(&folder.join(&edit.file), "file to change")?),
            };
            let Ok(text) = text else { return Ok(false) };
            texts.insert(edit.file.clone(), text);
        }
        self.texts.extend(texts);
        self.edits.extend_from_slice(edits);
        self.decisions.push(server.name.clone());
        Ok(true)
    }
}

/// The strangers that these wrong servers make: of those whose clause is no MUST, that are a patch of a target, and that need nothing beside one
/// instance. Each stranger's title names its decisions.
///
/// # Errors
/// A file of a target that cannot be read.
pub fn strangers(servers: &[WrongServer], suite: &Suite, bases: &Bases) -> Result<Vec<WrongServer>, WrongError> {
    let mut drafts: Vec<Draft> = Vec::new();
    for server in servers {
        let Defect::Patch { base, edits } = &server.defect else { continue };
        let is_free = suite.clause(&server.clause).is_some_and(|clause| clause.level < Level::Must);
        let is_his = edits.iter().all(|edit| edit.file.starts_with(OWN)) && base != ECHO;
        if !is_free || !is_his || !server.needs.is_empty() {
            continue;
        }
        let folder = bases.targets.join(base);
        let mut takes_it = false;
        for draft in drafts.iter_mut().filter(|draft| draft.base == *base) {
            takes_it = draft.takes(&folder, server, edits)?;
            if takes_it {
                break;
            }
        }
        if !takes_it {
            let mut draft = Draft::of(base, &server.clause);
            if !draft.takes(&folder, server, edits)? {
                let problem = format!("its edits do not fit {base}");
                return Err(FileError::whole(&server.path, problem).into());
            }
            drafts.push(draft);
        }
    }
    Ok(drafts.into_iter().enumerate().map(|(index, draft)| stranger(draft, index + 1)).collect())
}

fn stranger(draft: Draft, number: usize) -> WrongServer {
    WrongServer {
        name: format!("stranger {number}, of {}", draft.base),
        path: PathBuf::from(&draft.base),
        title: draft.decisions.join(", "),
        clause: draft.clause,
        caught_by: Vec::new(),
        play: Vec::new(),
        needs: Vec::new(),
        clock_budget: None,
        defect: Defect::Patch { base: draft.base, edits: draft.edits },
    }
}
