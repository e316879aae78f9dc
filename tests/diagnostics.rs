//! The text of each diagnostic, with the source that causes it.
//!
//! A case is a file of `tests/diagnostics`, or a folder if it needs several files. A spec or folder is checked alone, a
//! JSON var file on an image. `NAME.txt` has the case's source and what `imgspec check` prints for it.
//!
//! `cargo test --test diagnostics NAME` runs the cases with `NAME` in their names, and with `IMGSPEC_BLESS=1` it rewrites
//! their `NAME.txt`. To add a case, write the source and bless it. `cargo test --test messages` lists the texts in `src/`
//! that no expected output of any test contains.

mod common;

use common::snapshot::{self, functions};
use common::{diagnostics, root};
use libtest_mimic::Trial;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut trials = snapshot::trials(diagnostics::cases(), |case| {
        snapshot::compare(&case.with_extension("txt"), &render(case))
    });
    trials.extend(LIMITS.map(|(name, generate)| {
        Trial::test(name, move || {
            let folder = tempfile::tempdir()?;
            let case = folder.path().join(name);
            std::fs::create_dir(&case)?;
            for (file, text) in generate() {
                std::fs::write(case.join(file), text)?;
            }
            let path = root().join("tests/diagnostics/limits").join(name);
            snapshot::compare(&path.with_extension("txt"), &print(&case))
        })
    }));
    trials.extend(functions![every_expected_output_has_a_case]);
    snapshot::run(trials)
}

/// Returns the files of a case: name and text.
type Generate = fn() -> Vec<(String, String)>;

/// Sources that exceed a limit. They are too long for a file, and `limits/NAME.txt` has only what is printed for them.
const LIMITS: [(&str, Generate); 5] = [
    ("includes_in_a_row", || {
        let file = |i: usize| format!("f{i}.imgspec");
        let text = |i: usize| format!("include {:?}\n", file(i + 1));
        let mut files: Vec<_> = (0..=200).map(|i| (file(i), text(i))).collect();
        files.push((file(201), "layer l { }\n".to_owned()));
        files
    }),
    ("references_in_a_row", || {
        let variable = |i: usize| {
            let next = i + 1;
            format!("variable v{i} : string = \"${{v{next}}}\" {{ to = [linux] }}\n")
        };
        let mut text: String = (0..=200).map(variable).collect();
        text += "variable v201 : string = \"a\" { to = [linux] }\n";
        text += "image a extends qemu-ubuntu-2004 { }\n";
        vec![("spec.imgspec".to_owned(), text)]
    }),
    ("operators_in_a_row", || {
        let operators = "[] +\n".repeat(1001);
        in_image(&format!("extra_debs = {operators} []"))
    }),
    ("nested_lists", || {
        in_image(&format!(
            "extra_debs = {}{}",
            "[\n".repeat(130),
            "]\n".repeat(130)
        ))
    }),
    ("nested_lists_in_a_heredoc", || {
        let hole = format!("${{ {}{}}}", "[\n".repeat(20_000), "]\n".repeat(20_000));
        in_image(&format!(
            "containerd_additional_settings = <<TOML\n{hole}\nTOML"
        ))
    }),
];

fn in_image(setting: &str) -> Vec<(String, String)> {
    let text = format!("image a extends qemu-ubuntu-2004 {{\n{setting}\n}}\n");
    vec![("spec.imgspec".to_owned(), text)]
}

/// Returns the files of a case, and what `imgspec check` prints for them.
fn render(case: &Path) -> String {
    let temporary = diagnostics::write(case);
    let folder = temporary.path().join("case");
    let mut out = String::new();
    for path in files(&folder) {
        let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
        let name = path.strip_prefix(&folder).unwrap().display();
        let _ = writeln!(out, "==== {name}\n{}\n", text.trim_end_matches('\n'));
    }
    out + &print(case)
}

/// Returns what `imgspec check` prints for a case, after the command.
fn print(case: &Path) -> String {
    let temporary = diagnostics::write(case);
    let outer = temporary.path().canonicalize().unwrap();
    let folder = outer.join("case");
    let mut arguments = diagnostics::arguments(case);
    arguments.extend(["--format".to_owned(), "plain".to_owned()]);
    let output = common::imgspec(&folder).args(&arguments).output().unwrap();
    let mut out = format!("==== imgspec {}\n", arguments.join(" "));
    common::exit_code(&output);
    for stream in [output.stdout, output.stderr] {
        out.push_str(&String::from_utf8(stream).unwrap());
    }
    out.replace(folder.to_str().unwrap(), "CASE")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut out = Vec::new();
    for path in common::entries(folder) {
        if path.is_dir() {
            out.extend(files(&path));
        } else {
            out.push(path);
        }
    }
    out
}

fn every_expected_output_has_a_case() {
    let cases = diagnostics::cases();
    for path in common::files(&root().join("tests/diagnostics"), "txt") {
        let has_case = cases
            .iter()
            .any(|case| case.file_stem() == path.file_stem());
        assert!(has_case, "{} has no case", path.display());
    }
}
