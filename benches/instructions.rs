//! Compares how many instructions fixed works take with `benches/instructions.txt`: `cargo bench --bench instructions`.
//!
//! Callgrind counts the instructions of the program from its start to its end, in an empty environment and on one CPU, so
//! that the count hardly depends on the machine. 3 % more than the kept number is a failure. 3 % less is said, and asks for
//! `IMGSPEC_BLESS=1`, which writes the file anew. The numbers hold for one version of rustc, which the file names.
//!
//! A name as argument selects works. `target/callgrind/WORK` has the profile of each, for `callgrind_annotate`.
//! `IMGSPEC_PROGRAM` is the path of another program to count.
//!
//! gungraun keeps what it compares with as profiles in `target`, its limits are numbers in the code, and CI would have to
//! build its runner; a list of numbers in the repository needs only valgrind.

#[path = "../tests/common/mod.rs"]
mod common;
mod work;

use common::editor::{Client, Desk};
use libtest_mimic::{Arguments, Failed, Trial};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::{Arc, Mutex};

/// By how much a count may differ from the kept one.
const TOLERANCE: f64 = 0.03;

const HOW: &str = "IMGSPEC_BLESS=1 cargo bench --bench instructions";

/// The name of a work, its arguments, and its spec. The project has no release of its own.
type Work = (&'static str, &'static [&'static str], fn() -> String);

const WORKS: [Work; 7] = [
    (
        "check-trivial-v0.1.13",
        &["check", "main.imgspec", "--release", "v0.1.13"],
        || "layer a {}\n".to_owned(),
    ),
    (
        "check-trivial-v0.1.55",
        &["check", "main.imgspec", "--release", "v0.1.55"],
        || "layer a {}\n".to_owned(),
    ),
    (
        "compile-image-v0.1.13",
        &["compile", "main.imgspec", "--release", "v0.1.13"],
        one_image,
    ),
    (
        "compile-image-v0.1.55",
        &["compile", "main.imgspec", "--release", "v0.1.55"],
        one_image,
    ),
    ("compile-100-images", &["compile", "main.imgspec"], || {
        work::fleet(100)
    }),
    ("check-1-MB", &["check", "main.imgspec"], || {
        work::large(1_000_000)
    }),
    ("format-1-MB", &["fmt", "main.imgspec"], || {
        work::large(1_000_000)
    }),
];

fn one_image() -> String {
    "image mine extends qemu-flatcar {\n    http_proxy = \"http://proxy.example.com:3128\"\n    https_proxy = http_proxy\n    \
     ansible {\n        site = \"main\"\n    }\n}\n"
        .to_owned()
}

/// The work that is a session of the language server: what a keystroke in a spec of five images adds to it.
const KEYSTROKE: &str = "keystroke";

fn main() -> ExitCode {
    // cargo bench says `--bench`, with which only measurements of time would run.
    let mut arguments = Arguments::from_iter(std::env::args().filter(|word| word != "--bench"));
    arguments.test_threads = Some(1);
    let Some(valgrind) = find("valgrind") else {
        common::skip_without_tools("no valgrind found");
        return ExitCode::SUCCESS;
    };
    let kept = Kept::read();
    let compiler = compiler();
    let blesses = common::snapshot::is_blessing();
    if !blesses && kept.compiler != compiler {
        common::skip_without_tools(&format!(
            "the kept numbers are of {}, and this is {compiler}; `{HOW}` counts anew",
            kept.compiler
        ));
        return ExitCode::SUCCESS;
    }
    let counted = Arc::new(Mutex::new(BTreeMap::new()));
    let works = WORKS.iter().map(Some).chain([None]);
    let trial = |work: Option<&'static Work>| {
        let name = work.map_or(KEYSTROKE, |work| work.0);
        let counter = Counter {
            name,
            valgrind: valgrind.clone(),
        };
        let old = kept.counts.get(name).copied();
        let counted = Arc::clone(&counted);
        Trial::test(name, move || {
            let count = match work {
                Some(work) => counter.count_work(work)?,
                None => counter.count_keystroke()?,
            };
            let mut counted = counted.lock().expect("no trial has panicked");
            counted.insert(name.to_owned(), count);
            if blesses { Ok(()) } else { compare(count, old) }
        })
    };
    let trials = works.map(trial).collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    let counted = counted.lock().expect("no trial has panicked");
    for (name, count) in counted.iter() {
        let old = kept.counts.get(name).map_or_else(String::new, |old| {
            format!(", {:+.1} %", (ratio(*count, *old) - 1.0) * 100.0)
        });
        println!("{name}: {count} instructions{old}");
    }
    if blesses {
        kept.write(compiler, &counted);
    }
    conclusion.exit_code()
}

fn ratio(new: u64, old: u64) -> f64 {
    new as f64 / old as f64
}

fn compare(count: u64, old: Option<u64>) -> Result<(), Failed> {
    let Some(old) = old else {
        return Err(format!("no number is kept; `{HOW}` writes it").into());
    };
    let ratio = ratio(count, old);
    if ratio > 1.0 + TOLERANCE {
        let more = (ratio - 1.0) * 100.0;
        return Err(format!("{count} instructions, {more:.1} % more than {old}; if that is intended, `{HOW}` keeps it").into());
    }
    if ratio < 1.0 - TOLERANCE {
        eprintln!(
            "{:.1} % less than the kept number: `{HOW}` keeps the new one",
            (1.0 - ratio) * 100.0
        );
    }
    Ok(())
}

/// The compiler and its target, in words.
fn compiler() -> String {
    let output = Command::new("rustc")
        .arg("-vV")
        .current_dir(common::root())
        .output()
        .expect("rustc runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let value = |key: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(key))
            .unwrap_or("unknown")
            .to_owned()
    };
    format!("rustc {} for {}", value("release: "), value("host: "))
}

/// The content of `benches/instructions.txt`.
struct Kept {
    compiler: String,
    counts: BTreeMap<String, u64>,
}

impl Kept {
    fn path() -> PathBuf {
        common::root().join("benches/instructions.txt")
    }

    fn read() -> Kept {
        let text = fs::read_to_string(Kept::path()).unwrap_or_default();
        let compiler = text
            .lines()
            .find_map(|line| line.strip_prefix("# Counted with "));
        let counts = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| {
                let (name, count) = line.split_once(' ').expect("a name and a number");
                (name.to_owned(), count.parse().expect("a number"))
            });
        Kept {
            compiler: compiler.unwrap_or("no compiler").to_owned(),
            counts: counts.collect(),
        }
    }

    /// Writes new numbers. Those of works that were not counted stay, if the compiler is the same.
    fn write(&self, compiler: String, counted: &BTreeMap<String, u64>) {
        let mut counts = if self.compiler == compiler {
            self.counts.clone()
        } else {
            BTreeMap::new()
        };
        counts.extend(counted.clone());
        let mut text = format!("# Counted with {compiler}\n# Written by {HOW}\n");
        for (name, count) in counts {
            let _ = writeln!(text, "{name} {count}");
        }
        fs::write(Kept::path(), text).expect("written");
    }
}

