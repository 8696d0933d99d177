//! What a run of cases leaves behind: transcripts, failures, verdicts. Pure data between the player, the verdict and the reports.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use crate::clocks::Reading;

/// How binding a clause is. The level of a case's failing step decides what the failure means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Level {
    /// Allowed; never judged.
    May,
    /// What the reference does where it could as well be otherwise; recorded, never judged.
    Ref,
    /// A ruling where the document is silent or contradicts itself: a stranger is *non-strict*, not wrong.
    Should,
    /// Said by the document or a protocol text, or safety.
    Must,
}

impl std::fmt::Display for Level {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::May => "MAY",
            Self::Ref => "REF",
            Self::Should => "SHOULD",
            Self::Must => "MUST",
        })
    }
}

/// A clause's citation, such as `rooms/5.1`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct ClauseId(pub String);

/// The result of one case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Every expectation held.
    Pass,
    /// A step that states a MUST clause failed (or a SHOULD clause under `--strict`).
    Fail,
    /// A step that states a SHOULD clause failed.
    NonStrict,
    /// A step that states a REF or MAY clause failed: it is done otherwise than by the reference. Recorded, never judged.
    Otherwise,
    /// It failed, and the target file says so with a reason.
    KnownFailure,
    /// It passed although the target file lists it as failing.
    UnexpectedPass,
    /// It failed by time alone, each time that it was played, and each time the judge itself was too late to say so.
    Inconclusive,
    /// It could not be played here; the reason says why.
    NotRun,
}

/// Who did what, seen from the judge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EntryKind {
    /// The actor sent it to the target.
    Sent,
    /// The target sent it to the actor.
    Received,
    /// Something about the world: connected, dropped, restarted, a deadline.
    Note,
}

/// One line of a transcript, in the case language where that can say it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Time since the case began.
    pub at: Duration,
    /// Who; empty for the world.
    pub actor: String,
    /// Direction.
    pub kind: EntryKind,
    /// What, e.g. `new_message {"roomId": "..."}`.
    pub text: String,
    /// The line of the case that caused or consumed it, if any.
    pub line: Option<u32>,
}

/// Everything that happened in one case, in the order seen by the judge. Bounded by the player.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Transcript {
    /// The entries.
    pub entries: Vec<Entry>,
    /// What the case has names for: the value as it went over the wire, and what the case calls it (`$alice.id`, `$room`).
    pub names: BTreeMap<String, String>,
    /// The HTTP requests that lines asked for, as they were sent.
    pub exchanges: Vec<Exchange>,
}

/// An HTTP request as it was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Exchange {
    /// Of the case.
    pub line: u32,
    /// `http://127.0.0.1:5004`.
    pub base: String,
    /// Method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Headers beside those that every client sends.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
}

/// What shows a failure alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Script {
    /// A `.case` file, cut to what is needed.
    pub case: String,
    /// Lines for a shell, where it is nothing but HTTP.
    pub curl: Option<String>,
    /// The folder of reports below which both were written, if they were.
    pub folder: Option<String>,
}

/// Where in its life a case failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Inside a `use` line: says nothing about the clauses of the case.
    Preamble,
    /// At a step of its own.
    Step,
    /// At the end: a surplus event, a `never`, a missing fence.
    End,
}

/// Why a case failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// Where.
    pub phase: Phase,
    /// Line in the case file, 1-based.
    pub line: u32,
    /// The step as written.
    pub step: String,
    /// The clause that the failing step states.
    pub clause: ClauseId,
    /// That clause's level.
    pub level: Level,
    /// What was expected, in the case language.
    pub expected: String,
    /// What came instead, in the case language, or how long nothing came.
    pub got: String,
    /// It is about time alone: nothing came by then, or it came too early.
    pub timed: bool,
    /// Where the two part: the first place that does not match, such as `.userId: expected "a", got "b"`. Empty when nothing came.
    pub why: String,
}

/// How late the judge itself was while it played a case, at worst.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Lateness {
    /// Between the time at which the case wanted to look and the time at which it could.
    pub task: Duration,
    /// A round trip on the loopback interface, through the judge's own tasks.
    pub loopback: Duration,
}

impl Lateness {
    /// The worse of the two.
    #[must_use]
    pub fn worst(&self) -> Duration {
        self.task.max(self.loopback)
    }
}

/// One case, judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CaseReport {
    /// `rooms/messages/echo`, with the transport appended where the axis is on: `... [polling]`.
    pub name: String,
    /// The case's first line.
    pub title: String,
    /// The case as written, for the reports.
    pub source: String,
    /// The clauses it proves.
    pub clauses: Vec<ClauseId>,
    /// The verdict.
    pub verdict: Verdict,
    /// For known failures and cases not run.
    pub reason: Option<String>,
    /// For failures of any kind.
    pub failure: Option<Failure>,
    /// What happened.
    pub transcript: Transcript,
    /// How long it took.
    pub elapsed: Duration,
    /// How late the judge was.
    pub late: Lateness,
    /// How often it was played; more than once where it failed while the judge was late or the machine busy.
    pub attempts: u32,
    /// What was measured of the target's clocks.
    pub clocks: Vec<Reading>,
    /// Whether a wrong server is known that this case catches; `false` is listed as *unproven*.
    pub proven: bool,
    /// For failures: what shows it alone, where that was made.
    pub script: Option<Script>,
}

/// A clause of a SPEC with what the run says about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClauseReport {
    /// Citation.
    pub id: ClauseId,
    /// Level.
    pub level: Level,
    /// `true`: judged by cases; `false`: a deployment clause, judged by probes.
    pub wire: bool,
    /// Its words.
    pub text: String,
    /// Names of the cases that cite it.
    pub cases: Vec<String>,
}

/// Everything that one `check` found: a run for each dialect.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CheckReport {
    /// In the order in which they were asked for; at least one.
    pub runs: Vec<RunReport>,
    /// Wall time of all together, which is less than their sum where they ran side by side.
    pub elapsed: Duration,
}

impl From<RunReport> for CheckReport {
    fn from(run: RunReport) -> Self {
        Self { elapsed: run.elapsed, runs: vec![run] }
    }
}

/// What the target file says of the implementation, for tables and summaries.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct About {
    /// Its version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The language that it is written in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// What it runs on, with versions: `Node 20, socket.io 4.8`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime: Option<String>,
    /// Where it is described.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// A part of a protocol that no case plays. It is said, and counted nowhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NotJudged {
    /// Of which SPEC.
    pub spec: String,
    /// What.
    pub what: String,
    /// Why.
    pub reason: String,
}

/// A whole run: one target, one dialect.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunReport {
    /// The target's own name.
    pub target: String,
    /// How it was reached: a path of a target file, a URL, or `reference`.
    pub origin: String,
    /// What its target file says of it.
    pub about: About,
    /// What the target file adapts, one line each.
    pub adapted: Vec<String>,
    /// The dialect judged.
    pub dialect: String,
    /// The dialect with whose cases the protocols below were judged, where that was not done here too.
    pub shared_with: Option<String>,
    /// The version of chatwright and its cases.
    pub version: String,
    /// A digest of the cases that were played: the same where they are the same.
    pub cases_digest: String,
    /// The seed of every random choice.
    pub seed: u64,
    /// Whether SHOULD counts like MUST.
    pub strict: bool,
    /// Wall time.
    pub elapsed: Duration,
    /// All cases in name order.
    pub cases: Vec<CaseReport>,
    /// All clauses in SPEC order.
    pub clauses: Vec<ClauseReport>,
    /// Parts of the contracts that no case plays.
    pub not_judged: Vec<NotJudged>,
}
