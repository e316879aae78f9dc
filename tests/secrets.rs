//! Secrets reach nothing that they need not reach: a file each in `tests/secrets`.
//!
//! A case is a text with the files of a project, below a line `=== FILE` each. Lines above the first one that begin with
//! `#:` say what is special about it; other lines there say what is planted, and where.
//!
//! | line | meaning |
//! | --- | --- |
//! | `#: release RELEASE` | the releases of Image Builder; without it, all |
//! | `#: copy FROM TO` | a folder of the repository, as a folder of the project |
//! | `#: run COMMAND` | a command besides the usual ones, written as in `tests/cases` |
//! | `#: only` | only these commands |
//! | `#: reports CODE` | with each line of `=== here` the diagnostic of this code is reported |
//! | `#: build` | the image `a` is built, with programs that show what they get |
//!
//! In files and commands, `SECRET` is a string and `NUMBER` an integer that only their variable may contain, `PLANTED` is an
//! environment variable with such a string. A line with `EVERY` is one for each secret variable of the release, and a line
//! with `PACKERS` one for each that only Packer gets. A line with `HERE` makes a project for each line of the part `=== here`; these are only compiled, in this process.
//!
//! The test searches everything that is printed and written, and the arguments and the environment of every process. It
//! finds a secret in base64, in hexadecimal, as a digest, and parts of it. Only a var file for Packer may contain what the
//! project writes out, and the cache what a checkout does, and only their owner can read them.

mod common;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use common::commands::CaseCommand;
use common::editor::{Client, Desk};
use common::snapshot;
use imgspec::diagnostic::{merge, render_json, render_plain, render_rich, render_short};
use imgspec::emit::Output;
use imgspec::project::{Edition, Library, Request, load};
use imgspec::schema::Receivers;
use imgspec::source::{Memory, Release};
use libtest_mimic::Failed;
use serde_json::json;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tempfile::TempDir;
use walkdir::WalkDir;

/// What no output may contain. No part of six characters occurs anywhere else.
const SECRET: &str = "Zq7xKv3mWp9jTy4h";
/// The same as an integer.
const NUMBER: &str = "739184625073918";
/// The value of the environment variable `PLANTED`.
const PLANTED: &str = "Rb5nQx8cLd2gFs6k";

/// The commands of every case, for each format where they have several.
const COMMANDS: &[&str] = &[
    "check --format rich",
    "check --format plain",
    "check --format short",
    "check --format json",
    "check --format sarif",
    "check --format github",
    "check --format gitlab",
    "check --format junit",
    "check --diff --fix=all",
    "check --baseline known.json --write-baseline",
    "compile --format json",
    "compile --check --format rich",
    "compile --stdout --out elsewhere",
    "compile --portable --out portable",
    "show a",
    "show a --json",
    "show a --changed",
    "diff --against-release v0.1.55 --json",
    "diff --against-release v0.1.13 --markdown",
    "plan --format json",
    "plan --against-release v0.1.55 --format kubernetes --container r/i:1",
    "test --coverage --waivers",
    "show a.imgspec --format plain",
    "list",
    "list --json",
    "report",
    "graph --format svg",
    "explain ssh_password",
    "explain own",
    "fmt --check",
    "fmt --diff",
    "build a --dry-run",
    "deps --json",
];

fn main() -> ExitCode {
    let cases = common::files(&common::root().join("tests/secrets"), "txt");
    let mut trials = snapshot::trials(cases, |path| test(&Case::read(path)));
    trials.extend(snapshot::functions![the_search_finds_every_form]);
    snapshot::run(trials)
}

// ---- cases --------------------------------------------------------------------------------------

struct Case {
    releases: Vec<Release>,
    copies: Vec<(PathBuf, String)>,
    commands: Vec<String>,
    is_built: bool,
    reports: Option<String>,
    /// The files, in order, before anything is put in.
    files: Vec<(String, String)>,
    /// What a line with `HERE` has in turn.
    here: Vec<String>,
}

