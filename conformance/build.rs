//! Builds anew when a fixture comes or goes: they are embedded.

fn main() {
    for folder in ["dialects", "protocols", "wrong"] {
        println!("cargo::rerun-if-changed=../fixtures/{folder}");
    }
}
