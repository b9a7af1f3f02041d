//! The directives of a host file and their keys.

/// All directives of a host file.
pub const DIRECTIVES: [&str; 23] = [
    "include",
    "file",
    "exclude",
    "encoding",
    "strip",
    "journal",
    "match",
    "ignore",
    "join",
    "starts",
    "alert_all",
    "alert_n",
    "alert_count",
    "alert_inactive",
    "alert_value",
    "ps_command",
    "process",
    "alert_running",
    "run",
    "alert_if",
    "alert_metric",
    "cleared",
    "active",
];

/// The directives that open a group.
pub(super) const OPENERS: [&str; 5] = ["file", "journal", "process", "run", "ps_command"];

/// The keys of conditions.
pub(super) const CONDITION_KEYS: [&str; 3] = ["for", "until", "repeat"];

/// Further keys that version 1 agents do not know.
pub(super) const NEW_KEYS: [&str; 9] = ["by", "limit", "text", "every", "timeout", "ok", "user", "parent", "container"];

/// The keys of a directive with `key=value` arguments, in the order that version 1 agents expect; none for other directives.
pub fn keys_of(name: &str) -> &'static [&'static str] {
    match name {
        "alert_all" => &["tags", "limit", "text", "message"],
        "alert_n" => &["tags", "threshold", "seconds", "by", "for", "repeat", "text", "message"],
        "alert_count" => &["tags", "seconds", "by"],
        "alert_inactive" => &["tags", "seconds", "for", "repeat", "message"],
        "alert_running" => &["tags", "min", "max", "every", "user", "parent", "container", "for", "repeat", "message"],
        "run" => &["every", "timeout", "ok", "command", "extract"],
        "alert_if" => &["tags", "match", "upper_limit", "lower_limit", "until", "for", "repeat", "text", "message"],
        "alert_value" => &["tags", "value"],
        "alert_metric" => &["tags", "match", "metric"],
        _ => &[],
    }
}
