//! The same sources give the same bytes in every environment: a file each in `tests/worlds`.
//!
//! Each line of such a file is `NAME = VALUE`. A name in lower case is one of these; any other is an environment variable,
//! which is removed if it has no value.
//!
//! | name | value |
//! | --- | --- |
//! | `folder` | the folder below a temporary one that contains the project |
//! | `order` | `reversed`: the files of the project are made in the opposite order, so that most file systems list them in another one |
//! | `user` | the number of the user, where the test runs as root |
//! | `umask` | the mask for the modes of new files |
//!
//! In each world run the commands of `tests/cases`, with all images of `examples` and all targets of every release. What they
//! print and all files that they write are compared with those of a plain world, byte for byte, with their modes. The
//! project's folder may differ: its path counts as `PROJECT`, and not at all with `--portable`.

mod common;

use common::commands::CaseCommand;
use common::snapshot;
use imgspec::source::Release;
use libtest_mimic::{Failed, Trial};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::{Arc, OnceLock};
use tempfile::TempDir;
use walkdir::WalkDir;

/// The modes that imgspec gives to its output, whatever the mask is: docs/language.md, "Output".
const OUTPUT: [u32; 2] = [0o644, 0o600];

fn main() -> ExitCode {
    let plain: Arc<OnceLock<Vec<Outcome>>> = Arc::default();
    let worlds = common::files(&common::root().join("tests/worlds"), "txt");
    let shared = plain.clone();
    let mut trials = snapshot::trials(worlds, move |path| {
        let plain = shared.get_or_init(|| World::default().run_all());
        compare(plain, &World::read(path).run_all())
    });
    let again = move || {
        let plain = plain.get_or_init(|| World::default().run_all());
        compare(plain, &World::default().run_all())
    };
    trials.push(Trial::test("a_second_run", again));
    trials.extend(snapshot::functions![the_order_of_arguments_changes_nothing]);
    snapshot::run(trials)
}

/// What is different where a project is compiled.
#[derive(Default)]
struct World {
    folder: PathBuf,
    is_reversed: bool,
    user: Option<u32>,
    umask: Option<u32>,
    environment: Vec<(String, String)>,
}

