//! Runs a command, and says what it cost.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use wait4::Wait4;

#[derive(Clone, Copy)]
pub struct Cost {
    /// User and system time of the process and of those that it waited for.
    pub cpu: Duration,
    pub wall: Duration,
    /// The peak of the resident memory, in bytes.
    pub memory: u64,
    /// The exit code; `None` if a signal ended it.
    pub code: Option<i32>,
}

/// Runs a command that writes into `out`, which is emptied first. Its standard output becomes the file `stdout` there.
///
/// # Errors
///
/// If the command cannot be started or `out` cannot be written.
pub fn run(command: &[String], folder: &Path, out: &Path) -> io::Result<Cost> {
    if out.exists() {
        fs::remove_dir_all(out)?;
    }
    fs::create_dir_all(out)?;
    let begin = Instant::now();
    let mut child = Command::new(&command[0])
        .args(&command[1..])
        .current_dir(folder)
        .env_remove("PACKER_VAR_FILES")
        .env("IMGSPEC_CACHE", out.with_file_name("cache"))
        .env("CHECKPOINT_DISABLE", "1")
        .stdin(Stdio::null())
        .stdout(File::create(out.join("stdout"))?)
        .stderr(File::create(out.join("stderr"))?)
        .spawn()?;
    let used = child.wait4()?;
    Ok(Cost {
        wall: begin.elapsed(),
        cpu: used.rusage.utime + used.rusage.stime,
        memory: used.rusage.maxrss,
        code: used.status.code(),
    })
}

/// How long all CPUs have worked for anybody since the machine started, where Linux tells.
pub fn work_of_machine() -> Option<Duration> {
    let text = fs::read_to_string("/proc/stat").ok()?;
    let numbers: Vec<u64> = text
        .lines()
        .next()?
        .split_whitespace()
        .skip(1)
        .filter_map(|n| n.parse().ok())
        .collect();
    // user nice system idle iowait irq softirq steal, in hundredths of a second.
    let busy = [0, 1, 2, 5, 6, 7]
        .iter()
        .map(|at| numbers.get(*at))
        .sum::<Option<u64>>()?;
    Some(Duration::from_millis(busy * 10))
}

/// The middle of values.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
