//! Each rule fails when it is broken: small houses, of which one thing is wrong.

use crate::rules::{House, Kind, Room};
use crate::source::{tokens, File};
use std::collections::BTreeSet;

/// Two state machines on values, and the outside world below the programs.
const ROOMS: &[Room] = &[
    Room { name: "text", kind: Kind::Core, imports: &[] },
    Room { name: "agent", kind: Kind::Core, imports: &[&["text"]] },
    Room { name: "server", kind: Kind::Core, imports: &[&["text"]] },
    Room { name: "sys", kind: Kind::Outside, imports: &[] },
    Room { name: "run", kind: Kind::Outside, imports: &[&["agent", "server", "sys", "text"]] },
];

/// A house that keeps the rules.
const SOUND: &[(&str, &str)] = &[
    ("", "pub mod agent; pub mod run; pub mod server; pub mod sys; pub mod text;"),
    ("text", "pub fn trim() {}"),
    ("agent", "mod outbox; mod rules;\nuse outbox::Outbox;\nuse std::net::{Ipv4Addr, SocketAddrV4};\npub struct Agent;\nimpl Agent {}"),
    ("agent::outbox", "use crate::text;\npub struct Outbox;\nimpl Outbox { fn push() { text::trim() } }"),
    ("agent::rules", "use super::outbox::Outbox;"),
    ("server", "use crate::text::trim;\npub struct Server;"),
    ("sys", "use std::fs::File;\nfn close() { unsafe { libc::close(3) }; }"),
    ("run", "use crate::{agent::Agent, server, sys};\nfn run() -> server::Server { std::fs::read(); }"),
];

