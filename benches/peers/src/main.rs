//! imgspec beside what people would use instead, on the same work: `benches/peers/run --help`.
//!
//! The kernel counts the memory of a process from its fork, so this program stays small: it generates the work and compares
//! outputs in processes of their own, by calling itself with `--step`.

mod languages;
mod measure;
mod model;
mod ours;
mod rows;

use lexopt::prelude::*;
use measure::{Cost, median, work_of_others};
use rows::{ROWS, Row, WORKS};
use std::error::Error;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::thread::available_parallelism;
use std::time::Instant;

const HELP: &str = "\
Runs imgspec and its peers on the same work, in turn, and prints the medians as a Markdown table.

Usage: benches/peers/run [OPTIONS]

    --imgspec PROGRAM   the program to measure [default: that of a release, which is built]
    --work W1,W2        only this work: W1 to W7
    --peers A,B         only these programs beside imgspec and the floors; `none` for no other
    --rounds N          how often each command is run [default: 11; slow commands less often]
    --limit SECONDS     drop a command that takes more CPU time [default: 60]
    --checkout FOLDER   the Image Builder checkout for W6 [default: a generated one of 480 variables]
    --folder FOLDER     where the work and the outputs are [default: a new folder in /dev/shm]
    --keep              do not remove the folder at the end
    --into FILE         also replace what is between the lines `<!-- peers -->` and `<!-- end -->` of a file
";

struct Options {
    imgspec: PathBuf,
    works: Option<Vec<String>>,
    peers: Option<Vec<String>>,
    rounds: usize,
    limit: u64,
    checkout: Option<PathBuf>,
    folder: Option<PathBuf>,
    keep: bool,
    into: Option<PathBuf>,
    step: Option<String>,
}

fn options() -> Result<Options, Box<dyn Error>> {
    let mut options = Options {
        imgspec: PathBuf::new(),
        works: None,
        peers: None,
        rounds: 11,
        limit: 60,
        checkout: None,
        folder: None,
        keep: false,
        into: None,
        step: None,
    };
    let mut parser = lexopt::Parser::from_env();
    let list = |text: String| Some(text.split(',').map(str::to_owned).collect());
    while let Some(argument) = parser.next()? {
        match argument {
            Long("imgspec") => options.imgspec = parser.value()?.into(),
            Long("work") => options.works = list(parser.value()?.string()?),
            Long("peers") => options.peers = list(parser.value()?.string()?),
            Long("rounds") => options.rounds = parser.value()?.parse()?,
            Long("limit") => options.limit = parser.value()?.parse()?,
            Long("checkout") => options.checkout = Some(fs::canonicalize(parser.value()?)?),
            Long("folder") => options.folder = Some(parser.value()?.into()),
            Long("keep") => options.keep = true,
            Long("into") => options.into = Some(parser.value()?.into()),
            Long("step") => options.step = Some(parser.value()?.string()?),
            Long("help") | Short('h') => {
                print!("{HELP}");
                std::process::exit(0);
            }
            _ => return Err(argument.unexpected().into()),
        }
    }
    options.rounds = options.rounds.max(1);
    options.imgspec = fs::canonicalize(&options.imgspec)
        .map_err(|e| format!("{}: {e}", options.imgspec.display()))?;
    if let Some(unknown) = options
        .works
        .iter()
        .flatten()
        .find(|work| WORKS.iter().all(|(name, _)| name != work))
    {
        return Err(format!("no work is called {unknown}").into());
    }
    if let Some(unknown) = options
        .peers
        .iter()
        .flatten()
        .find(|peer| *peer != "none" && ROWS.iter().all(|row| row.peer != *peer))
    {
        return Err(format!("no peer is called {unknown}").into());
    }
    Ok(options)
}

impl Options {
    fn has_work(&self, work: &str) -> bool {
        self.works
            .as_ref()
            .is_none_or(|works| works.iter().any(|name| name == work))
    }

