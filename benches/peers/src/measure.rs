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

/// How long all CPUs have worked for other processes than this one and those that it waited for, where Linux tells.
pub fn work_of_others() -> Option<Duration> {
    let numbers = |text: &str| -> Vec<i64> {
        let words = text.split_whitespace();
        words.filter_map(|word| word.parse().ok()).collect()
    };
    let sum = |numbers: &[i64], which: &[usize]| -> Option<i64> {
        which.iter().map(|at| numbers.get(*at)).sum()
    };
    // user nice system idle iowait irq softirq steal, in hundredths of a second.
    let machine = numbers(fs::read_to_string("/proc/stat").ok()?.lines().next()?);
    // What is behind the name in parentheses; its first word is a letter.
    let own = numbers(
        fs::read_to_string("/proc/self/stat")
            .ok()?
            .rsplit_once(')')?
            .1,
    );
    let busy = sum(&machine, &[0, 1, 2, 5, 6, 7])?;
    let own = sum(&own, &[10, 11, 12, 13])?;
    Some(Duration::from_millis(u64::try_from(busy - own).ok()? * 10))
}

/// The middle of values.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