/// The sound house with these files added, or in the place of those of the same name.
fn house(changes: &[(&str, &str)]) -> House {
    let kept = SOUND.iter().filter(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
    let parse =
        |(name, text): &(&str, &str)| File::parse(name.split("::").filter(|part| !part.is_empty()).map(String::from).collect(), text);
    House::new(kept.chain(changes).map(parse).collect())
}

fn list(violations: &BTreeSet<String>) -> Vec<&str> {
    violations.iter().map(String::as_str).collect()
}

#[test]
fn a_sound_house_breaks_no_rule() {
    let sound = house(&[]);
    let none = BTreeSet::new();
    assert_eq!(sound.unknown_rooms(ROOMS), none);
    assert_eq!(sound.forbidden_imports(ROOMS), none);
    assert_eq!(sound.outside_in_core(ROOMS), none);
    assert_eq!(sound.arrows_up(), none);
    assert_eq!(sound.circles(), none);
    assert_eq!(sound.foreign_impls(), none);
    assert_eq!(sound.unsafe_outside(&["sys"]), none);
    assert_eq!(sound.long_files(600), none);
    assert_eq!(sound.long_functions(60), none);
}

#[test]
fn an_import_that_the_table_does_not_allow_is_found_however_it_is_written() {
    for import in [
        "use crate::server::Server;",
        "use crate::server;",
        "use crate::server::*;",
        "use crate::{text::trim, server::Server};",
        "use crate::{\n    text::{self, trim},\n    server as other,\n};",
        "use super::super::server::Server;",
        "pub use crate::server::Server;",
        "fn f() { crate::server::start(); }",
        "fn f(server: &crate::server::Server) {}",
        "use crate as all;\nfn f() { all::server::start(); }",
        "mod inside { use super::super::super::server::Server; }",
        "#[cfg(not(test))]\nuse crate::server::Server;",
    ] {
        assert_eq!(list(&house(&[("agent::rules", import)]).forbidden_imports(ROOMS)), ["agent::rules imports server"], "{import}");
    }
    let upside_down = house(&[("sys", "use crate::run::Failure;")]);
    assert_eq!(list(&upside_down.forbidden_imports(ROOMS)), ["sys imports run"]);
}

#[test]
fn words_that_are_no_imports_are_none() {
    for text in [
        "// use crate::server::Server;",
        "/* crate::server::start() */",
        "/// See [`crate::server`].",
        "const TEXT: &str = \"crate::server::start()\";",
        "const TEXT: &str = r#\"a \" crate::server::start()\"#;",
        "const BYTES: &[u8] = b\"\\\" crate::server::start()\";",
        "const QUOTE: char = '\"'; /* crate::server */ const OTHER: char = '\\'';",
        "fn f<'a>(x: &'a str) { server::start(); }",
        "pub(in crate::server) fn f() {}",
        "#[cfg(test)]\nmod tests { use crate::server::Server; }",
        "#[cfg(all(test, unix))]\nmod tests { use crate::server::Server; }",
        "#[cfg(test)]\nuse crate::server::Server;",
        "#[test]\nfn f() { crate::server::start(); }",
    ] {
        assert_eq!(list(&house(&[("agent::rules", text)]).forbidden_imports(ROOMS)), [""; 0], "{text}");
    }
    let in_a_file = house(&[("agent::rules", "#[cfg(test)]\nmod tests;"), ("agent::rules::tests", "use crate::server::Server;")]);
    assert_eq!(list(&in_a_file.forbidden_imports(ROOMS)), [""; 0]);
}

#[test]
fn a_module_that_is_in_no_room_is_found_and_a_room_without_a_module() {
    assert_eq!(list(&house(&[("util", "")]).unknown_rooms(ROOMS)), ["util is in no room of the table"]);
    let rooms = [ROOMS, &[Room { name: "attic", kind: Kind::Core, imports: &[] }]].concat();
    assert_eq!(list(&house(&[]).unknown_rooms(&rooms)), ["attic is in the table, and not in src/"]);
}

#[test]
fn the_longest_name_in_the_table_decides() {
    let rooms = [ROOMS, &[Room { name: "agent::rules", kind: Kind::Outside, imports: &[&["server"]] }]].concat();
    let house = house(&[
        ("agent::rules", "use crate::server::Server;\nuse std::fs;"),
        ("agent::outbox", "use crate::server::Server;\nuse std::fs;"),
    ]);
    assert_eq!(list(&house.forbidden_imports(&rooms)), ["agent::outbox imports server"]);
    assert_eq!(list(&house.outside_in_core(&rooms)), ["agent::outbox names std::fs"]);
}

#[test]
fn the_outside_world_is_found_in_the_core() {
    for (text, named) in [
        ("use std::fs;", "std::fs"),
        ("use std::{fmt, fs::File};", "std::fs::File"),
        ("use std::net::{Ipv4Addr, UdpSocket};", "std::net::UdpSocket"),
        ("use std::net::TcpStream as Stream;", "std::net::TcpStream"),
        ("use std::net::*;", "std::net::*"),
        ("use std::time::{Duration, Instant};", "std::time::Instant"),
        ("use std::time;\nfn f() { time::SystemTime::now(); }", "std::time::SystemTime::now"),
        ("use std as s;\nfn f() { s::process::id(); }", "std::process::id"),
        ("fn f() { std::process::exit(1); }", "std::process::exit"),
        ("fn f() { ::std::fs::read(); }", "std::fs::read"),
        ("use libc::c_int;", "libc::c_int"),
    ] {
        assert_eq!(list(&house(&[("agent::rules", text)]).outside_in_core(ROOMS)), [format!("agent::rules names {named}")], "{text}");
    }
    let allowed = "use std::net::{Ipv4Addr, SocketAddrV4};\nuse std::time::Duration;\nuse std::io;";
    assert_eq!(list(&house(&[("agent::rules", allowed)]).outside_in_core(ROOMS)), [""; 0]);
}

#[test]
fn an_import_from_above_is_found() {
    for text in [
        "use super::Agent;",
        "use crate::agent::Agent;",
        "use super::*;",
        "fn f(agent: &super::Agent) {}",
        "use super::super::agent::Agent;",
    ] {
        let house = house(&[("agent::rules", text)]);
        assert_eq!(list(&house.arrows_up()), ["agent::rules imports agent, which is above it"], "{text}");
        assert_eq!(list(&house.forbidden_imports(ROOMS)), [""; 0], "{text}");
    }
}

#[test]
fn circles_are_found_in_each_folder_and_across_files_of_folders() {
    let siblings = house(&[("agent::outbox", "use super::rules::Rule;")]);
    assert_eq!(list(&siblings.circles()), ["agent: outbox, rules import each other in a circle"]);

    let of_three = [("text", "use crate::sys::c;"), ("sys", "use crate::server::b;"), ("server", "use crate::text::a;")];
    assert_eq!(list(&house(&of_three).circles()), ["src: server, sys, text import each other in a circle"]);

    // No file is in a circle here, and yet neither folder can be understood without the other.
    let folders = [
        ("agent::outbox", ""),
        ("agent::outbox::queue", "use crate::agent::rules::policy::Policy;"),
        ("agent::rules", "use super::outbox::Outbox;"),
        ("agent::rules::policy", ""),
    ];
    assert_eq!(list(&house(&folders).circles()), ["agent: outbox, rules import each other in a circle"]);
}

#[test]
fn an_impl_outside_of_the_file_of_its_type_is_found() {
    let inherent = house(&[("agent::rules", "use super::Agent;\nimpl Agent { fn rules() {} }")]);
    assert_eq!(list(&inherent.foreign_impls()), ["agent::rules implements Agent of agent"]);
    let qualified = house(&[("agent::rules", "impl super::Agent {}")]);
    assert_eq!(list(&qualified.foreign_impls()), ["agent::rules implements Agent of agent"]);
    let of_a_trait = house(&[("agent::rules", "use super::Agent;\nimpl<T> From<T> for Agent {}")]);
    assert_eq!(list(&of_a_trait.foreign_impls()), ["agent::rules implements Agent of agent"]);
    let of_a_sibling = house(&[("agent::rules", "use super::outbox::Outbox;\nimpl Outbox {}")]);
    assert_eq!(list(&of_a_sibling.foreign_impls()), ["agent::rules implements Outbox of agent::outbox"]);
    let own = "use super::outbox::Outbox;\nstruct Rule<T>(T);\nimpl<T> Rule<T> {}\ntrait Count {}\nimpl Count for Outbox {}\nfn f() -> impl Count {}";
    assert_eq!(list(&house(&[("agent::rules", own)]).foreign_impls()), [""; 0]);
}

#[test]
fn unsafe_code_is_found_outside_of_its_rooms() {
    for text in ["fn f() { unsafe { g() } }", "#![allow(unsafe_code)]", "unsafe impl Send for Rule {}"] {
        assert_eq!(list(&house(&[("agent::rules", text)]).unsafe_outside(&["sys"])), ["agent::rules has unsafe code"], "{text}");
    }
}

#[test]
fn long_files_and_long_functions_are_found_in_tests_too() {
    let text = "#[cfg(test)]\nmod tests {\n    fn short() {}\n    fn long(\n    ) {\n        if a { b() }\n    }\n}\n";
    let house = house(&[("agent::rules", text)]);
    assert_eq!(list(&house.long_files(7)), ["agent::rules has more than 7 lines"]);
    assert_eq!(list(&house.long_functions(3)), ["agent::rules: long has more than 3 lines"]);
    assert_eq!(list(&house.long_functions(4)), [""; 0]);
}

#[test]
fn tokens_know_their_lines() {
    let found: Vec<_> = tokens("a::b /* c\n */ 'd' \"e\ne\" f'g'->").into_iter().map(|token| (token.text, token.line)).collect();
    let expected = [("a", 1), ("::", 1), ("b", 1), ("f", 3), ("->", 3)];
    assert_eq!(found, expected.map(|(text, line)| (text.to_string(), line)));
}
