//! The connections of one kind of socket, and whose turn it is.

use super::connection::Connection;
use super::site::Site;
use super::transport::Transport;
use crate::now::{earlier, Now};
use crate::sys::clock::Clock;
use crate::sys::poll::PollSet;
use std::time::Duration;

/// The connections of one kind. At most a fixed number is open at a time.
pub(in crate::run::server) struct Connections<L> {
    list: Vec<Connection<L>>,
    most: usize,
    /// Which one is served first in the next turn.
    first: usize,
}

impl<L> Connections<L> {
    /// Time that the connections may take in one turn of the loop, by the clock of the loop. A step that has begun is done all the same.
    const SHARE: Duration = Duration::from_millis(5);
    /// How long a connection is kept without getting ahead, if another one waits for its place.
    const LEAST: Duration = Duration::from_secs(1);

    pub(in crate::run::server) fn new(most: usize) -> Self {
        Self { list: Vec::new(), most, first: 0 }
    }

    pub(in crate::run::server) fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether another one can be added, perhaps in the place of one that does not get ahead.
    pub(in crate::run::server) fn has_room(&self, now: Now) -> bool {
        self.list.len() < self.most || self.give_way_at().is_some_and(|at| at <= now.mono)
    }

    /// When the connection that has not got ahead for the longest time can give way.
    fn give_way_at(&self) -> Option<Duration> {
        let stuck = Connection::<L>::TIMEOUT - Self::LEAST;
        self.list.iter().map(|connection| connection.deadline().saturating_sub(stuck)).min()
    }

    /// Adds a connection. Needs room.
    pub(in crate::run::server) fn add(&mut self, now: Now, transport: Transport) {
        if self.list.len() >= self.most {
            let oldest = (0..self.list.len()).min_by_key(|number| self.list[*number].deadline());
            oldest.map(|oldest| self.list.swap_remove(oldest));
        }
        self.list.push(Connection::new(now, transport));
    }

    /// Adds what is to be waited for.
    pub(in crate::run::server) fn add_to(&mut self, poll: &mut PollSet) {
        self.list.iter_mut().for_each(|connection| connection.add_to(poll));
    }

    /// Serves those that are ready, as long as the time of one turn lasts, and closes those whose time is over.
    pub(in crate::run::server) fn handle(&mut self, clock: &Clock, now: Now, poll: &PollSet, site: &mut impl Site<Long = L>) {
        let (count, first, end) = (self.list.len(), self.first, now.mono + Self::SHARE);
        let mut is_over = false;
        for number in (0..count).map(|at| (first + at) % count) {
            let connection = &mut self.list[number];
            match connection.is_ready(poll) {
                true if is_over => connection.put_off(now),
                true => {
                    connection.handle(now, site);
                    self.first = number + 1;
                    is_over = clock.now().mono >= end;
                }
                false => {}
            }
        }
        self.list.retain(|connection| !connection.is_closed() && now.mono < connection.deadline());
    }

    /// When the time of a connection is over, or one can give way to others.
    pub(in crate::run::server) fn next_deadline(&self) -> Option<Duration> {
        let deadline = self.list.iter().map(|connection| Some(connection.deadline())).fold(None, earlier);
        earlier(deadline, self.give_way_at().filter(|_| self.list.len() >= self.most))
    }
}
