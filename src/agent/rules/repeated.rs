//! Lines that stand for several: `message repeated 3 times: [ … ]`, as rsyslog and others write them.

use super::search::FoundLine;
use crate::text::number;

/// How many lines a line stands for: more than one only if it says so and has the message in brackets.
pub(super) fn times(line: &FoundLine<'_>) -> u64 {
    if !line.bytes.ends_with(b"]") {
        return 1;
    }
    times_of(line.text()).unwrap_or(1)
}

fn times_of(line: &str) -> Option<u64> {
    let (_, rest) = line.split_once(": message repeated ")?;
    let (times, message) = rest.split_once(" times: [")?;
    number(times, 10).filter(|times| *times > 0 && !message.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_message_counts_as_often_as_it_says() {
        for (line, times) in [
            ("Nov 30 12:00:00 nas sshd[7]: message repeated 5 times: [ Failed password for root]", Some(5)),
            ("Nov 30 12:00:00 nas sshd[7]: message repeated 0 times: [ x]", None),
            ("Nov 30 12:00:00 nas sshd[7]: message repeated many times: [ x]", None),
            ("Nov 30 12:00:00 nas sshd[7]: message repeated 99999999999999999999 times: [ x]", None),
            ("Nov 30 12:00:00 nas sshd[7]: last message repeated 5 times", None),
            ("the message repeated 5 times: [ x]", None),
            ("sshd: [ x]", None),
        ] {
            assert_eq!(times_of(line), times, "{line}");
        }
    }
}
