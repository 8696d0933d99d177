//! Who sits where and who sends when: decided before the run, so that a slow server cannot slow the sends down (open loop).

use std::time::Duration;

/// One connection of the run, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionIndex(pub u32);

/// The layout of a run. Connections fill rooms in order: 0 to `room_size - 1` are in room 0, and so on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plan {
    /// How many connections.
    pub connections: u32,
    /// Members of each room; the last room may have fewer.
    pub room_size: u32,
    /// Messages a second over all connections.
    pub rate: f64,
    /// How long is measured.
    pub duration: Duration,
}

impl Plan {
    /// The room of a connection.
    #[must_use]
    pub fn room_of(&self, connection: ConnectionIndex) -> u32 {
        connection.0 / self.room_size
    }

    /// The members of a room.
    #[must_use]
    pub fn members_of(&self, room: u32) -> std::ops::Range<u32> {
        let first = room * self.room_size;
        first..self.connections.min(first + self.room_size)
    }

    /// How many rooms there are.
    #[must_use]
    pub fn rooms(&self) -> u32 {
        self.connections.div_ceil(self.room_size)
    }

    /// The time between two sends of one connection.
    #[must_use]
    pub fn interval(&self) -> Duration {
        Duration::from_secs_f64(f64::from(self.connections) / self.rate)
    }

    /// When a connection sends its message `number` (from 0), after the start of the measurement; `None` once that lies beyond its end.
    ///
    /// Connections are spread evenly over the interval. Neighbours in a room are far apart in time, since the phase runs over rooms first.
    #[must_use]
    pub fn intended(&self, connection: ConnectionIndex, number: u32) -> Option<Duration> {
        let rooms = self.rooms();
        let seat = connection.0 % self.room_size;
        let slot = f64::from(seat * rooms + self.room_of(connection)) / f64::from(rooms * self.room_size);
        let at = self.interval().mul_f64(slot + f64::from(number));
        (at < self.duration).then_some(at)
    }

    /// How many messages a connection sends in all.
    #[must_use]
    pub fn sends_of(&self, connection: ConnectionIndex) -> u32 {
        (0..).find(|number| self.intended(connection, *number).is_none()).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: Plan = Plan { connections: 25, room_size: 10, rate: 50.0, duration: Duration::from_secs(4) };

    #[test]
    fn rooms_fill_in_order_and_the_last_may_be_smaller() {
        assert_eq!(PLAN.rooms(), 3);
        assert_eq!(PLAN.members_of(0), 0..10);
        assert_eq!(PLAN.members_of(2), 20..25);
        assert_eq!(PLAN.room_of(ConnectionIndex(19)), 1);
    }

    #[test]
    fn the_rate_is_kept_over_all_connections() {
        let sends: u32 = (0..25).map(|index| PLAN.sends_of(ConnectionIndex(index))).sum();
        assert_eq!(sends, 200, "50 a second for 4 seconds");
    }

    #[test]
    fn the_sends_of_a_connection_are_one_interval_apart() {
        let connection = ConnectionIndex(13);
        let first = PLAN.intended(connection, 0).expect("within the run");
        let second = PLAN.intended(connection, 1).expect("within the run");
        assert_eq!(second - first, PLAN.interval());
    }
}
