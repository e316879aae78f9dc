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
            snapshot::compare(&path.with_extension("txt"), &last_lines(&print(&case)))
        })
    }));
    trials.extend(functions![every_expected_output_has_a_case]);
    snapshot::run(trials)
}

/// Returns the files of a case: name and text.
type Generate = fn() -> Vec<(String, String)>;

/// Sources that exceed a limit. They are too long for a file, and `limits/NAME.txt` has only what is printed for them,
/// or the end of it.
const LIMITS: [(&str, Generate); 26] = [
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
    ("nested_conditions", || {
        in_image(&format!("memory = {}", "if ".repeat(100_000)))
    }),
    ("nested_conditions_before_spaces", || {
        let spaces = " ".repeat(500_000);
        in_image(&format!("memory = {}1{spaces}", "if ".repeat(1000)))
    }),
    ("heredocs_without_end", || {
        let image = |i| format!("image a{i} extends qemu-ubuntu-2004 {{ a = <<T\n");
        vec![("spec.imgspec".to_owned(), (0..20_000).map(image).collect())]
    }),
    ("steps_of_the_parser", || {
        in_image(&format!("x = [{}]", "[;],".repeat(700_000)))
    }),
    ("syntax_errors", || {
        let lines = |i| format!("junk\nlayer l{i} {{ }}\n");
        vec![("spec.imgspec".to_owned(), (0..502).map(lines).collect())]
    }),
    ("diagnostics", || {
        let setting = |i| format!("nothing_{i} = 1\n");
        in_image(&(0..1002).map(setting).collect::<String>())
    }),
    ("names_and_values", || {
        let file = |i| (format!("{i}.imgspec"), "#\n".repeat(700_000));
        (0..3).map(file).collect()
    }),
    ("comments_that_allow", || {
        let setting = |i| format!("x{i} = 1  # imgspec: allow(no-effect): a reason\n");
        let settings: String = (0..=1000).map(setting).collect();
        in_image(&format!("ansible {{\n{settings}}}"))
    }),
    ("paths_with_levels", || {
        let path = |i| format!("[paths.\"{i}*\"]\nallow = [\"no-effect\"]\n");
        let mut files = in_image("memory = 4096");
        files.push(("imgspec.toml".to_owned(), (0..=1000).map(path).collect()));
        files
    }),
    ("names_with_levels", || {
        let config = format!("allow = [{}]\n", "\"no-effect\",\n".repeat(1001));
        let mut files = in_image("memory = 4096");
        files.push(("imgspec.toml".to_owned(), config));
        files
    }),
    ("entries_of_a_json_file", || {
        let json = format!("{{ {} \"memory\": \"1\" }}", "\"a\": \"\",".repeat(500_001));
        let spec = "include \"v.json\" as v\n".to_owned();
        vec![
            ("v.json".to_owned(), json),
            ("spec.imgspec".to_owned(), spec),
        ]
    }),
    ("variables_of_a_command", || {
        let extra = |i| format!("x{i} = 1\n");
        let extras: String = (0..20_000).map(extra).collect();
        in_image(&format!("ansible {{\n{extras}}}"))
    }),
    ("exclusions_of_a_matrix", || {
        let numbers: String = (1..=1000).map(|i| format!("{i}, ")).collect();
        let axes = format!("axis cpus in [{numbers}]\naxis memory in [{numbers}]\n");
        let exclusions = "exclude { cpus = 7 }\n".repeat(51);
        in_matrix("extends qemu-ubuntu-2004", &(axes + &exclusions))
    }),
    ("layers_of_a_matrix", || {
        let numbers: String = (1..=20_000).map(|i| format!("{i}, ")).collect();
        let parents = ", qemu-ubuntu-2004".repeat(50);
        let extends = format!("extends qemu-ubuntu-2004{parents}");
        in_matrix(&extends, &format!("axis memory in [{numbers}]\n"))
    }),
    ("layers_of_an_image", || {
        let layer = |i| format!("layer l{} extends l{i} {{ }}\n", i + 1);
        let layers: String = (0..1000).map(layer).collect();
        let image = "image a extends qemu-ubuntu-2004, l1000 { }\n";
        vec![(
            "spec.imgspec".to_owned(),
            format!("layer l0 {{ }}\n{layers}{image}"),
        )]
    }),
    ("images_of_a_command", || {
        let image = |i| format!("image a{i} extends qemu-ubuntu-2004 {{ }}\n");
        vec![("spec.imgspec".to_owned(), (0..20_001).map(image).collect())]
    }),
    ("values_of_an_image", || {
        let large = "0123456789".repeat(350_000);
        let extra = |i| format!("x{i} = len(\"${{v}}-{i}\")\n");
        let extras: String = (0..30).map(extra).collect();
        let text = format!("variable v : string = \"{large}\" {{ to = [linux] }}\n");
        let image = format!("image a extends qemu-ubuntu-2004 {{\nansible {{\n{extras}}}\n}}\n");
        vec![("spec.imgspec".to_owned(), text + &image)]
    }),
    ("one_value_in_many_variables", || {
        let large = "0123456789".repeat(350_000);
        let extra = |i| format!("x{i} = v\n");
        let extras: String = (0..30).map(extra).collect();
        let text = format!("variable v : string = \"{large}\" {{ to = [linux] }}\n");
        let image = format!("image a extends qemu-ubuntu-2004 {{\nansible {{\n{extras}}}\n}}\n");
        vec![("spec.imgspec".to_owned(), text + &image)]
    }),
    ("output_of_a_command", || {
        let large = "0123456789".repeat(350_000);
        let layer = format!("layer l {{ ansible {{ x = \"{large}\" }} }}\n");
        let image = |i| format!("image a{i} extends qemu-ubuntu-2004, l {{ }}\n");
        let images: String = (0..170).map(image).collect();
        vec![("spec.imgspec".to_owned(), layer + &images)]
    }),
    ("arguments", || {
        let pairs = "a=b ".repeat(150_000);
        in_image(&format!("ansible_user_vars = \"{pairs}\""))
    }),
    ("regular_expressions", || {
        let ty = |i| format!("type t{i} = string matching 'a{i}'\n");
        vec![("spec.imgspec".to_owned(), (0..=200).map(ty).collect())]
    }),
    ("nested_lists_in_a_heredoc", || {
        let hole = format!("${{ {}{}}}", "[\n".repeat(20_000), "]\n".repeat(20_000));
        in_image(&format!(
            "containerd_additional_settings = <<TOML\n{hole}\nTOML"
        ))
    }),
];

/// A spec with a matrix.
fn in_matrix(extends: &str, body: &str) -> Vec<(String, String)> {
    let text = format!("matrix m {extends} {{\n{body}}}\n");
    vec![("spec.imgspec".to_owned(), text)]
}

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

/// Returns the end of a long text.
fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    match lines.len().checked_sub(20) {
        Some(left_out) if lines.len() > 200 => {
            format!("[{left_out} lines]\n{}\n", lines[left_out..].join("\n"))
        }
        _ => text.to_owned(),
    }
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
