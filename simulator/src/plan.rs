//! Who talks, where and when: drawn from the seed before anything runs, so that the traffic replays.

use std::collections::BTreeSet;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use chatwright_client_sdk::protocol::dialects::Addressing;

use crate::{
    promises::Promises,
    schedule::{FaultKind, Place, Schedule},
};

/// The generator of traffic is this stream of the seed, so that other draws do not move it.
const TRAFFIC_STREAM: u64 = 2;
/// Three bots at each instance: each room then has members at every instance, and outsiders too.
const BOTS_PER_INSTANCE: usize = 3;
/// Three rooms with two thirds of the bots each: every room has members and outsiders.
const ROOMS: usize = 3;
/// Messages a second over all bots: enough to meet each fault some dozen times, few enough to read in a timeline and to lie within the newest
/// 50 of a room when somebody comes back after three seconds.
const SENDS_PER_SECOND: u64 = 30;

/// The traffic of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// Who talks.
    pub bots: Vec<BotPlan>,
    /// Where, by index.
    pub rooms: Vec<String>,
    /// What is said, by number of the operation, in the order of time.
    pub sends: Vec<SendPlan>,
    /// How many messages of a room the server keeps, the newest.
    pub history_kept: usize,
    /// What may be asked of the server.
    #[serde(skip)]
    pub promises: Promises,
}

/// One bot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BotPlan {
    /// Its user id and name.
    pub user: String,
    /// The instance that it connects to; 1 is the first.
    pub instance: usize,
    /// The rooms that it is a member of, by index into [`Plan::rooms`].
    pub rooms: Vec<usize>,
    /// When it goes for good, without a word: together with its instance, which cannot tell anybody. Nobody may see it any more in the end.
    pub quits_ms: Option<u64>,
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SendPlan {
    /// In milliseconds since the traffic began.
    pub at_ms: u64,
    /// Who, by index into [`Plan::bots`].
    pub bot: usize,
    /// Where, by index into [`Plan::rooms`].
    pub room: usize,
    /// What: unlike every other text of the run.
    pub text: String,
}

impl Plan {
    /// Draws the traffic of a schedule, for a server that promises so much and keeps this many messages of a room.
    #[must_use]
    pub fn draw(schedule: &Schedule, history_kept: usize, promises: Promises) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(schedule.seed);
        random.set_stream(TRAFFIC_STREAM);
        let seats = seats(schedule.instances, promises.addressing());
        let mut bots: Vec<BotPlan> = (0..schedule.instances * BOTS_PER_INSTANCE)
            .map(|index| BotPlan {
                user: format!("bot-{}", index + 1),
                instance: index / BOTS_PER_INSTANCE + 1,
                rooms: (0..seats.len()).filter(|room| seats[*room].contains(&index)).collect(),
                quits_ms: None,
            })
            .collect();
        if let Some((instance, at_ms)) = first_kill(schedule) {
            let one = (instance - 1) * BOTS_PER_INSTANCE + random.random_range(0..BOTS_PER_INSTANCE);
            bots[one].quits_ms = Some(at_ms);
        }
        let gap_ms = 1_000 / SENDS_PER_SECOND;
        let sends = (0..schedule.seconds * SENDS_PER_SECOND)
            .map(|number| {
                let at_ms = number * gap_ms + random.random_range(0..gap_ms);
                let talking: Vec<usize> =
                    (0..bots.len()).filter(|bot| bots[*bot].quits_ms.is_none_or(|quits| at_ms < quits)).collect();
                let bot = talking[random.random_range(0..talking.len())];
                let room = bots[bot].rooms[random.random_range(0..bots[bot].rooms.len())];
                SendPlan { at_ms, bot, room, text: format!("m{number} from {}", bots[bot].user) }
            })
            .collect();
        let rooms = (1..=seats.len()).map(|number| format!("sim-{}-{number}", schedule.seed)).collect();
        Self { bots, rooms, sends, history_kept, promises }
    }

    /// The members of a room, by index into [`Plan::bots`].
    pub fn members(&self, room: usize) -> impl Iterator<Item = usize> {
        self.bots.iter().enumerate().filter(move |(_, bot)| bot.rooms.contains(&room)).map(|(index, _)| index)
    }
}

/// Who sits in which room, by index of the bot. Whoever can be in one room only sits in every other one; conversations of two lead from
/// instance to instance; else each room has two thirds of the bots.
fn seats(instances: usize, addressing: Addressing) -> Vec<Vec<usize>> {
    let bots = instances * BOTS_PER_INSTANCE;
    match addressing {
        Addressing::Rooms | Addressing::Users => (0..ROOMS)
            .map(|room| (0..bots).filter(|bot| room % BOTS_PER_INSTANCE != bot % BOTS_PER_INSTANCE).collect())
            .collect(),
        Addressing::OneRoom => (0..2).map(|room| (0..bots).filter(|bot| bot % 2 == room).collect()).collect(),
        Addressing::OneUser => {
            let stride = if instances == 1 { 1 } else { BOTS_PER_INSTANCE };
            let pairs = (0..bots).map(|bot| {
                let peer = (bot + stride) % bots;
                vec![bot.min(peer), bot.max(peer)]
            });
            let unique: BTreeSet<Vec<usize>> = pairs.collect();
            unique.into_iter().collect()
        }
    }
}