    fn has_row(&self, row: &Row) -> bool {
        let is_named = |peers: &Vec<String>| peers.iter().any(|name| name == row.peer);
        self.has_work(row.work)
            && (matches!(row.peer, "imgspec" | "floor") || self.peers.as_ref().is_none_or(is_named))
    }

    /// Writes the work that is to be measured.
    fn generate(&self, folder: &Path) {
        for (work, _) in WORKS.iter().filter(|(work, _)| self.has_work(work)) {
            let folder = folder.join(work);
            fs::create_dir_all(&folder).expect("a folder");
            match *work {
                "W1" => languages::write_fleet(&folder, 1),
                "W2" => languages::write_fleet(&folder, model::IMAGES),
                "W3" => languages::write_file(&folder),
                "W4" => {
                    languages::write_trivial(&folder);
                    ours::write_trivial(&folder);
                }
                "W5" => ours::write_releases(&folder),
                "W6" => ours::write_adopted(&folder, &self.imgspec, self.checkout.as_deref()),
                _ => ours::write_many(&folder, &self.imgspec),
            }
        }
    }
}

/// The peers' folder, which `benches/peers/install` fills.
fn peers_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/peers")
}

/// The name of a program with its version.
fn program(row: &Row, imgspec: &Path) -> String {
    let first_line = |program: &Path, argument: &str| {
        let output = Command::new(program)
            .arg(argument)
            .env("CHECKPOINT_DISABLE", "1")
            .output();
        let text = output.map_or(Vec::new(), |output| output.stdout);
        String::from_utf8_lossy(&text)
            .lines()
            .next()
            .unwrap_or(row.peer)
            .replace(" v", " ")
    };
    match row.peer {
        "floor" => "floor".to_owned(),
        "imgspec" => first_line(imgspec, "--version"),
        "packer" => first_line(&peers_folder().join("bin/packer"), "version"),
        peer => {
            let version = fs::read_to_string(peers_folder().join(format!("{peer}.version")));
            format!("{peer} {}", version.unwrap_or_default())
                .trim()
                .to_owned()
        }
    }
}

/// The words of a row's command, or why it cannot be run.
fn command(row: &Row, imgspec: &Path, out: &Path) -> Result<Vec<String>, String> {
    let mut words: Vec<String> = row
        .command
        .split(' ')
        .map(|word| word.replace("OUT", &out.to_string_lossy()))
        .collect();
    let program = match row.peer {
        "imgspec" => imgspec.to_owned(),
        "floor" => std::env::current_exe()
            .map_err(|e| e.to_string())?
            .with_file_name(&words[0]),
        peer => peers_folder().join("bin").join(peer),
    };
    if !program.exists() {
        let why = fs::read_to_string(peers_folder().join(format!("{}.missing", row.peer)));
        return Err(why.map_or("not installed".to_owned(), |why| {
            format!("cannot be installed: {}", why.trim())
        }));
    }
    words[0] = program.to_string_lossy().into_owned();
    Ok(words)
}

/// Calls this program with the same options and a step, which must succeed.
fn step(step: &str, folder: &Path) -> Result<(), String> {
    let program = std::env::current_exe().map_err(|e| e.to_string())?;
    let output = Command::new(program)
        .args(std::env::args_os().skip(1))
        .args(["--step", step, "--folder"])
        .arg(folder)
        .output()
        .map_err(|e| e.to_string())?;
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
    }
}

struct Runner {
    options: Options,
    folder: PathBuf,
}

/// A row that runs, and what it cost in each round.
struct Measured {
    row: &'static Row,
    command: Vec<String>,
    folder: PathBuf,
    rounds: usize,
    costs: Vec<Cost>,
}

impl Runner {
    fn out(&self) -> PathBuf {
        self.folder.join("out")
    }

    fn title(&self, row: &Row) -> String {
        let program = program(row, &self.options.imgspec);
        if row.note.is_empty() {
            program
        } else {
            format!("{program}, {}", row.note)
        }
    }

