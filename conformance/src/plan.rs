//! Decides what is played, how, and what cannot be played here and why.

use std::time::Duration;

use globset::{Glob, GlobSet, GlobSetBuilder};

use crate::{
    case::{Act, Amount, Case, ConnectOptions, Own, Serve, Span, Step, StepAct, Tail, Transport, Value},
    dialect::Carrier,
    play::Stage,
    suite::tails,
    target::BackendName,
};

/// What any case may take beside the clocks it waits for: a busy machine, a slow start.
const CASE_SLACK: Duration = Duration::from_secs(30);

/// No case is given more than this.
const CASE_BOUND_MAX: Duration = Duration::from_secs(15 * 60);

/// A case to be played, or not.
#[derive(Debug, Clone)]
pub(crate) struct Planned<'a> {
    pub(crate) case: &'a Case,
    /// With the transport behind it where several are played.
    pub(crate) name: String,
    pub(crate) transport: Transport,
    pub(crate) company: Company,
    /// When it is given up.
    pub(crate) bound: Duration,
    /// How long it does nothing but wait although everything is right.
    pub(crate) waits: Duration,
    /// Why it is not played.
    pub(crate) hindrance: Option<String>,
}

/// What may be played at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Company {
    /// Every other case that does not have to be alone.
    Others,
    /// Nothing that shares anything with it.
    Nobody,
    /// Everything: it has an instance to itself, which stands on no backend of the target.
    Anybody,
}

/// Compiles case filters; none given lets everything through.
///
/// # Errors
/// The glob that is none.
pub(crate) fn filter(globs: &[String]) -> Result<Option<GlobSet>, String> {
    if globs.is_empty() {
        return Ok(None);
    }
    let mut set = GlobSetBuilder::new();
    for glob in globs {
        set.add(Glob::new(glob).map_err(|e| format!("`{glob}` is no filter: {e}"))?);
    }
    set.build().map(Some).map_err(|e| e.to_string())
}

/// Whether a filter means this case, by its name with or without the transport.
pub(crate) fn wanted(filter: Option<&GlobSet>, name: &str) -> bool {
    let plain = name.split(" [").next().unwrap_or(name);
    filter.is_none_or(|set| set.is_match(name) || set.is_match(plain))
}

/// Plans one case: once for each transport, if the transport is left open by it.
pub(crate) fn plan<'a>(case: &'a Case, axis: &[Transport], stage: &Stage, budget: Duration) -> Vec<Planned<'a>> {
    let documented = stage.of_own(stage.target);
    let stage = if case.own.is_some() { &documented } else { stage };
    let open = leaves_transport_open(&case.steps);
    let ways = if open && axis.len() > 1 { axis } else { &axis[..axis.len().min(1)] };
    let estimate = estimate(&case.steps, stage);
    let bound = (CASE_SLACK + 2 * estimate + explicit_patience(case, stage)).min(CASE_BOUND_MAX);
    ways.iter()
        .map(|transport| Planned {
            case,
            name: if open && axis.len() > 1 { format!("{} [{transport}]", case.name) } else { case.name.clone() },
            transport: *transport,
            company: company(case, stage),
            bound,
            waits: estimate,
            hindrance: hindrance(case, open.then_some(*transport), stage).or_else(|| {
                (estimate > budget).then(|| {
                    format!(
                        "it waits for about {} s of the target's clocks; the clock budget is {} s",
                        estimate.as_secs(),
                        budget.as_secs()
                    )
                })
            }),
        })
        .collect()
}

fn company(case: &Case, stage: &Stage) -> Company {
    if is_alone(case) {
        return Company::Nobody;
    }
    let names_backend =
        |text: &str| BackendName::ALL.iter().any(|name| text.contains(&format!("{{{}.", name.as_str())));
    let stands_apart = |own: &Own| {
        let given = own.with.iter().chain(&own.dotenv).any(|(_, text)| names_backend(&text.to_string()));
        let needs_backend = case.needs.iter().any(|need| need.starts_with("backend="));
        !given && !needs_backend && !stage.target.own_stands_on_backends(&own.without)
    };
    if case.own.as_ref().is_some_and(stands_apart) { Company::Anybody } else { Company::Others }
}

fn is_alone(case: &Case) -> bool {
    // What is done to an instance of its own, and to the auth service of that, disturbs nobody else.
    let shared = case.own.is_none();
    let touches_world = |step: &Step| match step.act {
        StepAct::Backend { .. } => true,
        StepAct::Target { .. } | StepAct::Auth { actor: None, .. } => shared,
        StepAct::Use { .. }
        | StepAct::Actor { .. }
        | StepAct::Wait(_)
        | StepAct::Repeat { .. }
        | StepAct::Retry { .. }
        | StepAct::Listens { .. }
        | StepAct::Auth { actor: Some(_), .. }
        | StepAct::Asks { .. } => false,
    };
    case.needs.iter().any(|need| need == "exclusive") || case.steps.iter().any(touches_world)
}

