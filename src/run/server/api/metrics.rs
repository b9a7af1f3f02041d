//! `/api/metrics`: the numbers of the last day as JSON, one series after the other.

use super::filter::parse_time;
use super::query::Query;
use crate::run::server::http::Progress;
use crate::series::{Point, Selected, Series};
use nanoserde::SerJson;
use std::fmt::Write as _;

/// An answer that is being made.
pub(in crate::run::server) struct Metrics {
    /// Patterns.
    host: String,
    tags: String,
    since: u64,
    /// The last series that was sent.
    last: Option<(String, String)>,
    has_begun: bool,
}

impl Metrics {
    const PARAMETERS: [&'static str; 3] = ["host", "tags", "since"];
    /// Bytes of text after which a piece ends.
    const PIECE: usize = 32 * 1024;

    /// Reads a request.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn new(query: &str) -> Result<Self, String> {
        let query = Query::parse(query, &Self::PARAMETERS)?;
        let pattern = |name| query.get(name).unwrap_or("*").to_string();
        let since = query.value("since", "seconds since 1970, or a time such as 2026-12-01T08:00:00Z", parse_time)?;
        Ok(Self { host: pattern("host"), tags: pattern("tags"), since: since.unwrap_or(0), last: None, has_begun: false })
    }

    /// Appends the next piece of the answer.
    pub(super) fn next_piece(&mut self, series: &Series, text: &mut String) -> Progress {
        if !self.has_begun {
            self.has_begun = true;
            let _ = write!(text, "{{\"step_seconds\":{},\"series\":[", Series::STEP);
        }
        let last = self.last.take();
        // Series may come and go between two pieces. Their order stays.
        let is_behind = |selected: &Selected<'_>| last.as_ref().is_none_or(|(host, tags)| (selected.host, selected.tags) > (host, tags));
        let mut is_first = last.is_none();
        for selected in series.select(&self.host, &self.tags, self.since).filter(is_behind) {
            if !std::mem::take(&mut is_first) {
                text.push(',');
            }
            push_series(&selected, text);
            if text.len() >= Self::PIECE {
                self.last = Some((selected.host.into(), selected.tags.into()));
                return Progress::Continues;
            }
        }
        text.push_str("]}\n");
        Progress::Finished
    }
}

fn push_series(selected: &Selected<'_>, text: &mut String) {
    let (host, tags) = (selected.host.to_string().serialize_json(), selected.tags.to_string().serialize_json());
    let _ = write!(text, "{{\"host\":{host},\"tags\":{tags},\"from_unix\":{}", selected.from_unix());
    let values: [fn(Point) -> f32; 3] = [|point| point.mean, |point| point.min, |point| point.max];
    for (name, value) in ["mean", "min", "max"].into_iter().zip(values) {
        let _ = write!(text, ",\"{name}\":[");
        for (at, point) in selected.points().enumerate() {
            let separator = if at > 0 { "," } else { "" };
            let _ = match point {
                Some(point) => write!(text, "{separator}{}", value(point)),
                None => write!(text, "{separator}null"),
            };
        }
        text.push(']');
    }
    text.push('}');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(series: &Series, query: &str) -> (String, usize) {
        let (mut metrics, mut text, mut pieces) = (Metrics::new(query).unwrap(), String::new(), 0);
        loop {
            let mut piece = String::new();
            let progress = metrics.next_piece(series, &mut piece);
            text += &piece;
            pieces += 1;
            if progress == Progress::Finished {
                return (text, pieces);
            }
        }
    }

    #[test]
    fn a_series_has_null_where_no_sample_came() {
        let mut series = Series::default();
        [(300, 1.0), (599, 2.5), (900, -4.0)].iter().for_each(|(unix, value)| series.record("n\"as", "A,CPU", *unix, *value));
        series.record("web", "CPU", 300, 7.0);
        let nas = "{\"host\":\"n\\\"as\",\"tags\":\"A,CPU\",\"from_unix\":300,\
                   \"mean\":[1.75,null,-4],\"min\":[1,null,-4],\"max\":[2.5,null,-4]}";
        assert_eq!(answer(&series, "host=n*&tags=CPU").0, format!("{{\"step_seconds\":300,\"series\":[{nas}]}}\n"));
        assert_eq!(answer(&series, "host=other").0, "{\"step_seconds\":300,\"series\":[]}\n");
        assert_eq!(answer(&series, "").0.matches("\"host\"").count(), 2);
        assert!(Metrics::new("since=x").is_err() && Metrics::new("limit=1").is_err());
    }

    #[test]
    fn a_long_answer_comes_in_pieces() {
        let mut series = Series::default();
        for host in 0..50 {
            (0..288_u32).for_each(|at| series.record(&format!("host{host}"), "CPU", u64::from(at * 300), f64::from(at) / 7.0));
        }
        let (text, pieces) = answer(&series, "");
        assert!(pieces > 5, "{pieces}");
        assert_eq!((text.matches("\"host\"").count(), text.matches("},{").count()), (50, 49));
    }
}
