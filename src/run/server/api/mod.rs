//! What the server answers to those who ask: the status, events, metrics, and silences.

mod events;
mod filter;
mod latest;
mod metrics;
mod query;
mod shared;
mod silence;

pub(super) use self::shared::SharedText;

use self::events::Events;
use self::metrics::Metrics;
use super::config_dir::Debounce;
use super::http::{Body, Progress, Request, Response, Site, Status, Visitor};
use super::outputs::Outputs;
use super::page;
use super::prometheus::{self, Measured, Tally, TurnTimes};
use super::silence_file::SilenceFile;
use super::status::{Report, Surroundings};
use crate::now::Now;
use crate::run::log::Log;
use crate::series::Series;
use crate::server::Server;
use nanoserde::SerJson;

/// All that can be asked, for one turn of the loop.
pub(super) struct View<'a> {
    pub(super) server: &'a mut Server,
    pub(super) silences: &'a mut SilenceFile,
    pub(super) outputs: &'a Outputs,
    pub(super) stream: &'a str,
    pub(super) started_unix: u64,
    pub(super) tally: &'a mut Tally,
    pub(super) series: &'a Series,
    pub(super) turns: &'a TurnTimes,
    pub(super) connections: usize,
    pub(super) texts: &'a mut Texts,
    pub(super) log: &'a mut Log,
}

/// The long texts that are made at most once a second.
#[derive(Default)]
pub(super) struct Texts {
    status: SharedText,
    metrics: SharedText,
}

/// An answer that is made while it is sent.
pub(super) enum Long {
    Events(Box<Events>),
    Metrics(Metrics),
}

impl Texts {
    /// Forgets texts that nobody gets any more.
    pub(super) fn forget(&mut self, now: Now) {
        self.status.forget(now);
        self.metrics.forget(now);
    }
}

impl View<'_> {
    fn report(&self, now: Now) -> String {
        let Self { server, silences, outputs, started_unix, .. } = self;
        let surroundings = Surroundings { started_unix: *started_unix, silences: silences.current(), outputs };
        Report::new(now, &server.status(now), surroundings).emit()
    }

    fn metrics(&mut self, now: Now) -> String {
        let Self { server, silences, outputs, started_unix, tally, turns, connections, .. } = self;
        let measured = Measured { started_unix: *started_unix, silences: silences.current(), outputs, turns, connections: *connections };
        prometheus::exposition(now, &server.status(now), tally, &measured)
    }

    /// The status as it is now for the server's own commands, with the silences that are in the file now, and that of the second for everyone else.
    fn status(&mut self, now: Now, visitor: Visitor) -> Response<Long> {
        if visitor == Visitor::Owner {
            self.silences.scan(now, Debounce::None, self.log);
            self.server.handle_silences(now, self.silences.current());
            return Response::json(Body::Text(self.report(now)));
        }
        let mut text = std::mem::take(&mut self.texts.status);
        let shared = text.get(now, || self.report(now));
        self.texts.status = text;
        shared.map_or_else(|| Response::of(Status::Unavailable), |text| Response::json(Body::Shared(text)))
    }

    fn exposition(&mut self, now: Now) -> Response<Long> {
        let mut text = std::mem::take(&mut self.texts.metrics);
        let shared = text.get(now, || self.metrics(now));
        self.texts.metrics = text;
        match shared {
            Some(text) => Response { status: Status::Ok, media_type: prometheus::MEDIA_TYPE, body: Body::Shared(text) },
            None => Response::of(Status::Unavailable),
        }
    }

    fn long(long: Result<Long, String>) -> Response<Long> {
        match long {
            Ok(long) => Response::json(Body::Long(long)),
            Err(reason) => Response::refusal(Status::BadRequest, &reason),
        }
    }

    fn silence(&mut self, now: Now, request: &Request<'_>, visitor: Visitor) -> Response<Long> {
        if !may_silence(visitor) {
            return Response::refusal(Status::Forbidden, "only with a password: http_password_file: in the server file");
        }
        let media_type = request.content_type.and_then(|given| given.split(';').next()).map(str::trim);
        if !media_type.is_some_and(|given| given.eq_ignore_ascii_case("application/json")) {
            return Response::refusal(Status::UnsupportedMediaType, "the Content-Type must be application/json");
        }
        match silence::change(now, self.silences.path(), request.body) {
            Ok(done) => {
                self.log.write(now, &format!("http: {done}"));
                self.silences.read_again(now, self.log);
                self.server.handle_silences(now, self.silences.current());
                // Who changed something sees that at once.
                *self.texts = Texts::default();
                Response::json(Body::Text(format!("{{\"done\":{}}}\n", done.serialize_json())))
            }
            Err((status, reason)) => Response::refusal(status, &reason),
        }
    }
}

fn may_silence(visitor: Visitor) -> bool {
    matches!(visitor, Visitor::Owner | Visitor::User)
}

impl Site for View<'_> {
    type Long = Long;

    fn answer(&mut self, now: Now, request: &Request<'_>, visitor: Visitor) -> Response<Long> {
        let (path, is_read) = (request.path(), ["GET", "HEAD"].contains(&request.method));
        match path {
            "/api/silence" if request.method == "POST" => self.silence(now, request, visitor),
            "/api/silence" => Response::of(Status::OnlyPost),
            _ if !is_read => Response::of(Status::MethodNotAllowed),
            Report::PATH | "/api/status" => self.status(now, visitor),
            "/api/events" => Self::long(Events::new(self.stream, request.query()).map(Box::new).map(Long::Events)),
            "/api/metrics" => Self::long(Metrics::new(request.query()).map(Long::Metrics)),
            "/api/session" => Response::json(Body::Text(format!("{{\"can_silence\":{}}}\n", may_silence(visitor)))),
            "/metrics" => self.exposition(now),
            path => match page::asset(path) {
                Some((media_type, bytes)) => Response { status: Status::Ok, media_type, body: Body::Static(bytes) },
                None => Response::of(Status::NotFound),
            },
        }
    }

    fn next_piece(&mut self, now: Now, long: &mut Long, text: &mut String) -> Progress {
        match long {
            Long::Events(events) => events.next_piece(now, self.stream, self.silences.current(), text),
            Long::Metrics(metrics) => metrics.next_piece(self.series, text),
        }
    }
}
