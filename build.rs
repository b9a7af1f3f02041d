//! Tells the programs which target they are built for: an agent names it to its server.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-env=PROJECT436_TARGET={}", std::env::var("TARGET").unwrap_or_default());
}
