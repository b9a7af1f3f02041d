//! What standard output is: a terminal with a width and colours, or a pipe with neither.

use crate::sys::terminal_width;
use crate::text::sanitize;
use std::io::{stdout, IsTerminal, Write};

pub(super) struct Terminal {
    /// Columns; `None` without a limit.
    width: Option<usize>,
    has_colour: bool,
}

/// The colours of things that people should see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Colour {
    Plain,
    Bold,
    Dim,
    Red,
    Green,
    Yellow,
}

/// What became of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Printed {
    Yes,
    /// Nobody reads the output any more.
    NotRead,
}

impl Terminal {
    /// A line is never cut to less than this.
    const LEAST_WIDTH: usize = 40;

    /// What standard output is. `NO_COLOR` and `TERM=dumb` turn colours off.
    pub(super) fn of_output() -> Self {
        let is_terminal = stdout().is_terminal();
        let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
        let width = terminal_width().filter(|_| is_terminal).map(|width| width.max(Self::LEAST_WIDTH));
        Self { width, has_colour: is_terminal && !is_dumb && !is_set("NO_COLOR") }
    }

    #[cfg(test)]
    pub(super) fn for_test(width: Option<usize>, has_colour: bool) -> Self {
        Self { width, has_colour }
    }

    /// A text from anywhere, cut to so many characters and filled up to them, in that colour.
    pub(super) fn cell(&self, text: &str, width: usize, colour: Colour) -> String {
        let text = sanitize(text);
        let length = text.chars().count();
        let fill = width.saturating_sub(length);
        let shown: String = match length > width {
            true => text.chars().take(width.saturating_sub(1)).chain(['…']).collect(),
            false => text.into_owned(),
        };
        format!("{}{:fill$}", self.coloured(&shown, colour), "")
    }

    /// A text from anywhere that ends a line, in that colour. It begins in column `start`, counted from 0, and is cut at the right edge.
    pub(super) fn rest(&self, text: &str, start: usize, colour: Colour) -> String {
        match self.width {
            Some(width) => self.cell(text, sanitize(text).chars().count().min(width.saturating_sub(start).max(10)), colour),
            None => self.coloured(&sanitize(text), colour),
        }
    }

    fn coloured(&self, text: &str, colour: Colour) -> String {
        let code = match colour {
            Colour::Plain => "",
            Colour::Bold => "1",
            Colour::Dim => "2",
            Colour::Red => "31",
            Colour::Green => "32",
            Colour::Yellow => "33",
        };
        if code.is_empty() || !self.has_colour || text.is_empty() {
            return text.to_string();
        }
        format!("\x1b[{code}m{text}\x1b[0m")
    }

    /// Prints a line that is made of cells.
    pub(super) fn print(&self, line: &str) -> Printed {
        match stdout().write_all([line.trim_end(), "\n"].concat().as_bytes()) {
            Ok(()) => Printed::Yes,
            Err(_) => Printed::NotRead,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_have_their_width_and_no_harmful_characters() {
        let plain = Terminal::for_test(Some(50), false);
        for (text, cell) in [("nas", "nas   "), ("router1", "route…"), ("a\x1b[1m", "a\u{fffd}[1m "), ("äöüßäö", "äöüßäö"), ("", "      ")]
        {
            assert_eq!(plain.cell(text, 6, Colour::Red), cell);
        }
        assert_eq!(plain.rest(&"x".repeat(60), 20, Colour::Plain), "x".repeat(29) + "…");
        assert_eq!(Terminal::for_test(None, false).rest(&"x".repeat(60), 20, Colour::Plain).len(), 60);
    }

    #[test]
    fn colours_take_no_columns() {
        let coloured = Terminal::for_test(Some(80), true);
        assert_eq!(coloured.cell("up", 4, Colour::Green), "\x1b[32mup\x1b[0m  ");
        assert_eq!(coloured.cell("up", 4, Colour::Plain), "up  ");
    }
}
