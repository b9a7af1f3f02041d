//! `POST /api/silence`: begins and ends silences in the file of silences.

use crate::directives::Silence;
use crate::now::Now;
use crate::run::failure::Failure;
use crate::run::server::http::Status;
use crate::run::server::silence_file;
use nanoserde::DeJson;

mod json {
    #![allow(clippy::question_mark, unreachable_pub, reason = "generated code, and what it requires")]

    use nanoserde::DeJson;

    #[derive(DeJson)]
    pub struct Order {
        pub host: String,
        pub tags: Option<String>,
        /// How long it lasts.
        pub seconds: Option<u64>,
        pub reason: Option<String>,
        /// Whether it ends early.
        pub end: Option<bool>,
    }
}

/// Carries out what the body of a request says. Returns what was done.
///
/// # Errors
/// What is wrong with it, or why the file cannot be changed.
pub(super) fn change(now: Now, path: &str, body: &[u8]) -> Result<String, (Status, String)> {
    let refused = |reason: String| (Status::BadRequest, reason);
    let order: json::Order = std::str::from_utf8(body).ok().and_then(|body| DeJson::deserialize_json(body).ok()).ok_or_else(|| {
        refused("expected {\"host\":…,\"seconds\":…} or {\"host\":…,\"end\":true}, with \"tags\" and \"reason\" or without".into())
    })?;
    let target = order.tags.as_ref().map_or_else(|| order.host.clone(), |tags| format!("{}/{tags}", order.host));
    let (host, tags) = Silence::parse_target(&target).map_err(refused)?;
    let outcome = match (order.end, order.seconds) {
        (Some(true), None) => silence_file::end(path, &target, now.unix),
        (None | Some(false), Some(seconds)) if (1..=Silence::LONGEST).contains(&seconds) => {
            let reason = order.reason.unwrap_or_default();
            silence_file::begin(path, &Silence { host, tags, until: now.unix + seconds, reason, line: 0 }, now.unix)
        }
        (None | Some(false), Some(_)) => return Err(refused(format!("seconds: expected a number from 1 to {}", Silence::LONGEST))),
        _ => return Err(refused("expected either seconds or end".into())),
    };
    outcome.map_err(|failure| {
        let status = if matches!(failure, Failure::System(_)) { Status::ServerError } else { Status::BadRequest };
        (status, failure.lines().join("; "))
    })
}
