//! A crowd that comes and goes again and again, seen from outside: the process of the server is no larger afterwards than after the first time.
//!
//! In small here; in full, and with the figures printed, on an idle machine with enough descriptors:
//!
//!     CHATWRIGHT_CROWD=10000 cargo test --release -p chatwright-cli --test system crowd -- --nocapture

use std::time::{Duration, Instant};

use crate::support::{SECRET, Served, chatwright, ends_with, pause};

const ROUNDS: usize = 3;
/// How `load` ends when it could not send at the times that it should have.
const INVALID: i32 = 4;
/// What a round may leave behind: pages that the allocator keeps, and the histories of the crowd's rooms.
const GROWTH_MAX_PERCENT: u64 = 10;
/// When everybody must be gone, and what they needed with them.
const GONE_AFTER: Duration = Duration::from_secs(60);

/// Kilobytes of the process's memory that are in use now.
fn resident(server: &Served) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.process())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
    line.trim().trim_end_matches(" kB").parse().expect("kilobytes")
}

/// A crowd comes, talks a little and goes.
fn comes_and_goes(server: &Served, crowd: &str) {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let output = chatwright()
        .args(["load", "--dialect", "rooms", "--url", &server.url, "--secret", SECRET])
        .args(["--connections", crowd, "--rate", "100", "--seconds", "1", "--require", "duplicated=0"])
        .current_dir(folder.path())
        .output()
        .expect("the binary runs");
    // On a busy machine the run may be invalid, its messages sent too late to judge delays by; here it matters that all of them arrived.
    ends_with(&output, if output.status.code() == Some(INVALID) { INVALID } else { 0 });
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains(" 0 lost"), "{said}");
    let began = Instant::now();
    while server.connections() > 0 {
        assert!(began.elapsed() < GONE_AFTER, "{} connections are left", server.connections());
        pause();
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "figures for who measures")]
fn a_crowd_that_comes_and_goes_again_and_again_leaves_no_memory_behind() {
    let crowd = std::env::var("CHATWRIGHT_CROWD").unwrap_or_else(|_| "300".to_owned());
    let server = Served::start(&[]);
    let empty = resident(&server);
    comes_and_goes(&server, &crowd);
    let baseline = resident(&server);
    println!("{empty} kB before anybody came, {baseline} kB after {crowd} connections came and went");
    for round in 1..=ROUNDS {
        comes_and_goes(&server, &crowd);
        let began = Instant::now();
        while resident(&server) > baseline * (100 + GROWTH_MAX_PERCENT) / 100 {
            let now = resident(&server);
            assert!(began.elapsed() < GONE_AFTER, "{now} kB after round {round}, {baseline} kB at first");
            pause();
        }
        println!("{} kB after round {round}", resident(&server));
    }
}
