//! No input takes a command's time or memory: a huge one ends soon, with a diagnostic or the right result.
//!
//! Each file of `tests/bounds` has cases: files that are generated from a few words, and what the commands print about
//! them. None may panic, hang, be killed, or print a character that a terminal obeys.
//!
//! An ordinary run is short, because a debug build is slow: its limits are generous, it takes a tenth of the cases, and each
//! runs `check` and one other command in turn. With `IMGSPEC_PROGRAM` the cases run another program. With
//! `IMGSPEC_BOUNDS=2,512` all cases go through all commands that could read them, and through the language server, and none
//! may take more than 2 seconds of processor time and 512 MiB:
//!
//! `cargo build --release && IMGSPEC_PROGRAM=target/release/imgspec IMGSPEC_BOUNDS=2,512 cargo test --test bounds`
//!
//! `IMGSPEC_FIGURES=FILE` writes a line for each run: seconds, MiB, case and command.

mod common;

use common::editor::Client;
use common::snapshot;
use libtest_mimic::{Failed, Trial};
use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Read, Seek, Write};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};
use wait4::Wait4;

/// An ordinary run takes one case of so many: a program without optimizations needs a quarter of an hour for all of them.
/// `IMGSPEC_BOUNDS`, or a name, takes the others, too.
const SAMPLE: usize = 10;

fn main() -> ExitCode {
    let mut trials = Vec::new();
    let is_whole = std::env::var_os("IMGSPEC_BOUNDS").is_some() || std::env::args().len() > 1;
    for path in common::files(&common::root().join("tests/bounds"), "toml") {
        let group = path.file_stem().unwrap().to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).unwrap();
        let file: CaseFile = toml::from_str(&text).unwrap_or_else(|e| panic!("{group}: {e}"));
        assert!(!file.case.is_empty(), "{group} has no case");
        for case in file.case {
            let turn = trials.len();
            let name = format!("{group}::{}", case.name);
            let is_left_out = !is_whole && turn % SAMPLE != 0;
            let trial = Trial::test(name.clone(), move || case.run(&name, turn));
            trials.push(trial.with_ignored_flag(is_left_out));
        }
    }
    snapshot::run(trials)
}

/// The cases of a file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseFile {
    case: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    files: Vec<Generated>,
    /// Commands in addition to those that the files have. `~` in an argument is the folder of the case.
    #[serde(default)]
    commands: Vec<Vec<Pieces>>,
    /// Whether the commands that a spec has are not run.
    #[serde(default)]
    only: bool,
    /// What the commands print, together.
    #[serde(default)]
    expect: Vec<String>,
    /// The exit code of `imgspec check`.
    code: Option<i32>,
}

/// A file, or as many as `times` says. In the path and the text of each, `@` is its number, and `@@` the next one.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Generated {
    path: String,
    times: Option<usize>,
    #[serde(default)]
    text: Pieces,
    #[serde(default)]
    thing: Thing,
}

/// What is in the place of a file.
#[derive(Deserialize, Default, Clone, Copy, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum Thing {
    #[default]
    File,
    Pipe,
    Zero,
    Socket,
    Folder,
    /// A file of 100 MB.
    Large,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Pieces {
    One(String),
    Many(Vec<Piece>),
}

