//! A command of a host file: a program with arguments, or one that is built into the agent.

/// A program with its arguments, split at white space. No shell interprets it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CommandLine(String);

/// A command that the agent carries out itself, without a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Builtin {
    /// `@df`: mounted file systems.
    Df,
    /// `@load`: load averages.
    Load,
    /// `@mem`: memory and swap.
    Mem,
    /// `@uptime`: seconds since the system started.
    Uptime,
}

impl CommandLine {
    /// A command that is run as a process, which no built-in one is.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.starts_with('@') {
            return Err(format!("a built-in command such as {text} can only be used in run: command="));
        }
        Ok(Self::spaced(text))
    }

    /// A command of `run:`, which may be a built-in one.
    pub(super) fn parse_runnable(text: &str) -> Result<Self, String> {
        let command = Self::spaced(text);
        if text.starts_with('@') && command.builtin().is_none() {
            return Err(format!("run: there is no built-in command {text}; there are @df @load @mem @uptime"));
        }
        Ok(command)
    }

    fn spaced(text: &str) -> Self {
        let mut command = String::new();
        for word in text.split_whitespace() {
            if !command.is_empty() {
                command.push(' ');
            }
            command.push_str(word);
        }
        Self(command)
    }

    /// The command with single spaces.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The program, and after it the arguments. Never empty.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.0.split(' ')
    }

    /// The built-in command that this is, if any.
    pub fn builtin(&self) -> Option<Builtin> {
        match self.as_str() {
            "@df" => Some(Builtin::Df),
            "@load" => Some(Builtin::Load),
            "@mem" => Some(Builtin::Mem),
            "@uptime" => Some(Builtin::Uptime),
            _ => None,
        }
    }
}