fn find(program: &str) -> Option<PathBuf> {
    std::env::split_paths(&common::search_path())
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
}

struct Counter {
    name: &'static str,
    valgrind: PathBuf,
}

impl Counter {
    fn profile(&self) -> PathBuf {
        let folder = common::root().join("target/callgrind");
        fs::create_dir_all(&folder).expect("made");
        folder.join(self.name)
    }

    /// The program under callgrind. On one CPU it has one thread for what it does in parallel.
    fn command(&self, folder: &Path) -> Command {
        let mut command = match find("taskset") {
            Some(taskset) => {
                let mut command = Command::new(taskset);
                command
                    .args(["--cpu-list", &first_cpu()])
                    .arg(&self.valgrind);
                command
            }
            None => Command::new(&self.valgrind),
        };
        command
            .args(["-q", "--tool=callgrind"])
            .arg(format!("--callgrind-out-file={}", self.profile().display()))
            .arg(work::program())
            .current_dir(folder)
            .env_clear()
            .envs([
                ("PATH", "/usr/bin:/bin"),
                ("HOME", "/nonexistent"),
                ("IMGSPEC_CACHE", "/nonexistent"),
            ]);
        command
    }

    /// The count that the last run has left.
    fn read(&self) -> Result<u64, Failed> {
        let text = fs::read_to_string(self.profile())?;
        let total = text.lines().find_map(|line| line.strip_prefix("totals: "));
        Ok(total
            .ok_or("callgrind has written no totals")?
            .trim()
            .parse()?)
    }

    fn count_work(&self, (_, arguments, spec): &Work) -> Result<u64, Failed> {
        let folder = tempfile::tempdir()?;
        let folder = folder.path().canonicalize()?;
        work::write(&folder, "imgspec.toml", "");
        work::write(&folder, "main.imgspec", &spec());
        let output = self
            .command(&folder)
            .args(*arguments)
            .stdin(Stdio::null())
            .output()?;
        if !output.status.success() {
            return Err(format!(
                "{}: {}",
                output.status,
                String::from_utf8_lossy(&output.stderr)
            )
            .into());
        }
        self.read()
    }

    fn count_keystroke(&self) -> Result<u64, Failed> {
        const KEYSTROKES: u64 = 20;
        let folder = tempfile::tempdir()?;
        let folder = folder.path().canonicalize()?;
        // Of more files the server would check some in the background, and how many depends on the time between keystrokes.
        work::write_workspace(&folder, 1, 1);
        let session = |keystrokes: u64| {
            let command = self.command(&folder);
            let mut desk = Desk::new(Client::start_with(command, &folder), &folder);
            desk.open("spec-0-0.imgspec");
            let name = "kubernetes_semver = \"v1.23.0";
            let at = desk.open[&desk.name].0.find(name).expect("it is there") + name.len();
            for stroke in 0..keystrokes {
                match stroke % 2 {
                    0 => desk.edit(at..at, "1"),
                    _ => desk.edit(at..at + 1, ""),
                }
                desk.found();
            }
            match desk.client.end() {
                Some(0) => self.read(),
                code => Err(format!("the server ends with {code:?}").into()),
            }
        };
        Ok((session(2 + KEYSTROKES)? - session(2)?) / KEYSTROKES)
    }
}

/// The first CPU that this process may use.
fn first_cpu() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let list = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))
        .unwrap_or("0");
    list.trim()
        .split([',', '-'])
        .next()
        .unwrap_or("0")
        .to_owned()
}
