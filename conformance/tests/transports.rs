//! Over each transport the same cases hold on the same right server: the small one that the judge brings along.

use std::path::{Path, PathBuf};

use chatwright_conformance::{
    case::Transport,
    fixtures::Fixtures,
    outcome::{RunReport, Verdict},
    run::{NoObserver, RunConfig, run},
    suite::Suite,
    target::StartOptions,
    wrong::{Bases, WrongServer},
};

/// The cases that the small server is made for: it speaks the carrier well, and of `rooms` what these need.
const CASES: [&str; 5] =
    ["rooms/messages/echo", "rooms/joining/answers", "rooms/leaving/notice", "rooms/handshake/*", "socket-io/binary/*"];

async fn judged(transports: Vec<Transport>) -> RunReport {
    let text = "title = \"t\"\nclause = \"rooms/1.1\"\ncaught_by = [\"rooms/messages/echo\"]\n[server]\nmisbehaviour = \"none\"\n";
    let server = WrongServer::parse(Path::new("none.toml"), text).expect("a server without a defect");
    let bases = Bases { targets: PathBuf::from("nowhere"), chatwright: None };
    let (target, _planted) = server.start(&bases, StartOptions::default()).await.expect("it starts");
    let suite = Suite::load(&Fixtures::Embedded).unwrap_or_else(|e| panic!("{e}"));
    let filter = CASES.map(ToOwned::to_owned).to_vec();
    let report = run(&suite, &RunConfig { filter, transports, ..RunConfig::default() }, &target, &NoObserver).await;
    target.stop().await;
    report.expect("the filters fit")
}

fn verdict(report: &RunReport, name: &str) -> Verdict {
    let case = report.cases.iter().find(|case| case.name == name);
    let case = case.unwrap_or_else(|| panic!("{name} is not among {:?}", names(report)));
    assert_eq!(case.failure, None, "{name}: {:#?}", case.transcript);
    case.verdict
}

fn names(report: &RunReport) -> Vec<&str> {
    report.cases.iter().map(|case| case.name.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_case_that_leaves_its_transport_open_is_played_over_each() {
    let report = judged(vec![Transport::Websocket, Transport::Polling, Transport::Upgrade]).await;
    for name in ["rooms/messages/echo", "rooms/joining/answers", "rooms/leaving/notice"] {
        for transport in ["websocket", "polling", "upgrade"] {
            assert_eq!(verdict(&report, &format!("{name} [{transport}]")), Verdict::Pass);
        }
    }
    for name in ["rooms/handshake/clocks", "rooms/handshake/websocket", "socket-io/binary/over-polling"] {
        assert_eq!(verdict(&report, name), Verdict::Pass, "it names its transport and is played once");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_transport_needs_no_mention() {
    let report = judged(vec![Transport::Polling]).await;
    assert!(names(&report).iter().all(|name| !name.contains('[')), "{:?}", names(&report));
    assert_eq!(verdict(&report, "rooms/messages/echo"), Verdict::Pass);
}