impl Case {
    fn read(path: &Path) -> Case {
        let text = fs::read_to_string(path).unwrap();
        let mut case = Case {
            releases: Release::all(),
            copies: Vec::new(),
            commands: COMMANDS.iter().map(|&line| line.to_owned()).collect(),
            is_built: false,
            reports: None,
            files: Vec::new(),
            here: Vec::new(),
        };
        for line in text.lines() {
            if let Some(name) = line.strip_prefix("=== ") {
                case.files.push((name.to_owned(), String::new()));
            } else if let Some((_, file)) = case.files.last_mut() {
                file.push_str(line);
                file.push('\n');
            } else if let Some(directive) = line.strip_prefix("#: ") {
                case.direct(directive);
            }
        }
        if let Some(at) = case.files.iter().position(|(name, _)| name == "here") {
            let (_, lines) = case.files.remove(at);
            case.here = lines
                .lines()
                .map(|line| line.replace("\\n", "\n"))
                .collect();
        }
        assert!(!case.files.is_empty(), "{} has no file", path.display());
        case
    }

    fn direct(&mut self, directive: &str) {
        let (word, rest) = directive.split_once(' ').unwrap_or((directive, ""));
        match word {
            "release" => self.releases.retain(|release| release.name() == rest),
            "copy" => {
                let (from, to) = rest.split_once(' ').expect("a folder and its new name");
                self.copies.push((common::root().join(from), to.to_owned()));
            }
            "run" => self.commands.push(rest.to_owned()),
            "only" => self.commands.clear(),
            "build" => self.is_built = true,
            "reports" => self.reports = Some(rest.to_owned()),
            other => panic!("unknown directive `{other}`"),
        }
    }

    /// The files of the case for a release.
    fn planted(&self, release: Release) -> BTreeMap<String, String> {
        let secrets = secrets_of(release);
        let mut out = BTreeMap::from([(
            "imgspec.toml".to_owned(),
            format!("release = \"{}\"\n", release.name()),
        )]);
        for (name, text) in &self.files {
            let lines = text.lines().flat_map(|line| {
                for (word, is_for_all) in [("EVERY", true), ("PACKERS", false)] {
                    if line.contains(word) {
                        let wanted = secrets
                            .iter()
                            .filter(|(_, is_for_packer)| is_for_all || *is_for_packer);
                        let lines = wanted.map(|(name, _)| line.replace(word, name));
                        return lines.collect();
                    }
                }
                vec![line.to_owned()]
            });
            let text: String = lines.map(|line| line + "\n").collect();
            let text = put_in(&text);
            match out.get_mut(name) {
                Some(config) if name == "imgspec.toml" => config.push_str(&text),
                _ => {
                    out.insert(name.clone(), text);
                }
            }
        }
        out
    }
}

/// Returns a text with the values for their names.
fn put_in(text: &str) -> String {
    text.replace("SECRET", SECRET).replace("NUMBER", NUMBER)
}

fn library_of(release: Release) -> Arc<Library> {
    Library::built_in(Edition {
        release,
        ..Edition::default()
    })
}

/// The secret variables of a release that a project can set, and whether only Packer gets them.
fn secrets_of(release: Release) -> Vec<(String, bool)> {
    let request = Request {
        library: Some(library_of(release)),
        ..Request::default()
    };
    let program = load(&Memory(BTreeMap::new()), &request);
    let secrets = program
        .variables
        .iter()
        .filter(|variable| variable.is_secret && variable.removed().is_none());
    let secrets: Vec<(String, bool)> = secrets
        .map(|variable| {
            let is_for_packer = variable.to == Receivers::PACKER;
            (variable.name.to_string(), is_for_packer)
        })
        .collect();
    assert!(secrets.len() > 8, "{secrets:?}");
    secrets
}

fn test(case: &Case) -> Result<(), Failed> {
    let mut leaks = Vec::new();
    assert!(!case.releases.is_empty(), "no such release");
    for release in &case.releases {
        let files = case.planted(*release);
        if case.here.is_empty() {
            leaks.extend(Site::new(case, &files).leaks(case));
        }
        for line in &case.here {
            let put = |(name, text): (&String, &String)| {
                (name.clone(), text.replace("HERE", &put_in(line)))
            };
            let files = files.iter().map(put).collect();
            leaks.extend(leak_of_library(case, &files, *release));
        }
    }
    snapshot::fail_on(&leaks)
}

