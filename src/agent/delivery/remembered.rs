//! What an earlier run of the agent kept in a file of its own: the checkpoints of its logs, and which runs they follow. Opens no file.

use crate::lines::lines;
use crate::wire::position::{parse_base36, Base36};
use crate::wire::{ChainId, Checkpoint, Message};

/// The text of the file is one AT a line, and first the line `RUNS%%epoch,epoch…`. Other lines are skipped.
#[derive(Default)]
pub(super) struct Remembered {
    checkpoints: Vec<(ChainId, Checkpoint<Box<str>>)>,
    /// The epochs that the checkpoints follow, or are of, the oldest first.
    epochs: Vec<u64>,
}

impl Remembered {
    /// Most epochs. Each restart and each change of servers begins one.
    const MAX_EPOCHS: usize = 64;
    const EPOCHS: &'static str = "RUNS%%";

    /// Reads the text. A file that knows nothing of epochs follows those that its checkpoints name.
    pub(super) fn parse(text: &str) -> Self {
        let mut remembered = Self::default();
        for (_, line) in lines(text.as_bytes()) {
            if let Some(epochs) = std::str::from_utf8(line).ok().and_then(|line| line.strip_prefix(Self::EPOCHS)) {
                epochs.split(',').filter_map(parse_base36).for_each(|epoch| remembered.add_epoch(epoch));
            } else if let Ok(Message::At { chain, checkpoint: Some(checkpoint), .. }) = Message::parse_of_server(line) {
                remembered.add_epoch(checkpoint.seq.epoch);
                remembered.checkpoints.push((chain, checkpoint.to_owned()));
            }
        }
        remembered
    }

    /// This agent's epoch follows all that are known.
    pub(super) fn add_epoch(&mut self, epoch: u64) {
        if !self.epochs.contains(&epoch) {
            self.epochs.push(epoch);
            let excess = self.epochs.len().saturating_sub(Self::MAX_EPOCHS);
            self.epochs.drain(..excess);
        }
    }

    /// The text with these checkpoints and, of other chains, those that are remembered.
    pub(super) fn emit<'a>(&'a self, host: &str, present: impl Iterator<Item = (ChainId, Checkpoint<&'a str>)>) -> String {
        let epochs: Vec<String> = self.epochs.iter().map(|epoch| Base36(*epoch).to_string()).collect();
        let mut text = format!("{}{}\n", Self::EPOCHS, epochs.join(","));
        let mut emitted = Vec::new();
        let remembered = self.checkpoints.iter().map(|(chain, checkpoint)| (*chain, checkpoint.borrowed()));
        for (chain, checkpoint) in present.chain(remembered) {
            if !emitted.contains(&chain) {
                emitted.push(chain);
                Message::At { host, chain, checkpoint: Some(checkpoint) }.emit_into(&mut text);
                text.push('\n');
            }
        }
        text
    }

    /// The checkpoint of a chain, unless the server's is further: the server has come further in the same epoch, or knows an epoch that
    /// the file does not. Then the file is old: it could not be written, or it was brought back.
    pub(super) fn further_than(&self, server: Option<&Checkpoint<Box<str>>>, chain: ChainId) -> Option<&Checkpoint<Box<str>>> {
        let (_, own) = self.checkpoints.iter().find(|(known, _)| *known == chain)?;
        let is_further = match server {
            None => true,
            Some(server) if server.seq.epoch == own.seq.epoch => (own.seq.number, own.unix) > (server.seq.number, server.unix),
            Some(server) => self.epochs.contains(&server.seq.epoch),
        };
        is_further.then_some(own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Seq;

    const LOG: ChainId = ChainId(5);
    const TEXT: &str = "RUNS%%1,2,3\nAT%%h%%5%%3.4%%100%%9.1.1\nAT%%h%%6%%2.1%%50%%8.1.1\n";

    #[test]
    fn parse_and_emit_are_inverses() {
        assert_eq!(Remembered::parse(TEXT).emit("h", std::iter::empty()), TEXT);
        let old = "something\nAT%%h%%5%%3.4%%100%%9.1.1\nRUNS%%?\n\n";
        assert_eq!(Remembered::parse(old).emit("h", std::iter::empty()), "RUNS%%3\nAT%%h%%5%%3.4%%100%%9.1.1\n");
        let mut remembered = Remembered::parse(TEXT);
        remembered.add_epoch(7);
        let present = Checkpoint { seq: Seq { epoch: 7, number: 0 }, unix: 101, position: "-" };
        let text = "RUNS%%1,2,3,7\nAT%%h%%5%%7.0%%101%%-\nAT%%h%%6%%2.1%%50%%8.1.1\n";
        assert_eq!(remembered.emit("h", [(LOG, present)].into_iter()), text);
        (100..200).for_each(|epoch| remembered.add_epoch(epoch));
        assert_eq!(remembered.epochs.len(), Remembered::MAX_EPOCHS);
    }

    #[test]
    fn the_file_counts_unless_the_server_knows_more_whatever_the_clock_says() {
        let remembered = Remembered::parse(TEXT);
        for (server, is_further) in [
            (None, true),
            (Some((3, 3, 500)), true),
            (Some((3, 4, 99)), true),
            (Some((3, 4, 100)), false),
            (Some((3, 5, 1)), false),
            (Some((1, 99, 500)), true),
            (Some((2, 99, 500)), true),
            (Some((4, 0, 1)), false),
        ] {
            let server = server.map(|(epoch, number, unix)| Checkpoint { seq: Seq { epoch, number }, unix, position: "2.1.1".into() });
            assert_eq!(remembered.further_than(server.as_ref(), LOG).is_some(), is_further, "{server:?}");
        }
        assert!(remembered.further_than(None, ChainId(7)).is_none());
    }
}
