//! The page and the JSON say what the figures say.

use std::time::Duration;

use super::*;
use crate::{
    latency::Recorder,
    verdict::{Figures, judge},
};

pub(crate) fn sample() -> Report {
    let recorder = Recorder::new(Duration::from_secs(10));
    for n in 0..20_000_u32 {
        let at = Duration::from_millis(u64::from(n) / 2);
        let spread = f64::from(n.wrapping_mul(2_654_435_761) >> 12) / f64::from(1 << 20);
        let latency = Duration::from_secs_f64(0.0004 + 0.0008 / (1.0003 - spread).powf(0.55) * 0.3);
        recorder.record(n, Series::Deliver, at, latency);
        recorder.record(n, Series::SendLag, at, Duration::from_micros(120));
    }
    let measured = recorder.collect();
    let counts = Counts { expected: 20_000, delivered: 20_000, ..Counts::default() };
    let requirements: Vec<Requirement> = ["p99<50ms", "lost=0"].map(|text| text.parse().expect("readable")).into();
    let figures = Figures {
        measured: &measured,
        counts,
        sent: 2000,
        connections_planned: 100,
        connections_made: 100,
        planned: Duration::from_secs(10),
        elapsed: Duration::from_secs(10),
        generator_cpu: Some(0.31),
        returns: None,
    };
    let judgement = judge(&figures, &requirements, 1);
    Report {
        target: "sample <target>".into(),
        dialect: "rooms".into(),
        version: "0.1.0".into(),
        seed: 1,
        replay: "chatwright load --seed 1".into(),
        connections_planned: 100,
        connections_made: 100,
        room_size: 10,
        rate: 200.0,
        sent: 2000,
        planned_seconds: 10.0,
        elapsed_seconds: 10.0,
        counts,
        measured,
        generator_cpu: Some(0.31),
        target_usage: Some(Usage { cpu_seconds: 0.5, resident_bytes_before: 10 << 20, resident_bytes: 12 << 20 }),
        troubles: BTreeMap::from([("connect: refused".to_owned(), 2)]),
        returns: None,
        requirements,
        judgement,
    }
}

#[test]
fn the_json_holds_the_account_the_percentiles_and_the_verdict() {
    let json: serde_json::Value = serde_json::from_str(&sample().to_json()).expect("valid JSON");
    assert_eq!(json["judgement"]["verdict"], "pass");
    assert_eq!(json["counts"]["delivered"], 20_000);
    assert_eq!(json["latency_us"][0]["series"], "deliver");
    assert_eq!(json["latency_us"][0]["samples"], 20_000);
}

#[test]
fn the_page_is_one_file_with_both_plots_and_escapes_what_it_shows() {
    let page = sample().to_html();
    assert_eq!(page.matches("<svg").count(), 2, "both plots are drawn");
    assert!(page.contains("sample &lt;target&gt;"));
    assert!(
        page.contains("25 µs per delivery") && page.contains("20.5 KiB more per connection"),
        "what the target used"
    );
    assert!(page.contains("p99 &lt; 50.0 ms"), "the requirement stands in the plot");
    assert!(!page.contains("http://") || page.contains("xmlns"), "nothing is loaded from elsewhere");
    assert!(!page.contains("<script"));
}