    /// Runs a row once, and compares its output.
    fn try_row(&self, index: usize) -> Result<Measured, String> {
        let row = &ROWS[index];
        let out = self.out();
        let command = command(row, &self.options.imgspec, &out)?;
        let folder = self.folder.join(row.work).join(row.folder);
        let limit = format!("ulimit -t {} && exec \"$0\" \"$@\"", self.options.limit);
        let mut limited = vec!["sh".to_owned(), "-c".to_owned(), limit];
        limited.extend(command.iter().cloned());
        let cost = measure::run(&limited, &folder, &out).map_err(|e| e.to_string())?;
        match cost.code {
            Some(0) => step(&format!("compare {index}"), &self.folder)?,
            _ if cost.cpu.as_secs() >= self.options.limit => {
                return Err(format!("stopped after {} s", self.options.limit));
            }
            code => {
                let said = fs::read_to_string(out.join("stderr")).unwrap_or_default();
                let last = said
                    .lines()
                    .rfind(|line| !line.trim().is_empty())
                    .unwrap_or_default();
                return Err(format!("fails with code {code:?}: {last}"));
            }
        }
        let rounds = match cost.cpu.as_secs() {
            0..3 => self.options.rounds,
            3..20 => self.options.rounds.min(3),
            _ => 1,
        };
        Ok(Measured {
            row,
            command,
            folder,
            rounds,
            costs: Vec::new(),
        })
    }

    /// Measures the rows of a work in turn, and adds lines to the table and to what is not run.
    fn measure(
        &self,
        work: &str,
        table: &mut String,
        missing: &mut String,
    ) -> Result<(), Box<dyn Error>> {
        let mut measured = Vec::new();
        for (index, row) in ROWS
            .iter()
            .enumerate()
            .filter(|(_, row)| row.work == work && self.options.has_row(row))
        {
            eprint!("\r\x1b[K{work}: {} {}", row.peer, row.note);
            match self.try_row(index) {
                Ok(row) => measured.push(row),
                Err(why) => {
                    let _ = writeln!(missing, "- {work}, {}: {why}", self.title(row));
                }
            }
        }
        for round in 0..self.options.rounds {
            for row in measured.iter_mut().filter(|row| round < row.rounds) {
                eprint!(
                    "\r\x1b[K{work}, round {}: {} {}",
                    round + 1,
                    row.row.peer,
                    row.row.note
                );
                let cost = measure::run(&row.command, &row.folder, &self.out())?;
                if cost.code != Some(0) {
                    return Err(format!("{} failed in round {round}", row.command.join(" ")).into());
                }
                row.costs.push(cost);
            }
        }
        eprint!("\r\x1b[K");
        for row in &measured {
            let middle = |value: fn(&Cost) -> f64| median(row.costs.iter().map(value).collect());
            let first = &measured[0].costs;
            let ratios = row
                .costs
                .iter()
                .zip(first)
                .map(|(cost, first)| cost.cpu.as_secs_f64() / first.cpu.as_secs_f64());
            let _ = writeln!(
                table,
                "| {work} | {} | {} | {} | {} | {} |",
                self.title(row.row),
                short(middle(|cost| cost.cpu.as_secs_f64() * 1e3)),
                short(middle(|cost| cost.wall.as_secs_f64() * 1e3)),
                short(middle(|cost| cost.memory as f64 / 1024.0 / 1024.0)),
                ratio(median(ratios.collect())),
            );
        }
        Ok(())
    }

