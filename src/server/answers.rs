//! Chains whose state agents are to be told (DONE), once everything that came with theirs is written: one datagram for each host.

use crate::wire::{ChainId, Progress, MAX_CHAINS_AT_ONCE};
use std::net::SocketAddrV4;
use std::rc::Rc;

/// Chains that agents sent events of since the last answers.
#[derive(Default)]
pub(super) struct Answers {
    due: Vec<Answer>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Answer {
    to: SocketAddrV4,
    host: Rc<str>,
    chain: u64,
}

impl Answers {
    /// About so many bytes an answer may have.
    const MAX_BYTES: usize = 1000;

    /// The agent at that address is to hear of a chain.
    pub(super) fn push(&mut self, to: SocketAddrV4, host: &Rc<str>, chain: ChainId) {
        let is_last = |last: &Answer| last.chain == chain.0 && last.to == to && last.host == *host;
        if !self.due.last().is_some_and(is_last) {
            self.due.push(Answer { to, host: host.clone(), chain: chain.0 });
        }
    }

    /// Hands over what each host is to hear, as `progress` says. A chain of which it says nothing is left out.
    pub(super) fn drain(
        &mut self,
        progress: impl Fn(&str, ChainId) -> Option<Progress>,
        mut send: impl FnMut(SocketAddrV4, &str, Vec<Progress>),
    ) {
        let mut due = std::mem::take(&mut self.due);
        due.sort_unstable();
        due.dedup();
        for of_host in due.chunk_by(|one, other| (one.to, &one.host) == (other.to, &other.host)) {
            let Answer { to, host, .. } = &of_host[0];
            let mut chains: Vec<Progress> = Vec::new();
            let mut bytes = 0;
            for progress in of_host.iter().filter_map(|answer| progress(host, ChainId(answer.chain))) {
                bytes += Self::size(&progress);
                if chains.len() == MAX_CHAINS_AT_ONCE || bytes > Self::MAX_BYTES && !chains.is_empty() {
                    bytes = Self::size(&progress);
                    send(*to, host, std::mem::take(&mut chains));
                }
                chains.push(progress);
            }
            if !chains.is_empty() {
                send(*to, host, chains);
            }
        }
    }

    /// At most so many bytes one chain takes in an answer.
    fn size(progress: &Progress) -> usize {
        48 + 28 * progress.held.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Message, Seq, MAX_HELD, MAX_USUAL_DATAGRAM};

    fn agent(last: u8) -> SocketAddrV4 {
        SocketAddrV4::new([10, 0, 0, last].into(), 4360)
    }

    fn progress(chain: ChainId) -> Progress {
        let held = (0..MAX_HELD as u64).map(|at| (u64::MAX - 100 + 2 * at, u64::MAX - 100 + 2 * at)).collect();
        Progress { chain, done: Seq { epoch: u64::MAX, number: u64::MAX - 200 }, held }
    }

    #[test]
    fn each_host_hears_of_all_of_its_chains_once_in_few_datagrams() {
        let mut answers = Answers::default();
        let hosts: [Rc<str>; 2] = ["a".into(), "b".into()];
        for round in 0..3 {
            for chain in 0..40 {
                answers.push(agent(1), &hosts[0], ChainId(chain + round));
            }
            answers.push(agent(2), &hosts[1], ChainId(5));
            answers.push(agent(2), &hosts[1], ChainId(6));
        }
        let mut sent = Vec::new();
        let known = |_: &str, chain: ChainId| (chain != ChainId(6)).then(|| Progress { held: Vec::new(), ..progress(chain) });
        answers.drain(known, |to, host, chains| sent.push((to, host.to_string(), chains)));
        let of = |host: &str| sent.iter().filter(|(_, known, _)| known == host).map(|(.., chains)| chains.len()).collect::<Vec<_>>();
        assert_eq!((of("a").iter().sum::<usize>(), of("a").len(), of("b")), (41, 3, vec![1]));
        answers.drain(known, |_, _, _| panic!("all was said"));
    }

    #[test]
    fn no_answer_is_larger_than_a_datagram_may_be() {
        let (mut answers, host): (_, Rc<str>) = (Answers::default(), "h".repeat(100).into());
        (0..16).for_each(|chain| answers.push(agent(1), &host, ChainId(u64::MAX - chain)));
        let mut chains = 0;
        answers.drain(
            |_, chain| Some(progress(chain)),
            |_, host, some| {
                chains += some.len();
                assert!(Message::Done { host, chains: some }.emit().len() <= MAX_USUAL_DATAGRAM);
            },
        );
        assert_eq!(chains, 16);
    }
}
