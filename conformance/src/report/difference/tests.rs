//! A comparison says each difference under its clause, in each of its forms.

use super::{html, json, last_line, sample, terminal};
use crate::report::terminal::Plain;

#[test]
fn the_terminal_tells_each_difference_under_its_clause_and_ends_with_the_count() {
    let text = terminal(&sample::comparison(), &Plain);
    for part in [
        "rooms/10.2 REF A refusal",
        "error .message",
        "our chat, Node 20                       \"<b>no</b>\"",
        "rooms/errors/refused:1, rooms/errors/refused:2, rooms/errors/refused:3, 2 more",
        "needs backend=redis: 1",
    ] {
        assert!(text.contains(part), "no `{part}` in\n{text}");
    }
    assert!(text.ends_with("12 cases played on both, alike in 9: 3 differences; 1 not compared\n"), "{text}");
}

#[test]
fn the_page_shows_what_servers_say_as_text() {
    let page = html(&sample::comparison());
    assert!(page.contains("&lt;b&gt;no&lt;/b&gt;") && !page.contains("<b>no</b>"));
    assert!(page.contains(&last_line(&sample::comparison())));
}

#[test]
fn the_data_holds_all_places() {
    let data: serde_json::Value = serde_json::from_str(&json(&sample::comparison())).expect("it is JSON");
    assert_eq!(data["differences"][1]["seen"].as_array().map(Vec::len), Some(5));
    assert_eq!(data["differences"][0]["kind"], "ending");
}