impl World {
    fn read(path: &Path) -> World {
        let mut world = World::default();
        let text = fs::read_to_string(path).unwrap();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (name, value) = line.split_once('=').expect("NAME = VALUE");
            let (name, value) = (name.trim(), value.trim());
            match name {
                "folder" => world.folder = value.into(),
                "order" => world.is_reversed = value == "reversed",
                "user" => world.user = Some(value.parse().unwrap()),
                "umask" => world.umask = Some(u32::from_str_radix(value, 8).unwrap()),
                _ => world.environment.push((name.to_owned(), value.to_owned())),
            }
        }
        world
    }

    /// Runs the commands of all projects.
    fn run_all(&self) -> Vec<Outcome> {
        common::in_parallel(projects(), |project| vec![self.run(&project)])
    }

    fn run(&self, project: &Project) -> Outcome {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().canonicalize().unwrap().join(&self.folder);
        let folder = folder.join("project");
        fs::create_dir_all(&folder).unwrap();
        let mut files: Vec<(&PathBuf, &Vec<u8>)> = project.files.iter().collect();
        if self.is_reversed {
            files.reverse();
        }
        for (name, bytes) in files {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        let user = self.user.filter(|_| is_root());
        if let Some(user) = user {
            give(&place, user);
        }
        let mut printed = String::new();
        for command in &project.commands {
            let _ = writeln!(printed, "$ imgspec {}", command.arguments.join(" "));
            if command.show_files(&folder).is_some() {
                continue;
            }
            printed += &self.run_command(command, &folder, user);
        }
        Outcome {
            name: project.name.clone(),
            printed: without_chance(&printed, &folder),
            files: written(&folder, project),
        }
    }

    fn run_command(&self, command: &CaseCommand, folder: &Path, user: Option<u32>) -> String {
        let program = command.binary(folder);
        // The shell sets the mask; the program and its environment stay as they are.
        let mut run = Command::new("sh");
        let script = "umask \"$0\" && exec \"$@\"";
        let umask = format!("{:03o}", self.umask.unwrap_or(0o022));
        run.args(["-c", script, &umask]).arg(program.get_program());
        run.args(&command.arguments)
            .current_dir(program.get_current_dir().unwrap())
            .env("IMGSPEC_CACHE", folder.join(".cache"));
        for (name, value) in program.get_envs() {
            match value {
                Some(value) => run.env(name, value),
                None => run.env_remove(name),
            };
        }
        let is_wrapped = command.arguments.iter().any(|word| word == "rich");
        for (name, value) in &self.environment {
            match value.as_str() {
                // The rich format is as wide as the terminal, and may have its colours.
                _ if is_wrapped && (name == "COLUMNS" || name == "NO_COLOR") => &mut run,
                "" => run.env_remove(name),
                value => run.env(name, value),
            };
        }
        if let Some(user) = user {
            run.uid(user).gid(user);
        }
        let output = run.output().unwrap();
        let code = common::exit_code(&output);
        let [out, err] = [output.stdout, output.stderr].map(|b| String::from_utf8(b).unwrap());
        format!("{out}{err}exit code {code}\n")
    }
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// Gives a folder with all that it contains to a user.
fn give(place: &TempDir, user: u32) {
    for entry in WalkDir::new(place.path()) {
        chown(entry.unwrap().path(), Some(user), Some(user)).unwrap();
    }
}

fn without_place(text: &str, folder: &Path) -> String {
    let folder = folder.display().to_string();
    let url = folder.replace(' ', "%20").replace('é', "%C3%A9");
    text.replace(&folder, "PROJECT").replace(&url, "PROJECT")
}

/// Removes from printed text what may differ: the folder, the colors of a terminal that the world forces, the port of a
/// build, the quotes that a shell needs for the folder's name, a path outside the folder, and all blanks, because the folder's
/// length moves the ends of lines.
fn without_chance(text: &str, folder: &Path) -> String {
    let replaced = |text: &str, pattern: &str, new: &str| {
        let regex = regex::Regex::new(pattern).unwrap();
        regex.replace_all(text, new).into_owned()
    };
    let compact = |text: &str| text.split_whitespace().collect::<String>();
    let text = compact(&replaced(text, r"\x1b\[[0-9;]*m", ""));
    let folder = PathBuf::from(compact(&folder.display().to_string()));
    let text = without_place(&text, &folder);
    let text = replaced(&text, r"'(PROJECT[^']*)'", "$1");
    let text = replaced(&text, "IMGSPEC_PORT=[0-9]+", "IMGSPEC_PORT");
    replaced(&text, r"/[^:]*/etc/passwd", "/etc/passwd")
}

/// All files of a project's folder that are not its own, with their modes.
fn written(folder: &Path, project: &Project) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    for entry in WalkDir::new(folder).min_depth(1) {
        let entry = entry.unwrap();
        let name = entry.path().strip_prefix(folder).unwrap();
        let is_own = project.files.get(name).is_some_and(|own| {
            // `fmt` writes to the project's own files.
            fs::read(entry.path()).is_ok_and(|now| now == *own)
        });
        if entry.file_type().is_dir() || is_own || name.starts_with(".cache") {
            continue;
        }
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        let text = fs::read_to_string(entry.path()).unwrap();
        let is_output = name.ends_with("packer.vars.json")
            || name.ends_with("ansible.vars.json")
            || name.ends_with("manifest.json");
        let is_portable = name.components().any(|part| part.as_os_str() == "portable");
        let mut text = if is_portable {
            text
        } else {
            without_place(&text, folder)
        };
        if is_output {
            assert!(OUTPUT.contains(&mode), "{}: mode {mode:o}", name.display());
            let _ = write!(text, "mode {mode:o}");
        }
        out.insert(name.display().to_string(), text);
    }
    out
}

// ---- projects -----------------------------------------------------------------------------------

struct Project {
    name: String,
    files: BTreeMap<PathBuf, Vec<u8>>,
    commands: Vec<CaseCommand>,
}

/// What the commands of a project print and write.
struct Outcome {
    name: String,
    printed: String,
    files: BTreeMap<String, String>,
}

/// The commands for a project that has none of its own.
const COMMANDS: &[&str] = &[
    "check",
    "check --format short",
    "check --format json",
    "check --format rich",
    "compile",
    "compile --out portable --portable",
    "compile --check",
    "list --json",
    "plan --format json",
    "plan --against . --format github",
    "show --json",
    "doc --format markdown --out reference.md",
    "targets",
    "build --dry-run --jobs 2",
];

fn projects() -> Vec<Project> {
    let mut out = vec![with_commands(
        "examples",
        files(&common::root().join("examples")),
    )];
    for release in Release::all() {
        let name = format!("targets of {release}");
        let mut all = with_commands(&name, targets(release));
        // Each of their pages and plans is long, and the examples have them.
        let is_short = |command: &CaseCommand| {
            let words = ["show", "doc", "build"];
            !words.contains(&command.arguments[0].as_str())
        };
        all.commands.retain(is_short);
        out.push(all);
    }
    for case in common::entries(&common::root().join("tests/cases")) {
        out.push(Project {
            name: case.file_name().unwrap().to_string_lossy().into_owned(),
            files: files(&case),
            commands: common::commands::of_case(&case),
        });
    }
    // The longest run first, so that no core waits for it.
    out.reverse();
    out
}

fn with_commands(name: &str, files: BTreeMap<PathBuf, Vec<u8>>) -> Project {
    let commands = COMMANDS.iter().map(|line| common::commands::parse(line));
    Project {
        name: name.to_owned(),
        files,
        commands: commands.collect(),
    }
}

fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = WalkDir::new(folder).into_iter().map(Result::unwrap);
    entries
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| {
            let name = entry.path().strip_prefix(folder).unwrap().to_owned();
            (name, fs::read(entry.path()).unwrap())
        })
        .collect()
}

/// A project with an image for each target of a release that lacks nothing, and a file for each provider.
fn targets(release: Release) -> BTreeMap<PathBuf, Vec<u8>> {
    let listed = common::run_json(
        common::root(),
        &["list", "--targets", "--json", "--release", release.name()],
    );
    let listed = listed.as_array().expect("an array of targets");
    let names: Vec<&str> = listed
        .iter()
        .map(|t| t["image"].as_str().unwrap())
        .collect();
    assert!(names.len() > 40, "{} targets", names.len());
    let all = specs_of(&names, release);
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in &all {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    // Some need an account, and some are only there to be refused.
    let found = common::run_json(folder.path(), &["check", "--format", "json"]);
    let found = found["diagnostics"].as_array().unwrap();
    let text = serde_json::to_string(found).unwrap();
    let is_whole = |name: &&str| !text.contains(&format!("\"of-{name}\""));
    let names: Vec<&str> = names.into_iter().filter(is_whole).collect();
    assert!(names.len() > 20, "{} whole targets", names.len());
    specs_of(&names, release)
}

fn specs_of(names: &[&str], release: Release) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut specs: BTreeMap<PathBuf, Vec<u8>> = BTreeMap::new();
    specs.insert(
        "imgspec.toml".into(),
        format!("release = \"{release}\"\n").into_bytes(),
    );
    for name in names {
        let provider = name.split('-').next().unwrap();
        let image = format!(
            "image of-{name} extends {name} {{\n    ansible {{ who = \"{name}\", list = [1, 2] }}\n}}\n"
        );
        let spec = specs.entry(format!("{provider}.imgspec").into());
        spec.or_default().extend(image.into_bytes());
    }
    specs
}

// ---- comparison ---------------------------------------------------------------------------------

fn compare(plain: &[Outcome], other: &[Outcome]) -> Result<(), Failed> {
    let find = |name: &str| other.iter().find(|outcome| outcome.name == name);
    let mut problems = Vec::new();
    let mut count = 0;
    for outcome in plain {
        let other = find(&outcome.name).expect("every project is in every world");
        if let Some(differs) = difference(&outcome.printed, &other.printed) {
            problems.push(format!("{} prints\n{differs}", outcome.name));
        }
        let names = outcome.files.keys().chain(other.files.keys());
        for name in names {
            let [a, b] = [outcome, other].map(|o| o.files.get(name).map_or("", String::as_str));
            count += 1;
            if let Some(differs) = difference(a, b) {
                problems.push(format!("{}: {name}\n{differs}", outcome.name));
            }
        }
    }
    assert!(count > 500, "only {count} files were written");
    problems.sort();
    problems.dedup();
    snapshot::fail_on(&problems)
}

/// Returns the first lines that differ.
fn difference(plain: &str, other: &str) -> Option<String> {
    if plain == other {
        return None;
    }
    let (mut a, mut b) = (plain.lines(), other.lines());
    loop {
        match (a.next(), b.next()) {
            (x, y) if x == y && x.is_some() => {}
            (x, y) => return Some(format!("- {}\n+ {}", x.unwrap_or(""), y.unwrap_or(""))),
        }
    }
}

/// Files that are named in another order are the same project.
fn the_order_of_arguments_changes_nothing() {
    let release = Release::newest();
    let mut by_case: Vec<BTreeMap<PathBuf, Vec<u8>>> = vec![
        files(&common::root().join("examples")),
        targets(release),
        files(&common::root().join("tests/cases/ten-mistakes")),
    ];
    for files in by_case.drain(..) {
        let specs = files
            .keys()
            .filter(|name| name.extension().is_some_and(|e| e == "imgspec"));
        let names: Vec<String> = specs.map(|name| name.display().to_string()).collect();
        let mut backwards = names.clone();
        backwards.reverse();
        let mut turned = names.clone();
        let middle = turned.len() / 2;
        turned.rotate_left(middle);
        let results = [names, backwards, turned].map(|names| {
            let commands = [
                "check",
                "check --format json",
                "compile",
                "list",
                "fmt --check",
            ];
            let commands = commands.map(|line| {
                let mut command = common::commands::parse(line);
                command.arguments.extend(names.iter().cloned());
                command
            });
            let project = Project {
                name: String::new(),
                files: files.clone(),
                commands: commands.into(),
            };
            let mut outcome = World::default().run(&project);
            let lines = outcome
                .printed
                .lines()
                .filter(|line| !line.starts_with('$'));
            outcome.printed = lines.collect::<Vec<_>>().join("\n");
            outcome
        });
        let [first, others @ ..] = &results;
        for other in others {
            assert_eq!(difference(&first.printed, &other.printed), None);
            assert!(first.files == other.files, "other files are written");
        }
    }
}
