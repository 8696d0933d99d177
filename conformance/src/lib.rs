//! The judge of chat servers: it plays cases against a target and says which clauses of its contract hold.
//!
//! It shares no code with what it judges: the cases hold the packets, and `wire` is a client of its own. It knows no dialect: a
//! folder under `fixtures/dialects` is a dialect. It decides nothing about exit codes and prints nothing: that is for who calls it.
//!
//! A case goes through the judge as follows:
//!
//! 1. [`fixtures::Fixtures::files`] reads the texts, embedded or from a folder.
//! 2. [`suite::Suite::load`] makes of them SPECs ([`spec::parse_spec`]), descriptors ([`dialect::parse_dialect`]) and cases
//!    ([`case::parse_case`]), and checks them against each other: every mistake is told with file, line and column.
//! 3. [`target::Target::start`] starts or reaches the system under test, with its control, tokens and auth stub.
//! 4. [`run::run`] asks `plan::plan` what is played over which transport, what is played alone, and what cannot be played and why.
//! 5. `play::play` walks through the steps (`play/steps.rs`): senders (`play/sending.rs`, `play/connect.rs`, `play/answers.rs`)
//!    write to the actor's `wire::Link`; expectations (`play/expect.rs`) take the actor's next arrival, read it as far as the
//!    protocol goes (`play/actor.rs`), and test it (`play/want.rs`) with [`case::match_pattern`].
//! 6. `play/end.rs` sends fences and finds what nobody expected; what came of it is a [`outcome::Transcript`] and perhaps a
//!    [`outcome::Failure`].
//! 7. [`verdict::verdict`] says what that means, by the level of the failing step's clause and the target's known failures. What
//!    failed while the judge itself was late (`lateness.rs`) is played again, alone; [`clocks`] shows what was measured of each clock.
//! 8. [`report`] shows the [`outcome::RunReport`] on a terminal, as JSON, JUnit XML or HTML.
//!
//! Who judges the judge: [`wrong`], servers with one defect each.

pub mod auth_stub;
pub mod case;
pub mod clocks;
pub mod datum;
pub mod dialect;
pub mod differential;
mod digest;
pub mod explain;
pub mod fixtures;
mod lateness;
mod observer;
pub mod outcome;
mod plan;
mod play;
pub mod record;
pub mod replay;
pub mod report;
pub mod run;
pub mod spec;
pub mod suite;
pub mod target;
pub mod tokens;
pub mod verdict;
mod wire;
pub mod wrong;
