//! What `check` says to machines, how two servers are compared, and that the walkthrough of the case language can be walked.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use crate::support::{chatwright, ends_with, fixtures, have_node, text};

/// One quick case.
const ONE: [&str; 5] = ["check", "--dialect", "rooms", "--filter", "rooms/messages/echo"];

fn in_folder(folder: &Path, args: &[&str], env: &[(&str, &str)]) -> Output {
    let mut command = chatwright();
    command.env_remove("GITHUB_ACTIONS").args(args).envs(env.iter().copied()).current_dir(folder);
    command.output().expect("the binary runs")
}

#[test]
fn check_leaves_a_file_for_each_kind_of_machine_and_prints_what_is_asked_for() {
    let dir = tempfile::tempdir().expect("a scratch folder");
    let output = in_folder(dir.path(), &[&ONE[..], &["--format", "tap"]].concat(), &[]);
    ends_with(&output, 0);
    assert!(text(&output.stdout).contains("1..1\n"), "{}", text(&output.stdout));
    assert!(text(&output.stdout).contains("ok 1 - rooms/messages/echo"), "{}", text(&output.stdout));
    for file in ["report.html", "report.json", "summary.json", "junit.xml", "report.tap", "badge.svg", "badge.json"] {
        assert!(dir.path().join("chatwright-report").join(file).is_file(), "{file} is left");
    }
    let summary = fs::read_to_string(dir.path().join("chatwright-report/summary.json")).expect("written");
    let summary: serde_json::Value = serde_json::from_str(&summary).expect("it is JSON");
    assert_eq!(summary["runs"][0]["specs"]["rooms"]["passed"], 1);
    let parts = summary["runs"][0]["not_judged"].to_string();
    assert!(parts.contains("WebTransport") && parts.contains("msgpack"), "{parts}");

    let output = in_folder(dir.path(), &ONE, &[("GITHUB_ACTIONS", "true")]);
    ends_with(&output, 0);
    assert!(text(&output.stdout).contains("::notice title=chatwright::1 passed, 0 failed"), "{}", text(&output.stdout));
}

#[test]
fn one_command_puts_the_results_of_several_servers_into_a_page() {
    let dir = tempfile::tempdir().expect("a scratch folder");
    fs::write(dir.path().join("page.md"), "# Results\n").expect("written");
    let args = ["table", "--reference", "--dialect", "rooms", "--engine", "socketioxide", "--engine", "lean"];
    let more = ["--filter", "rooms/messages/echo", "--into", "page.md"];
    ends_with(&in_folder(dir.path(), &[&args[..], &more].concat(), &[]), 0);
    let page = fs::read_to_string(dir.path().join("page.md")).expect("it is there");
    let rows: Vec<&str> = page.lines().filter(|line| line.contains("| `rooms` | 1 of 1 |")).collect();
    assert_eq!(rows.len(), 2, "{page}");
    assert!(rows[0].contains("engine socketioxide") && rows[1].contains("engine lean"), "{page}");
}

#[test]
fn the_reference_does_not_differ_from_itself() {
    let dir = tempfile::tempdir().expect("a scratch folder");
    let args = ["check", "--dialect", "rooms", "--against", "reference", "--filter", "rooms/{messages,joining}/*"];
    let output = in_folder(dir.path(), &args, &[]);
    ends_with(&output, 0);
    assert!(text(&output.stdout).contains(": no difference"), "{}", text(&output.stdout));
    assert!(dir.path().join("chatwright-report/difference.html").is_file());
}

#[test]
fn a_stranger_is_told_from_the_reference_where_no_clause_tells_them_apart() {
    let folder = fixtures().join("targets/rooms-node");
    if !have_node(&folder) {
        return;
    }
    let dir = tempfile::tempdir().expect("a scratch folder");
    let target = folder.join("target.toml").display().to_string();
    let against = |peer: &str| {
        let args = ["check", "--target", &target, "--against", peer, "--filter", "rooms/messages/echo"];
        in_folder(dir.path(), &args, &[])
    };
    let other = against("reference");
    ends_with(&other, 1);
    let said = text(&other.stdout);
    assert!(said.contains("new_message .sequence"), "the reference numbers its messages: {said}");
    assert!(!said.contains(".timestamp") && !said.contains("fails here"), "{said}");
    let same = against(&target);
    ends_with(&same, 0);
    assert!(text(&same.stdout).contains("1 cases played on both: no difference"), "{}", text(&same.stdout));
}

/// A fenced block of the page.
struct Block<'p> {
    kind: &'p str,
    word: &'p str,
    body: String,
}

fn blocks(page: &str) -> Vec<Block<'_>> {
    let mut found = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let Some(info) = line.strip_prefix("```") else { continue };
        let (kind, word) = info.split_once(' ').unwrap_or((info, ""));
        let body: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        found.push(Block { kind, word, body: body.join("\n") + "\n" });
    }
    found
}

/// The binary under its own name in front of the path.
fn shell(folder: &Path, script: &str) -> Output {
    let binary = Path::new(env!("CARGO_BIN_EXE_chatwright"));
    let path = std::env::var("PATH").unwrap_or_default();
    let before = binary.parent().expect("it lies in a folder").display().to_string();
    let mut command = Command::new("sh");
    command.args(["-e", "-c", script]).current_dir(folder).env("PATH", format!("{before}:{path}"));
    command.env("FIXTURES", fixtures()).env("NO_COLOR", "1").env_remove("GITHUB_ACTIONS");
    command.output().expect("there is a shell")
}

#[test]
fn the_walkthrough_of_the_case_language_can_be_walked() {
    let page = fs::read_to_string(fixtures().join("README.md")).expect("the page is there");
    let dir = tempfile::tempdir().expect("a scratch folder");
    let mut said = String::new();
    let mut walked = 0;
    for block in blocks(&page) {
        match block.kind {
            "case" => fs::write(dir.path().join(block.word), block.body).expect("written"),
            "sh" => {
                let output = shell(dir.path(), &block.body);
                let expected = if block.word.is_empty() { 0 } else { block.word.parse().expect("an exit code") };
                assert_eq!(
                    output.status.code(),
                    Some(expected),
                    "{}\n{}\n{}",
                    block.body,
                    text(&output.stdout),
                    text(&output.stderr)
                );
                said = text(&output.stdout);
                walked += 1;
            }
            "text" => {
                let mut from = 0;
                for line in block.body.lines() {
                    let at = said[from..].find(line).unwrap_or_else(|| panic!("no `{line}` behind {from} in\n{said}"));
                    from += at + line.len();
                }
            }
            other => panic!("nobody knows what to do with a block of `{other}`"),
        }
    }
    assert_eq!(walked, 3, "each step of the walkthrough was taken");
}