// ---- the search ---------------------------------------------------------------------------------

/// The length of the shortest part of a secret that counts.
const PART: usize = 6;

/// Returns which secret some bytes contain, with the words around it.
fn find_leak(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    let lower = text.to_lowercase();
    for secret in [SECRET, NUMBER, PLANTED] {
        if let Some(at) = forms(secret).iter().find_map(|form| lower.find(form)) {
            let around = at.saturating_sub(160)..(at + 80).min(lower.len());
            return Some(String::from_utf8_lossy(&lower.as_bytes()[around]).into_owned());
        }
    }
    None
}

/// The forms of a secret in lower case: its parts, and what it is in other encodings.
fn forms(secret: &str) -> Vec<String> {
    let lower = secret.to_lowercase();
    let mut out: Vec<String> = (0..=lower.len() - PART)
        .map(|at| lower[at..at + PART].to_owned())
        .collect();
    for before in 0..3 {
        // Base64 has three forms of what is inside other text, and its ends depend on that text.
        let encoded = BASE64.encode(format!("{}{secret}", "x".repeat(before)));
        let whole = encoded.trim_end_matches('=');
        out.push(whole[4..whole.len() - 2].to_lowercase());
    }
    let hex = |bytes: &[u8]| -> String { bytes.iter().map(|byte| format!("{byte:02x}")).collect() };
    out.push(hex(secret.as_bytes()));
    for text in [secret.to_owned(), format!("{secret}\n")] {
        out.push(hex(&Sha256::digest(text)));
    }
    out
}

/// A search that finds nothing would make every case pass.
fn the_search_finds_every_form() {
    let encoded = [
        format!("password={SECRET}!"),
        format!("...{}", &SECRET[3..10]),
        SECRET.to_uppercase(),
        BASE64.encode(format!("a{SECRET}b")),
        BASE64.encode(format!("ab{SECRET}")),
        BASE64.encode(SECRET),
        format!("{:x?}", SECRET.as_bytes()).replace([' ', ',', '[', ']'], ""),
        PLANTED.to_owned(),
        NUMBER.to_owned(),
        serde_json::to_string(&format!("\"{SECRET}\"")).unwrap(),
    ];
    for text in encoded {
        assert!(find_leak(text.as_bytes()).is_some(), "{text}");
    }
    assert_eq!(find_leak(b"nothing here"), None);
}

// ---- in this process ----------------------------------------------------------------------------

/// Returns the leak of a project in any format of diagnostics, in its files, or in the reference.
fn leak_of_library(
    case: &Case,
    files: &BTreeMap<String, String>,
    release: Release,
) -> Option<String> {
    let folder = Path::new("/project");
    let disk = Memory(
        files
            .iter()
            .map(|(name, text)| (folder.join(name), text.clone()))
            .collect(),
    );
    let var_file = folder.join("above.json");
    let request = Request {
        specs: vec![folder.join("a.imgspec")],
        var_files: disk.0.keys().filter(|p| **p == var_file).cloned().collect(),
        library: Some(library_of(release)),
        ..Request::default()
    };
    let program = load(&disk, &request);
    let specs = program.specs.iter().flatten();
    let images: Vec<_> = specs.flat_map(|file| program.images_of(*file)).collect();
    let output = Output {
        dir: "/out".into(),
        portable: false,
    };
    let job = imgspec::driver::Job {
        loader: &disk,
        program: &program,
        images: &images,
        provider: None,
        output: &output,
    };
    let (images, of_images) = job.compile();
    let mut found = program.diagnostics.clone();
    found.extend(of_images);
    let found = merge(found);
    let sources = &program.sources;
    let mut printed = vec![
        render_rich(&found, sources, 100, false),
        render_plain(&found, sources),
        render_short(&found, sources),
        render_json(&found, sources),
        format!("{found:?}"),
    ];
    for artifacts in &images {
        for (name, text) in artifacts.files() {
            if !(name == "packer.vars.json" && artifacts.is_secret()) {
                printed.push(text);
            }
        }
    }
    let leak = printed.iter().find_map(|text| find_leak(text.as_bytes()));
    let is_silent = |code: &&String| !found.iter().any(|d| d.code.as_str() == **code);
    let silence = case.reports.as_ref().filter(is_silent);
    let problem = match (leak, silence) {
        (Some(leak), _) => format!("{leak}\n-- is printed of"),
        (None, Some(code)) => format!("there is no {code} in"),
        (None, None) => return None,
    };
    let shown: String = files.values().map(|text| format!("{text}\n")).collect();
    Some(format!("{problem}\n{shown}"))
}

