//! What a judge says who is late himself: nothing about time.

use std::time::{Duration, Instant};

use chatwright_conformance::{outcome::Verdict, run::RunConfig};

use crate::toy::try_run;

/// Keeps the one thread of its runtime from everybody, again and again, for longer than a judge may be late.
async fn hinder() {
    loop {
        tokio::time::sleep(Duration::from_millis(5)).await;
        let began = Instant::now();
        while began.elapsed() < Duration::from_millis(100) {
            std::hint::spin_loop();
        }
    }
}

#[tokio::test]
async fn a_judge_who_is_late_accuses_nobody_of_bad_timing_whatever_the_clause() {
    let cases = ["1.1", "1.2", "1.3"].map(|clause| {
        let hello = "alice connects\nalice > later 150 \"42[\\\"hello\\\"]\"\nalice < hello after 20s within 30s";
        (clause.replace('.', "-"), format!("# A case.\nclause toy/{clause}\n{hello}\n"))
    });
    let hindrance = tokio::spawn(hinder());
    let cases = cases.each_ref().map(|(name, text)| (name.as_str(), text.as_str()));
    let report = try_run(&cases, "", RunConfig::default()).await.expect("it runs");
    hindrance.abort();
    for case in &report.cases {
        assert_eq!(case.verdict, Verdict::Inconclusive, "{}: {:?}", case.name, case.failure);
        assert!(case.attempts > 1, "{} was not played again", case.name);
    }
}