fn hindrance(case: &Case, transport: Option<Transport>, stage: &Stage) -> Option<String> {
    let target = stage.target;
    let can = |word: &str| target.capabilities.contains(word);
    let own = case.own.is_some();
    if own && target.own_identity().is_none() {
        return Some("needs an instance of its own: `[start.documented]` in the target file".to_owned());
    }
    for need in &case.needs {
        let met = match need.split_once('=') {
            Some(("instances", count)) => {
                own || count.parse().is_ok_and(|count: usize| target.instances().len() >= count)
            }
            // Whether it is free is seen when the instance starts.
            Some((name, _)) if name == "port" || name.starts_with("port.") => true,
            Some(("identity", kind)) if own => target.own_identity().is_some_and(|own| own.to_string() == kind),
            Some(("dialect", name)) => stage.dialect.name == name,
            Some(_) => can(need),
            None if need == "socket.io" => stage.dialect.carrier == Carrier::SocketIo,
            None => need == "exclusive" || can(need),
        };
        if !met {
            return Some(format!("needs {need}"));
        }
    }
    let ways: &[&str] = match transport {
        Some(Transport::Websocket) => &["websocket"],
        Some(Transport::Polling) => &["polling"],
        Some(Transport::Upgrade) => &["polling", "websocket"],
        None => &[],
    };
    ways.iter().find(|way| !can(way)).map(|way| format!("the target does not offer {way}"))
}

/// Whether the case connects somewhere without saying how.
fn leaves_transport_open(steps: &[Step]) -> bool {
    let is_open = |options: &ConnectOptions| options.transport.is_none();
    steps.iter().any(|step| match &step.act {
        StepAct::Use { options, .. } => is_open(options),
        StepAct::Actor { does: Act::Connects(options, _) | Act::Tries(options) | Act::Opens(options, _), .. } => {
            is_open(options)
        }
        StepAct::Actor { does: Act::Serves(Serve::Starts(starting)), .. } => starting.transport.is_none(),
        StepAct::Repeat { steps, .. } | StepAct::Retry { steps, .. } => leaves_transport_open(steps),
        StepAct::Actor { .. }
        | StepAct::Wait(_)
        | StepAct::Auth { .. }
        | StepAct::Target { .. }
        | StepAct::Listens { .. }
        | StepAct::Asks { .. }
        | StepAct::Backend { .. } => false,
    })
}

/// How long the case waits although everything is right: its waits, and the clocks of the target that it sits out.
fn estimate(steps: &[Step], stage: &Stage) -> Duration {
    steps
        .iter()
        .map(|step| match &step.act {
            StepAct::Wait(span) => length(span, stage),
            StepAct::Repeat { from, to, steps, .. } => estimate(steps, stage).saturating_mul(rounds(from, to)),
            StepAct::Retry { steps, .. } => estimate(steps, stage),
            StepAct::Actor { does, .. } => {
                let quiet = if let Act::Quiet(span, _) | Act::Serves(Serve::Unasked(span, _)) = does {
                    length(span, stage)
                } else {
                    Duration::ZERO
                };
                let clocks =
                    tails(does).into_iter().filter_map(|tail| tail.within.as_ref()).filter(|span| has_clock(span));
                quiet + clocks.map(|span| length(span, stage)).max().unwrap_or_default()
            }
            StepAct::Use { .. }
            | StepAct::Auth { .. }
            | StepAct::Target { .. }
            | StepAct::Listens { .. }
            | StepAct::Asks { .. }
            | StepAct::Backend { .. } => Duration::ZERO,
        })
        .sum()
}

/// What the case says itself about how long its steps may take.
fn explicit_patience(case: &Case, stage: &Stage) -> Duration {
    let spans = |tails: Vec<&Tail>| {
        tails.into_iter().filter_map(|tail| tail.within.as_ref()).map(|span| length(span, stage)).sum()
    };
    let of_step = |step: &Step| match &step.act {
        StepAct::Actor { does, .. } => spans(tails(does)),
        StepAct::Asks { tail, .. } => spans(vec![tail]),
        StepAct::Retry { within, .. } => length(within, stage),
        StepAct::Use { .. }
        | StepAct::Wait(_)
        | StepAct::Repeat { .. }
        | StepAct::Auth { .. }
        | StepAct::Target { .. }
        | StepAct::Listens { .. }
        | StepAct::Backend { .. } => Duration::ZERO,
    };
    let steps: Duration = case.steps.iter().map(of_step).sum();
    steps + case.within.as_ref().map_or(Duration::ZERO, |span| length(span, stage))
}

fn rounds(from: &Value, to: &Value) -> u32 {
    match (from, to) {
        (Value::Number(from), Value::Number(to)) => {
            let (from, to) = (from.as_u64().unwrap_or(0), to.as_u64().unwrap_or(0));
            u32::try_from(to.saturating_sub(from) + 1).unwrap_or(u32::MAX)
        }
        _ => 1,
    }
}

fn has_clock(span: &Span) -> bool {
    span.0.iter().any(|term| matches!(term.amount, Amount::Clock(_)))
}

fn length(span: &Span, stage: &Stage) -> Duration {
    span.0.iter().fold(Duration::ZERO, |total, term| {
        let amount = match &term.amount {
            Amount::Millis(ms) => Duration::from_millis(*ms),
            Amount::Clock(name) => stage.clock(name).unwrap_or_default(),
            Amount::Name(_) => Duration::ZERO,
        };
        if term.minus { total.saturating_sub(amount) } else { total.saturating_add(amount) }
    })
}