// ---- with the program itself --------------------------------------------------------------------

/// Packer, Ansible and all others: write down their arguments and their environment, and print what they know.
const PROGRAM: &str = r#"#!/bin/sh
witness="$WITNESS/$$.$1"
tr '\0' ' ' </proc/$$/cmdline >"$witness.arguments"
env >"$witness.environment"
case "$1" in
build|validate)
    env
    cat ../packer.vars.json
    sed 's/"//g' ../packer.vars.json | base64 -w 0
    env | sed -n 's/^PLANTED=//p' | base64
    echo "==> fatal: [default]: FAILED! => $(env | grep PLANTED) $(tr -d '\n' <../packer.vars.json)"
    ls -lR "$TMPDIR" ..
    sleep 0.2
    [ ! -e "$WITNESS.fails" ] || exit 3
    mkdir -p output/a && echo disk >output/a/a.qcow2 && echo '{}' >output/manifest.json
    ;;
*) echo "version 9.9.9" ;;
esac
"#;

const PROGRAMS: [&str; 9] = [
    "PACKER",
    "ANSIBLE_PLAYBOOK",
    "MMDEBSTRAP",
    "SYSTEMD_NSPAWN",
    "MKE2FS",
    "SFDISK",
    "QEMU_IMG",
    "QEMU_SYSTEM_X86_64",
    "XORRISO",
];

/// A project on the disk, with folders for everything that a run may write elsewhere.
struct Site {
    folder: TempDir,
    /// The files that contain what is planted.
    planted: BTreeMap<String, String>,
    /// The case names the environment variable `PLANTED`. Only then does anything know that it is a secret.
    has_environment: bool,
}