    fn report(&self) -> Result<String, Box<dyn Error>> {
        step("generate", &self.folder)
            .map_err(|why| format!("the work cannot be generated: {why}"))?;
        let (begin, before) = (Instant::now(), work_of_others());
        let mut table = "| work | program | CPU, ms | wall, ms | memory, MiB | CPU ÷ first |\n| --- | --- | ---: | ---: | ---: | ---: |\n".to_owned();
        let mut missing = String::new();
        for (work, _) in WORKS.iter().filter(|(work, _)| self.options.has_work(work)) {
            self.measure(work, &mut table, &mut missing)?;
        }
        let cores = available_parallelism().map_or(1, usize::from);
        let mut text = format!(
            "{}, {} {}, {cores} cores, output on {}.\n",
            today(),
            std::env::consts::OS,
            std::env::consts::ARCH,
            file_system(&self.folder)
        );
        if let (Some(before), Some(after)) = (before, work_of_others()) {
            let others = after.saturating_sub(before).as_secs_f64();
            let share = others / begin.elapsed().as_secs_f64() / cores as f64;
            let _ = writeln!(
                text,
                "Other processes used {:.0} % of the CPUs meanwhile{}.",
                share * 100.0,
                if share > 0.05 {
                    ": the machine was not calm"
                } else {
                    ""
                }
            );
            if share > 0.05 {
                eprintln!(
                    "warning: the machine is not calm: other processes used {:.0} % of its CPUs",
                    share * 100.0
                );
            }
        }
        text.push('\n');
        for (work, what) in WORKS.iter().filter(|(work, _)| self.options.has_work(work)) {
            let _ = writeln!(text, "- {work}: {what}");
        }
        let _ = write!(text, "\n{table}");
        if !missing.is_empty() {
            let _ = write!(text, "\nNot measured:\n\n{missing}");
        }
        Ok(text)
    }
}

/// Three digits are enough.
fn short(value: f64) -> String {
    if value < 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    }
}

fn ratio(value: f64) -> String {
    if value < 10.0 {
        format!("{value:.2}")
    } else {
        format!("{value:.0}")
    }
}

fn today() -> String {
    let output = Command::new("date").arg("+%Y-%m-%d").output();
    output.map_or(String::new(), |output| {
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    })
}

fn file_system(folder: &Path) -> String {
    let output = Command::new("stat")
        .args(["--file-system", "--format=%T"])
        .arg(folder)
        .output();
    output.map_or(String::new(), |output| {
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    })
}

/// Replaces what is between two lines of a file.
fn put_into(file: &Path, text: &str) -> Result<(), Box<dyn Error>> {
    const MARKS: [&str; 2] = ["<!-- peers -->\n", "<!-- end -->\n"];
    let old = fs::read_to_string(file)?;
    let (before, rest) = old
        .split_once(MARKS[0])
        .ok_or("the file has no line <!-- peers -->")?;
    let (_, after) = rest
        .split_once(MARKS[1])
        .ok_or("the file has no line <!-- end -->")?;
    Ok(fs::write(
        file,
        format!("{before}{}\n{text}\n{}{after}", MARKS[0], MARKS[1]),
    )?)
}

fn work() -> Result<(), Box<dyn Error>> {
    let options = options()?;
    if let (Some(step), Some(folder)) = (&options.step, &options.folder) {
        match step.strip_prefix("compare ") {
            Some(index) => ROWS[index.parse::<usize>()?].compare(&folder.join("out"))?,
            None => options.generate(folder),
        }
        return Ok(());
    }
    let shared_memory = Path::new("/dev/shm");
    let parent = if shared_memory.is_dir() {
        shared_memory.to_owned()
    } else {
        std::env::temp_dir()
    };
    let folder = options
        .folder
        .clone()
        .unwrap_or_else(|| parent.join(format!("imgspec-peers-{}", std::process::id())));
    let runner = Runner { options, folder };
    let report = runner.report();
    if !runner.options.keep {
        for name in WORKS
            .map(|(work, _)| work)
            .into_iter()
            .chain(["out", "cache"])
        {
            let _ = fs::remove_dir_all(runner.folder.join(name));
        }
        let _ = fs::remove_dir(&runner.folder);
    }
    let report = report?;
    print!("{report}");
    match &runner.options.into {
        Some(file) => put_into(file, &report),
        None => Ok(()),
    }
}

fn main() -> ExitCode {
    match work() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}