impl Default for Pieces {
    fn default() -> Pieces {
        Pieces::Many(Vec::new())
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Piece {
    Text(String),
    /// In each copy, `@` is its number, and `@@` the next one.
    Repeat {
        repeat: String,
        times: usize,
    },
    Bytes {
        bytes: Vec<u8>,
    },
}

fn numbered(text: &str, number: Option<usize>) -> String {
    match number {
        Some(number) => text
            .replace("@@", &(number + 1).to_string())
            .replace('@', &number.to_string()),
        None => text.to_owned(),
    }
}

impl Generated {
    fn write(&self, folder: &Path) {
        match self.times {
            None => self.write_one(folder, None),
            Some(times) => (0..times).for_each(|i| self.write_one(folder, Some(i))),
        }
    }

    fn write_one(&self, folder: &Path, number: Option<usize>) {
        let path = folder.join(numbered(&self.path, number));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match self.thing {
            Thing::File => {}
            Thing::Pipe => {
                let made = Command::new("mkfifo").arg(&path).status().unwrap();
                return assert!(made.success());
            }
            Thing::Zero => return symlink("/dev/zero", path).unwrap(),
            Thing::Socket => return drop(UnixListener::bind(path).unwrap()),
            Thing::Folder => return fs::create_dir(path).unwrap(),
            Thing::Large => return File::create(path).unwrap().set_len(100_000_000).unwrap(),
        }
        let mut out = BufWriter::new(File::create(path).unwrap());
        self.text.write(number, &mut out);
        out.flush().unwrap();
    }
}

impl Pieces {
    fn write(&self, number: Option<usize>, out: &mut impl Write) {
        let mut write = |bytes: &[u8]| out.write_all(bytes).unwrap();
        let pieces = match self {
            Pieces::One(text) => return write(numbered(text, number).as_bytes()),
            Pieces::Many(pieces) => pieces,
        };
        for piece in pieces {
            match piece {
                Piece::Text(text) => write(numbered(text, number).as_bytes()),
                Piece::Bytes { bytes } => write(bytes),
                Piece::Repeat { repeat, times } if !repeat.contains('@') => {
                    (0..*times).for_each(|_| write(repeat.as_bytes()));
                }
                Piece::Repeat { repeat, times } => {
                    (0..*times).for_each(|i| write(numbered(repeat, Some(i)).as_bytes()));
                }
            }
        }
    }
}

impl Pieces {
    fn text(&self) -> String {
        let mut out = Vec::new();
        self.write(None, &mut out);
        String::from_utf8(out).unwrap()
    }
}

/// The commands that read the specs of a project.
const OF_SPECS: &[&[&str]] = &[
    &["check", "--format", "short"],
    &["check", "--format", "rich"],
    &["check", "--format", "json"],
    &["compile", "--format", "plain"],
    &["fmt", "--check"],
    &["show"],
    &["show", "a", "--json"],
    &["list"],
    &["explain", "some-word"],
    &["doc"],
    &["doc", "--format", "markdown"],
    &["report"],
    &["graph", "--format", "svg"],
    &["graph", "--files"],
];

/// Those that read a JSON var file, named `v.json`.
const OF_JSON: &[&[&str]] = &[
    &["check", "v.json", "--format", "short"],
    &["check", "v.json", "--format", "json"],
    &["import", "v.json"],
    &["init", "--from", "v.json", "--out", "new"],
];

/// Those that read a checkout, the folder `checkout`.
const OF_CHECKOUT: &[&[&str]] = &[
    &["list", "--in", "checkout"],
    &["adopt", "checkout", "--out", "adopted"],
    &["compare", "checkout"],
];

/// What an editor asks for about a document.
const METHODS: &[&str] = &[
    "textDocument/foldingRange",
    "textDocument/documentSymbol",
    "textDocument/semanticTokens/full",
    "textDocument/formatting",
    "textDocument/hover",
    "textDocument/completion",
    "textDocument/inlayHint",
    "textDocument/codeAction",
    "textDocument/documentLink",
    "workspace/symbol",
];

impl Case {
    fn run(&self, name: &str, turn: usize) -> Result<(), Failed> {
        let place = match std::env::var_os("IMGSPEC_SCRATCH") {
            Some(folder) => tempfile::tempdir_in(folder)?,
            None => tempfile::tempdir()?,
        };
        let folder = place.path().canonicalize()?;
        if !self.files.iter().any(|file| file.path == "imgspec.toml") {
            fs::write(folder.join("imgspec.toml"), "")?;
        }
        for file in &self.files {
            file.write(&folder);
        }
        let has = |start: &str| self.files.iter().any(|file| file.path.starts_with(start));
        let mut commands: Vec<Vec<String>> = Vec::new();
        let mut add = |of: &[&[&str]]| {
            commands.extend(
                of.iter()
                    .map(|c| c.iter().map(|w| (*w).to_owned()).collect()),
            );
        };
        if !self.only {
            add(OF_SPECS);
            if has("v.json") {
                add(OF_JSON);
            }
            if has("checkout/") {
                add(OF_CHECKOUT);
            }
        }
        let runs_all = std::env::var_os("IMGSPEC_BOUNDS").is_some();
        if !runs_all && commands.len() > 2 {
            let other = 1 + turn % (commands.len() - 1);
            commands.swap(1, other);
            commands.truncate(2);
        }
        let words = |command: &Vec<Pieces>| command.iter().map(Pieces::text).collect();
        commands.extend(self.commands.iter().map(words));
        let mut problems = Vec::new();
        let mut printed = String::new();
        for command in &commands {
            let home = folder.to_string_lossy();
            let args: Vec<String> = command.iter().map(|w| w.replace('~', &home)).collect();
            let (run, text) = run(&folder, &args);
            run.judge(name, &args.join(" "), &mut problems);
            if let Some(c) = text.chars().find(|c| imgspec::source::is_unseen(*c)) {
                problems.push(format!("{args:?} prints {c:?}"));
            }
            let code = self
                .code
                .filter(|_| args.first().is_some_and(|a| a == "check"));
            if code.is_some_and(|code| run.code != Some(code)) {
                problems.push(format!(
                    "{args:?} ends with {:?}:\n{}",
                    run.code,
                    cut(&text)
                ));
            }
            let _ = writeln!(printed, "{args:?}\n{}", cut(&text));
        }
        if !self.only && runs_all {
            ask_server(name, &folder, &mut problems);
        }
        for expected in &self.expect {
            if !printed.contains(expected.as_str()) {
                problems.push(format!("nothing prints `{expected}`:\n{printed}"));
            }
        }
        snapshot::fail_on(&problems)
    }
}

/// The start and the end of what a command prints.
fn cut(text: &str) -> String {
    let head: String = text.chars().take(3000).collect();
    match text.char_indices().rev().nth(1500) {
        Some((at, _)) if at > head.len() => format!("{head}\n[…]\n{}", &text[at..]),
        _ => text.to_owned(),
    }
}

/// How a run ended, and what it took.
struct Run {
    code: Option<i32>,
    seconds: f64,
    mib: u64,
    is_crash: bool,
}

impl Run {
    fn judge(&self, case: &str, what: &str, problems: &mut Vec<String>) {
        let Run {
            code, seconds, mib, ..
        } = *self;
        if let Some(file) = std::env::var_os("IMGSPEC_FIGURES") {
            let line = format!("{seconds:.2}\t{mib}\t{case}\t{what}\t{code:?}\n");
            let mut file = OpenOptions::new()
                .append(true)
                .create(true)
                .open(file)
                .unwrap();
            file.write_all(line.as_bytes()).unwrap();
        }
        let (most_seconds, most_mib) = bounds();
        if !matches!(code, Some(0..=2)) || self.is_crash {
            problems.push(format!(
                "{what}: it ends with {code:?} after {seconds:.1} s, {mib} MiB"
            ));
        } else if seconds > most_seconds || mib > most_mib {
            problems.push(format!("{what}: it takes {seconds:.1} s and {mib} MiB"));
        }
    }
}

/// The seconds of processor time and the MiB that a run may take.
fn bounds() -> (f64, u64) {
    let given = std::env::var("IMGSPEC_BOUNDS").ok();
    given.map_or((60.0, 2048), |given| {
        let (seconds, mib) = given.split_once(',').expect("SECONDS,MIB");
        (seconds.parse().unwrap(), mib.parse().unwrap())
    })
}

/// Returns the most memory, in MiB, that a program that runs has had. What `wait4` says begins with the memory of the
/// process that started it, which is this one.
fn peak(pid: Pid) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kib >> 10)
}