impl Site {
    fn new(case: &Case, files: &BTreeMap<String, String>) -> Site {
        let site = Site {
            folder: tempfile::tempdir().unwrap(),
            planted: files.clone(),
            has_environment: files.values().any(|text| text.contains("PLANTED")),
        };
        for folder in ["tmp", "home", "cache", "witness", "project"] {
            fs::create_dir(site.path(folder)).unwrap();
        }
        fs::write(site.path("program"), PROGRAM).unwrap();
        fs::set_permissions(site.path("program"), fs::Permissions::from_mode(0o755)).unwrap();
        for (from, to) in &case.copies {
            common::copy_folder(from, &site.path("project").join(to));
        }
        for (name, text) in files {
            let path = site.path("project").join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join(name)
    }

    /// Adds what each run of the program needs.
    fn prepare(&self, command: &mut Command) {
        command
            .stdin(Stdio::null())
            .env("HOME", self.path("home"))
            .env("TMPDIR", self.path("tmp"))
            .env("IMGSPEC_CACHE", self.path("cache"))
            .env("WITNESS", self.path("witness"));
        if self.has_environment {
            command.env("PLANTED", PLANTED);
        }
        for name in PROGRAMS {
            command.env(format!("{name}_BIN"), self.path("program"));
        }
    }

    /// Runs everything, and returns what leaks.
    fn leaks(&self, case: &Case) -> Vec<String> {
        let mut leaks = Vec::new();
        for line in &case.commands {
            let command = common::commands::parse(&put_in(line));
            leaks.extend(self.leak_of_command(line, &command));
        }
        leaks.extend(self.leak_of_editor());
        if case.is_built {
            // `deps` reads no project, so it does not know what is secret in the environment.
            for witness in common::entries(&self.path("witness")) {
                fs::remove_file(witness).unwrap();
            }
            for line in ["build a", "build a --force", "validate a"] {
                for fails in [false, true] {
                    let mark = self.path("witness.fails");
                    let _ = fs::remove_file(&mark);
                    if fails {
                        fs::write(&mark, "").unwrap();
                    }
                    let command = common::commands::parse(line);
                    leaks.extend(self.leak_of_command(line, &command));
                }
            }
            leaks.extend(self.leaks_to_programs());
        }
        leaks.extend(self.leaks_to_files());
        leaks
    }

    fn leak_of_command(&self, line: &str, case: &CaseCommand) -> Option<String> {
        let mut command = case.binary(&self.path("project"));
        command.args(&case.arguments);
        self.prepare(&mut command);
        // The cases' own environment is stronger.
        command.envs(case.environment.iter().map(|(name, value)| (name, value)));
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        let (is_over, own) = (AtomicBool::new(false), child.id());
        let starts_programs = line.contains("build") || line.contains("validate");
        let (output, seen) = std::thread::scope(|scope| {
            let watch = scope.spawn(|| {
                if starts_programs {
                    watch(&self.path("witness"), own, &is_over)
                } else {
                    Vec::new()
                }
            });
            let output = child.wait_with_output().unwrap();
            is_over.store(true, Ordering::SeqCst);
            (output, watch.join().unwrap())
        });
        let code = common::exit_code(&output);
        assert!(matches!(code, 0..=3), "{line}: {code}");
        let printed = [output.stdout, output.stderr].concat();
        let leak = find_leak(&printed)
            .map(|leak| format!("prints\n{leak}"))
            .or_else(|| {
                let arguments = seen.iter().find(|found| find_leak(found).is_some())?;
                let arguments = String::from_utf8_lossy(arguments).replace('\0', " ");
                Some(format!("starts a process: {arguments}"))
            })?;
        Some(format!("`imgspec {line}` {leak}"))
    }

    /// Opens every file in an editor and asks for everything at every place of a secret and at every word's start.
    fn leak_of_editor(&self) -> Option<String> {
        let project = self.path("project");
        let mut command = common::imgspec(&project);
        self.prepare(&mut command);
        command.stderr(Stdio::piped());
        let mut client = Client::start_with(command, &project);
        let log = client.server.stderr.take().unwrap();
        let log = std::thread::spawn(move || std::io::read_to_string(log).unwrap());
        let mut replies = String::new();
        let mut desk = Desk::new(client, &project);
        let specs = self
            .planted
            .keys()
            .filter(|name| name.ends_with(".imgspec"));
        let ask_all = json!({ "query": "" });
        for name in specs {
            replies += &desk.open(name).to_string();
            let text = desk.open[name].0.clone();
            let end = common::editor::position(&text, text.len());
            let whole = json!({ "range": { "start": { "line": 0, "character": 0 }, "end": end } });
            for method in [
                "textDocument/documentSymbol",
                "textDocument/semanticTokens/full",
                "textDocument/foldingRange",
                "textDocument/inlayHint",
                "textDocument/codeAction",
                "textDocument/formatting",
                "textDocument/documentLink",
            ] {
                replies += &desk.ask(method, 0, &whole).to_string();
            }
            const SHORT: [&str; 2] = ["textDocument/hover", "textDocument/codeAction"];
            const ALL: [&str; 7] = [
                "textDocument/hover",
                "textDocument/codeAction",
                "textDocument/completion",
                "textDocument/signatureHelp",
                "textDocument/definition",
                "textDocument/references",
                "textDocument/prepareRename",
            ];
            // A release has many secrets, and what is asked at one is asked at all.
            let secrets = text.match_indices(&SECRET[..PART]).take(6);
            let secrets = secrets.map(|(at, _)| (at, &ALL[..]));
            let words = text.match_indices('\n').take(30).map(|(at, _)| {
                let word = text[at..].find(|c: char| !c.is_whitespace()).unwrap_or(0);
                (at + word, &SHORT[..])
            });
            for (at, methods) in secrets.chain(words) {
                for method in methods {
                    replies += &desk.ask(method, at, &json!({})).to_string();
                }
            }
            replies += &desk.ask("workspace/symbol", 0, &ask_all).to_string();
        }
        replies += &json!(desk.client.published).to_string();
        assert_eq!(desk.client.end(), Some(0));
        replies += &log.join().unwrap();
        find_leak(replies.as_bytes()).map(|leak| format!("the language server answers\n{leak}"))
    }

    /// What the programs of the builds got: no secret as an argument, and only Packer has those of the environment.
    fn leaks_to_programs(&self) -> Vec<String> {
        let witnesses = common::entries(&self.path("witness"));
        let is_of = |verb: &str, what: &str| {
            let ending = format!(".{verb}.{what}");
            let of_verb = witnesses
                .iter()
                .filter(move |path| path.to_string_lossy().ends_with(&ending));
            of_verb.count()
        };
        let mut leaks = Vec::new();
        if is_of("build", "arguments") == 0 || is_of("version", "environment") == 0 {
            leaks.push("the image is not built".to_owned());
        }
        for path in &witnesses {
            let name = path.file_name().unwrap().to_string_lossy();
            let needs_it = name.ends_with(".environment")
                && (name.contains(".build.") || name.contains(".validate."));
            if needs_it {
                continue;
            }
            if let Some(leak) = find_leak(&fs::read(path).unwrap()) {
                leaks.push(format!("a program gets {name}\n{leak}"));
            }
        }
        leaks
    }

    /// Everything that was written.
    fn leaks_to_files(&self) -> Vec<String> {
        let mut leaks = Vec::new();
        for entry in WalkDir::new(self.folder.path()).sort_by_file_name() {
            let entry = entry.unwrap();
            let path = entry.path().strip_prefix(self.folder.path()).unwrap();
            if path.starts_with("witness") || !entry.file_type().is_file() {
                continue;
            }
            let bytes = fs::read(entry.path()).unwrap();
            let own = path.strip_prefix("project").ok().and_then(Path::to_str);
            if own.is_some_and(|own| self.planted.contains_key(own)) {
                continue;
            }
            let Some(leak) = find_leak(&bytes) else {
                continue;
            };
            let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
            // The cache has a copy of a checkout.
            let may = path.ends_with("packer.vars.json") || path.starts_with("cache/adopted");
            if !(may && mode == 0o600) {
                leaks.push(format!("{} with mode {mode:o}\n{leak}", path.display()));
            }
            if find_leak(&bytes).is_some_and(|leak| leak.contains(&PLANTED.to_lowercase())) {
                leaks.push(format!("{} has the environment\n{leak}", path.display()));
            }
        }
        let left = common::entries(&self.path("tmp"));
        if !left.is_empty() {
            leaks.push(format!("temporary files are left: {left:?}"));
        }
        leaks
    }
}

/// Returns the arguments of all processes that belong to a run of the program, without the program itself: it gets what the
/// user gives it.
fn watch(witness: &Path, own: u32, is_over: &AtomicBool) -> Vec<Vec<u8>> {
    let mark = format!("WITNESS={}", witness.display());
    let mut seen = Vec::new();
    // A new process has the arguments of its parent until it runs its own program. The first one has those of the test so.
    let mut given = Vec::new();
    while !is_over.load(Ordering::SeqCst) {
        given.push(fs::read(format!("/proc/{own}/cmdline")).unwrap_or_default());
        for process in fs::read_dir("/proc").unwrap().filter_map(Result::ok) {
            let name = process.file_name();
            let is_number = name
                .to_str()
                .is_some_and(|name| name.parse::<u32>().is_ok());
            if !is_number || name.to_str() == Some(own.to_string().as_str()) {
                continue;
            }
            let environment = fs::read(process.path().join("environ")).unwrap_or_default();
            let mut entries = environment.split(|byte| *byte == 0);
            if entries.any(|entry| entry == mark.as_bytes())
                && let Ok(arguments) = fs::read(process.path().join("cmdline"))
                && !seen.contains(&arguments)
            {
                seen.push(arguments);
            }
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
        given.dedup();
    }
    seen.retain(|arguments| !given.contains(arguments));
    seen
}