/// The first instance that dies without a word, and when.
fn first_kill(schedule: &Schedule) -> Option<(usize, u64)> {
    schedule.faults.iter().find_map(|fault| match (&fault.target, fault.fault) {
        (Place::Instance(number), FaultKind::Kill) => Some((*number, fault.at_ms)),
        (Place::Instance(_) | Place::Backend(_), FaultKind::Kill | FaultKind::Restart | FaultKind::Pause) => None,
    })
}

#[cfg(test)]
mod tests {
    use chatwright_client_sdk::protocol::dialects::{self, rooms};
    use chatwright_conformance::target::RowOverrides;

    use super::*;
    use crate::schedule::Fault;

    fn as_documented() -> Promises {
        Promises::of(&rooms::DIALECT, &RowOverrides::default())
    }

    #[test]
    fn in_every_dialect_everybody_has_somebody_to_talk_to_and_somebody_is_outside() {
        for dialect in dialects::ALL {
            for instances in 1..=4 {
                let promises = Promises::of(dialect, &RowOverrides::default());
                let schedule = Schedule::draw(1, instances, 6, &BTreeSet::new()).expect("in bounds");
                let plan = Plan::draw(&schedule, 1_000, promises);
                assert!(plan.bots.iter().all(|bot| !bot.rooms.is_empty()), "{} {instances}", dialect.name);
                for room in 0..plan.rooms.len() {
                    let members = plan.members(room).count();
                    let outsiders = plan.bots.len() - members;
                    assert!(members >= if instances == 1 { 1 } else { 2 } && outsiders > 0, "{} {room}", dialect.name);
                }
                let rooms = plan.bots.iter().map(|bot| bot.rooms.len()).max();
                match promises.addressing() {
                    Addressing::OneRoom => assert_eq!(rooms, Some(1)),
                    Addressing::OneUser => assert!((0..plan.rooms.len()).all(|room| plan.members(room).count() == 2)),
                    Addressing::Rooms | Addressing::Users => assert_eq!(plan.rooms.len(), ROOMS),
                }
            }
        }
    }

    #[test]
    fn traffic_replays_from_its_seed_in_order_and_with_texts_of_its_own() {
        let schedule = Schedule::draw(5, 3, 12, &BTreeSet::new()).expect("in bounds");
        let plan = Plan::draw(&schedule, 1_000, as_documented());
        assert_eq!(plan, Plan::draw(&schedule, 1_000, as_documented()));
        assert!(plan.sends.is_sorted_by_key(|send| send.at_ms));
        assert!(plan.sends.iter().all(|send| send.at_ms < 12_000 && plan.bots[send.bot].rooms.contains(&send.room)));
        let texts: BTreeSet<&str> = plan.sends.iter().map(|send| send.text.as_str()).collect();
        assert_eq!(texts.len(), plan.sends.len());
    }

    #[test]
    fn every_room_has_members_at_every_instance_and_outsiders() {
        for instances in 1..=4 {
            let plan = Plan::draw(
                &Schedule::draw(1, instances, 6, &BTreeSet::new()).expect("in bounds"),
                1_000,
                as_documented(),
            );
            for room in 0..plan.rooms.len() {
                let at: BTreeSet<usize> = plan.members(room).map(|bot| plan.bots[bot].instance).collect();
                assert_eq!(at.len(), instances, "room {room}");
                assert!(plan.members(room).count() < plan.bots.len(), "room {room} has no outsider");
            }
        }
    }

    #[test]
    fn one_bot_of_the_killed_instance_goes_with_it_and_sends_nothing_afterwards() {
        for seed in 0..50 {
            let schedule = Schedule::draw(seed, 3, 12, &BTreeSet::new()).expect("in bounds");
            let is_kill = |fault: &&Fault| fault.fault == FaultKind::Kill && matches!(fault.target, Place::Instance(_));
            let kill = schedule.faults.iter().find(is_kill).expect("it is drawn");
            let plan = Plan::draw(&schedule, 1_000, as_documented());
            let quitters: Vec<usize> = (0..plan.bots.len()).filter(|bot| plan.bots[*bot].quits_ms.is_some()).collect();
            let [quitter] = quitters[..] else { panic!("{quitters:?}") };
            assert_eq!(
                (Place::Instance(plan.bots[quitter].instance), plan.bots[quitter].quits_ms),
                (kill.target.clone(), Some(kill.at_ms))
            );
            assert!(plan.sends.iter().all(|send| send.bot != quitter || send.at_ms < kill.at_ms));
        }
    }
}
