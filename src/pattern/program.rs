//! A compiled regular expression of `regex-lite` whose memory is known: the library limits it and does not tell it.

use regex_lite::{Captures, Regex, RegexBuilder};

/// A compiled regular expression.
#[derive(Debug)]
pub(super) struct Program {
    regex: Regex,
    /// At most this many bytes the program takes.
    bytes: usize,
}

/// Why there is no program.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ProgramError {
    /// What is wrong with the text.
    Invalid(String),
    /// It takes more bytes than the limit.
    TooLarge,
}

impl Program {
    /// Fewer bytes are not told apart.
    const SMALLEST: usize = 1024;
    /// A state of a program takes four words.
    const STATE: usize = 4 * size_of::<usize>();

    /// Compiles a text within a limit of bytes. It is tried with small limits first, so that the program is known to need most of its
    /// bytes. All tries together take as long as three.
    ///
    /// # Errors
    /// The text is wrong, or its program too large.
    pub(super) fn compile(text: &str, limit: usize) -> Result<Self, ProgramError> {
        let (mut least, mut bytes) = (0, Self::SMALLEST.min(limit));
        let mut found = loop {
            match compile(text, bytes) {
                Ok(regex) => break Self { regex, bytes },
                Err(ProgramError::TooLarge) if bytes < limit => (least, bytes) = (bytes, (2 * bytes).min(limit)),
                Err(error) => return Err(error),
            }
        };
        let middle = (least + bytes) / 2;
        if let (true, Ok(regex)) = (least > 0, compile(text, middle)) {
            found = Self { regex, bytes: middle };
        }
        Ok(found)
    }

    /// How many capture groups a text has whose program fits a limit of bytes, and the names that some of them have.
    ///
    /// # Errors
    /// The text is wrong, or its program too large.
    pub(super) fn check(text: &str, limit: usize) -> Result<(usize, Vec<Box<str>>), ProgramError> {
        compile(text, limit).map(|regex| (regex.captures_len() - 1, regex.capture_names().flatten().map(Into::into).collect()))
    }

    /// What `regex-lite` says of a text. Says nothing of its size.
    pub(super) fn fault(text: &str) -> Option<String> {
        match Self::check(text, 0) {
            Err(ProgramError::Invalid(reason)) => Some(reason),
            _ => None,
        }
    }

    pub(super) fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }

    pub(super) fn captures<'t>(&self, text: &'t str) -> Option<Captures<'t>> {
        self.regex.captures(text)
    }

    /// How many capture groups there are, without the whole match.
    pub(super) fn groups(&self) -> usize {
        self.regex.captures_len() - 1
    }

    /// At most this many states it has.
    pub(super) fn states(&self) -> u32 {
        u32::try_from(self.bytes / Self::STATE).unwrap_or(u32::MAX)
    }

    /// At most this many bytes it takes, together with what a search allocates: twice, for each state, two numbers and the bounds of
    /// all groups.
    pub(super) fn memory(&self) -> usize {
        let bounds = 2 * (self.groups() + 1) * size_of::<usize>();
        self.bytes + self.bytes / Self::STATE * 2 * (2 * size_of::<u32>() + bounds)
    }
}

fn compile(text: &str, limit: usize) -> Result<Regex, ProgramError> {
    RegexBuilder::new(text).size_limit(limit).build().map_err(|e| match e.to_string() {
        reason if reason.contains("size limit") => ProgramError::TooLarge,
        reason => ProgramError::Invalid(reason),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_fits_its_bytes_and_needs_most_of_them() {
        for text in ["a+", r"^\w{3} [ :0-9]{11} [._[:alnum:]-]+ sshd\[[0-9]+\]: ", "(a|b|c){300}", ".{900}"] {
            let program = Program::compile(text, 1 << 20).unwrap();
            assert!(compile(text, program.bytes).is_ok(), "{text}");
            assert!(program.bytes == Program::SMALLEST || compile(text, program.bytes * 2 / 3 - 1).is_err(), "{text} {}", program.bytes);
        }
        assert_eq!(Program::compile("a{1000}", 9000).unwrap_err(), ProgramError::TooLarge);
        assert!(matches!(Program::compile("a(", 9000), Err(ProgramError::Invalid(_))));
    }

    #[test]
    fn groups_take_memory() {
        let memory = |text: &str| Program::compile(text, 1 << 20).unwrap().memory();
        assert!(memory(&"(a)".repeat(50)) > 10 * memory(&"(?:a)".repeat(50)));
    }
}
