//! The fixtures that are built in are well-formed, and mistakes in fixtures are all told at once with their places.

use std::fs;

use chatwright_conformance::{fixtures::Fixtures, suite::Suite};

#[test]
fn the_embedded_suite_loads_and_prints_back() {
    let suite = Suite::load(&Fixtures::Embedded).unwrap_or_else(|e| panic!("{e}"));
    assert!(suite.dialects.contains_key("rooms"));
    for case in &suite.cases {
        let printed = case.to_string();
        let again = chatwright_conformance::case::parse_case(&case.name, &case.name, &printed)
            .unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(again.to_string(), printed, "{}", case.name);
        assert_eq!(again.steps.len(), case.steps.len(), "{}", case.name);
        assert!(case.to_json()["steps"].is_array());
    }
    let rooms = &suite.dialects["rooms"];
    let names: Vec<&str> = suite.specs_of(rooms).iter().map(|spec| spec.name.as_str()).collect();
    assert_eq!(names, ["rooms", "engine-io", "socket-io", "rfc6455"]);
    let first = suite.list(rooms)[0].name.clone();
    let explained = suite.explain(&first).expect("a listed case can be explained");
    assert!(!explained.clauses.is_empty());
    assert!(suite.explain("no/such").is_none());
}

#[test]
fn every_mistake_is_told_with_its_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().join("dialects/toy");
    fs::create_dir_all(root.join("cases")).expect("a folder");
    let write = |path: &str, text: &str| fs::write(root.join(path), text).expect("written");
    write("SPEC.md", "**1.1** [MUST, document, wire] a\n");
    write("dialect.toml", "name = \"toy\"\ncarrier = \"socket.io\"\npath = \"/socket.io/\"\n");
    write("cases/a.case", "# a\nclause toy/1.1\nalice speaks\n");
    write("cases/b.case", "# b\nclause toy/9.9\nalice < e §8.8\n");
    write("cases/c.case", "# c\nclause toy/1.1\nuse alice in $room\nalice < e within $timing.grase\n");
    let error = Suite::load(&Fixtures::Folder(folder.path().to_owned())).expect_err("mistakes").to_string();
    for words in [
        "cases/a.case:3:7: expected",
        "case toy/b: there is no clause `toy/9.9`",
        "case toy/b, line 3: there is no clause `toy/8.8`",
        "case toy/c, line 4: the dialect.toml of toy has no `grase` in [timing]",
        "case toy/c, line 3: the dialect.toml of toy has no [preamble.in]",
    ] {
        assert!(error.contains(words), "`{words}` is missing in:\n{error}");
    }
    let nowhere =
        Suite::load(&Fixtures::Folder(folder.path().join("dialects"))).expect_err("the wrong folder").to_string();
    assert!(nowhere.contains("neither `dialects/` nor `protocols/`"), "{nowhere}");
}

#[test]
fn cases_outside_the_fixtures_are_read_from_a_file_or_a_folder() {
    let suite = Suite::load(&Fixtures::Embedded).unwrap_or_else(|e| panic!("{e}"));
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir_all(folder.path().join("deep")).expect("a folder");
    let file = folder.path().join("deep/mine.case");
    fs::write(&file, "# Mine.\nclause rooms/1.1\nalice connects §rooms/1.1\n").expect("written");
    let names = |path: &std::path::Path| {
        suite.load_cases(path).map(|cases| cases.into_iter().map(|case| case.name).collect::<Vec<_>>())
    };
    assert_eq!(names(&file), Ok(vec!["mine".to_owned()]));
    assert_eq!(names(folder.path()), Ok(vec!["deep/mine".to_owned()]));
    assert!(names(&folder.path().join("absent.case")).expect_err("absent").to_string().contains("absent.case"));
    fs::write(&file, "# Mine.\nclause rooms/77.7\nalice connects\n").expect("written");
    assert!(names(&file).expect_err("no such clause").to_string().contains("rooms/77.7"));
}