/// Waits for a program, which is killed where it takes too long.
fn wait(mut child: Child) -> Run {
    let pid = Pid::from_child(&child);
    let (done, is_done) = channel::<()>();
    let watch = std::thread::spawn(move || {
        let longest = Duration::from_secs_f64(bounds().0.max(30.0) * 10.0);
        let start = Instant::now();
        let mut mib = 0;
        let often = Duration::from_millis(5);
        while is_done.recv_timeout(often) == Err(RecvTimeoutError::Timeout) {
            mib = peak(pid).unwrap_or_default().max(mib);
            if start.elapsed() > longest {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        mib
    });
    let used = child.wait4().unwrap();
    drop(done);
    Run {
        code: used.status.code(),
        seconds: (used.rusage.utime + used.rusage.stime).as_secs_f64(),
        mib: watch.join().unwrap(),
        is_crash: false,
    }
}

/// Runs a command, and returns what it printed to both streams.
fn run(folder: &Path, args: &[String]) -> (Run, String) {
    let mut out = tempfile::tempfile().unwrap();
    let mut command = bounded(folder);
    command.args(args).stdin(Stdio::null());
    command
        .stdout(out.try_clone().unwrap())
        .stderr(out.try_clone().unwrap());
    let mut run = wait(command.spawn().unwrap());
    out.rewind().unwrap();
    let mut bytes = Vec::new();
    Read::by_ref(&mut out)
        .take(64 << 20)
        .read_to_end(&mut bytes)
        .unwrap();
    let printed = String::from_utf8_lossy(&bytes).into_owned();
    run.is_crash = ["panicked at", "stack overflow", "memory allocation of"]
        .iter()
        .any(|said| printed.contains(said));
    (run, printed)
}

/// The program, which cannot take all memory of the machine.
fn bounded(folder: &Path) -> Command {
    let program = common::imgspec(folder).get_program().to_owned();
    let mut command = Command::new("sh");
    command
        .args(["-c", "ulimit -v 6000000; exec \"$0\" \"$@\""])
        .arg(program);
    common::in_folder(command, folder)
}

/// Opens a spec in the language server, and asks for all that an editor shows.
fn ask_server(case: &str, folder: &Path, problems: &mut Vec<String>) {
    let path = folder.join("a.imgspec");
    let is_large = fs::metadata(&path).map_or(0, |m| m.len()) >= 100_000_000;
    let is_file = fs::metadata(&path).is_ok_and(|m| m.is_file());
    let text = if is_file && !is_large {
        fs::read_to_string(&path).ok()
    } else {
        None
    };
    // What cannot be opened is read by the server itself.
    let (name, text) = match text {
        Some(text) => ("a.imgspec", text),
        None => ("opened.imgspec", "include \"a.imgspec\"\n".to_owned()),
    };
    let client = std::panic::catch_unwind(|| {
        let mut client = Client::start(folder);
        let uri = format!("file://{}", folder.join(name).display());
        let lines = text.matches('\n').count();
        let document = json!({ "uri": uri, "languageId": "imgspec", "version": 1, "text": text });
        client.tell("textDocument/didOpen", json!({ "textDocument": document }));
        let mut answers = vec![client.wait_for(&uri, Some(1))];
        for method in METHODS {
            let at = json!({ "line": lines / 2, "character": 3 });
            let params = json!({
                "textDocument": { "uri": uri },
                "position": at,
                "range": { "start": { "line": 0, "character": 0 }, "end": at },
                "context": { "diagnostics": [], "triggerKind": 1 },
                "options": { "tabSize": 4, "insertSpaces": true },
                "query": "a",
            });
            let answer = client.ask(method, params);
            if *method != "textDocument/formatting" {
                answers.push(answer);
            }
        }
        (client, answers)
    });
    let Ok((mut client, answers)) = client else {
        return problems.push("the language server ends".to_owned());
    };
    client.ask("shutdown", Value::Null);
    let mib = peak(Pid::from_child(&client.server)).unwrap_or_default();
    client.tell("exit", Value::Null);
    let mut run = wait(client.server);
    run.mib = run.mib.max(mib);
    run.judge(case, "lsp", problems);
    // The server's words, rather than the file's own.
    let unseen = answers.iter().find_map(|answer| unseen_in(answer));
    if let Some(text) = unseen {
        problems.push(format!("the language server sends {:?}", cut(text)));
    }
}

/// A string of an answer with a character that is not seen.
fn unseen_in(value: &Value) -> Option<&str> {
    match value {
        Value::String(text) => text.contains(imgspec::source::is_unseen).then_some(text),
        Value::Array(values) => values.iter().find_map(unseen_in),
        Value::Object(map) => map
            .iter()
            .filter(|(key, _)| *key != "newText" && *key != "uri")
            .find_map(|(_, value)| unseen_in(value)),
        _ => None,
    }
}
