//! The text format of Prometheus: families of metrics, each with its help and its type, and samples with labels.

use std::fmt::{Display, Write as _};

/// What a family is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Counter,
    Gauge,
    Histogram,
}

#[derive(Default)]
pub(super) struct Exposition {
    text: String,
}

impl Exposition {
    /// Begins a family. Its samples follow.
    pub(super) fn family(&mut self, name: &str, kind: Type, help: &str) {
        let kind = match kind {
            Type::Counter => "counter",
            Type::Gauge => "gauge",
            Type::Histogram => "histogram",
        };
        let _ = write!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    /// Adds a sample. The values of labels may be any text.
    pub(super) fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.text.push_str(name);
        let mut separator = '{';
        for (label, value) in labels {
            let _ = write!(self.text, "{separator}{label}=\"");
            push_escaped(value, &mut self.text);
            self.text.push('"');
            separator = ',';
        }
        let close = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.text, "{close} {value}");
    }

    /// A family with one sample and no labels.
    pub(super) fn single(&mut self, name: &str, kind: Type, help: &str, value: impl Display) {
        self.family(name, kind, help);
        self.sample(name, &[], value);
    }

    pub(super) fn finish(self) -> String {
        self.text
    }
}

fn push_escaped(value: &str, text: &mut String) {
    for c in value.chars() {
        match c {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            c => text.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_have_help_and_type_and_labels_are_escaped() {
        let mut exposition = Exposition::default();
        exposition.single("a_total", Type::Counter, "All.", 7);
        exposition.family("b", Type::Gauge, "Some.");
        exposition.sample("b", &[("host", "n\\a\"s\n"), ("tags", "A,ü")], -0.5);
        let expected = "# HELP a_total All.\n# TYPE a_total counter\na_total 7\n\
                        # HELP b Some.\n# TYPE b gauge\nb{host=\"n\\\\a\\\"s\\n\",tags=\"A,ü\"} -0.5\n";
        assert_eq!(exposition.finish(), expected);
    }
}
