//! Compiles the package anew when a file comes into an embedded folder or leaves it: `include_dir!` sees neither.

fn main() {
    for folder in ["stdlib", "config", "ansible", "docs/codes"] {
        println!("cargo:rerun-if-changed={folder}");
    }
}
