//! An instance as the document describes it, with its documented variables and nothing else: the recipe in the target file, and what a case
//! changes in it.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    path::{Path, PathBuf},
};

use super::{file::Identity, template::Template, written::WrittenDocumented};

/// `[start.documented]`.
#[derive(Debug, Clone)]
pub struct Documented {
    /// The program and its arguments; never empty.
    pub command: Vec<Template>,
    /// The documented variables.
    pub env: BTreeMap<String, Template>,
    /// Whether it verifies who connects, where that is otherwise than in the rest of the file.
    pub identity: Option<Identity>,
}

impl WrittenDocumented {
    /// With the command of `[start]` where it has none.
    pub(super) fn filled(self, command: &[Template]) -> Documented {
        let own = self.command.filter(|words| !words.is_empty());
        Documented { command: own.unwrap_or_else(|| command.to_vec()), env: self.env, identity: self.identity }
    }
}

/// What a case wants of an instance that it has to itself. Texts may hold `{names}` of the target file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wishes {
    /// How many.
    pub instances: usize,
    /// That it does not come up is no failure.
    pub may_fail: bool,
    /// Variables beside the documented ones, or instead of them.
    pub with: Vec<(String, String)>,
    /// Variables that it is not given.
    pub without: Vec<String>,
    /// The lines of a `.env` file.
    pub dotenv: Vec<(String, String)>,
    /// What `{port}` or `{port.NAME}` is.
    pub ports: Vec<(String, u16)>,
}

/// A folder of its own for each instance, with a `.env` file where lines are given.
#[derive(Debug, Clone)]
pub struct Scratch {
    /// Where the folders are made.
    pub root: PathBuf,
    /// The lines of the file; none: no file.
    pub dotenv: Vec<(String, Template)>,
}

impl Scratch {
    /// Makes the folder of an instance.
    ///
    /// # Errors
    /// A sentence about what went wrong.
    pub(super) fn lay_out(&self, instance: usize, values: &BTreeMap<String, String>) -> Result<PathBuf, String> {
        let folder = self.root.join(instance.to_string());
        let failed = |problem: std::io::Error| format!("failed to make {}: {problem}", folder.display());
        std::fs::create_dir_all(&folder).map_err(failed)?;
        let mut text = String::new();
        for (name, value) in &self.dotenv {
            let _infallible = writeln!(text, "{name}={}", quoted(&value.fill(values)?));
        }
        if !text.is_empty() {
            std::fs::write(folder.join(DOTENV), text).map_err(failed)?;
        }
        Ok(folder)
    }

    /// In this folder.
    pub(super) fn below(root: &Path, dotenv: Vec<(String, Template)>) -> Self {
        Self { root: root.to_owned(), dotenv }
    }
}

const DOTENV: &str = ".env";

/// Plain where every reader of such files takes it as it stands.
fn quoted(value: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./:@%+,=*?&".contains(c);
    if value.chars().all(is_plain) { value.to_owned() } else { format!("\"{value}\"") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_instance_gets_a_folder_with_its_own_file() {
        let root = tempfile::tempdir().expect("a folder");
        let template = |text| Template::parse(text).expect("a template");
        let lines = vec![("PORT".to_owned(), template("{port}")), ("TITLE".to_owned(), template("two words"))];
        let values = BTreeMap::from([("port".to_owned(), "5004".to_owned())]);
        let folder = Scratch::below(root.path(), lines).lay_out(2, &values).expect("made");
        assert!(folder.ends_with("2"), "{}", folder.display());
        let text = std::fs::read_to_string(folder.join(DOTENV)).expect("there");
        assert_eq!(text, "PORT=5004\nTITLE=\"two words\"\n");
        let bare = Scratch::below(root.path(), Vec::new()).lay_out(1, &values).expect("made");
        assert!(!bare.join(DOTENV).exists());
    }
}
