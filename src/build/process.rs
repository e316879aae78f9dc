//! Running programs, and stopping the processes that they start.

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// Counts how often the user has asked to stop.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<AtomicUsize>);

impl Interrupt {
    /// Listens for Ctrl-C, SIGTERM and SIGHUP.
    pub fn listen() -> Interrupt {
        let interrupt = Interrupt::default();
        let count = interrupt.0.clone();
        // Setting a second handler fails, and the first one keeps counting.
        let _ = ctrlc::set_handler(move || {
            count.fetch_add(1, Ordering::SeqCst);
        });
        interrupt
    }

    /// True if the user has asked to stop.
    pub fn is_set(&self) -> bool {
        self.count() > 0
    }

    pub(super) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// How long an interrupted program may take to end.
const GRACE: Duration = Duration::from_secs(60);

/// Runs a program in its own process group, and calls `line` with each line of its output. An interrupt is passed on to
/// the program. A second interrupt, or [`GRACE`] after the first, kills it.
///
/// Returns its exit code, or as a shell does, 128 plus the number of the signal that ended it.
///
/// # Errors
/// If the program cannot be started.
pub(super) fn run(
    command: &mut Command,
    interrupt: &Interrupt,
    mut line: impl FnMut(&str),
) -> std::io::Result<i32> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    let mut child = command.spawn()?;
    let (sender, receiver) = channel::<String>();
    let readers: [Option<Box<dyn Read + Send>>; 2] = [
        child
            .stdout
            .take()
            .map(|o| Box::new(o) as Box<dyn Read + Send>),
        child
            .stderr
            .take()
            .map(|e| Box::new(e) as Box<dyn Read + Send>),
    ];
    for reader in readers.into_iter().flatten() {
        let sender = sender.clone();
        std::thread::spawn(move || {
            let mut reader = BufReader::new(reader);
            let mut bytes = Vec::new();
            while reader
                .read_until(b'\n', &mut bytes)
                .is_ok_and(|count| count > 0)
            {
                let text = String::from_utf8_lossy(&bytes)
                    .trim_end_matches(['\n', '\r'])
                    .to_owned();
                bytes.clear();
                if sender.send(text).is_err() {
                    break;
                }
            }
        });
    }
    drop(sender);
    let group = Pid::from_child(&child);
    let mut asked: Option<Instant> = None;
    let mut is_over = false;
    loop {
        match receiver.recv_timeout(Duration::from_millis(100)) {
            Ok(text) => line(&text),
            Err(RecvTimeoutError::Disconnected) => break,
            // A process that the program started may keep its output open: only the program's own end counts.
            Err(RecvTimeoutError::Timeout) if is_over => break,
            Err(RecvTimeoutError::Timeout) => is_over = child.try_wait()?.is_some(),
        }
        match asked {
            None if interrupt.is_set() => {
                asked = Some(Instant::now());
                let _ = kill_process_group(group, Signal::INT);
            }
            Some(since) if interrupt.count() > 1 || since.elapsed() > GRACE => {
                let _ = kill_process_group(group, Signal::KILL);
            }
            _ => {}
        }
    }
    let status = child.wait()?;
    Ok(status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or(0)))
}

/// The environment variable that marks all processes of a build.
pub(super) const MARK: &str = "IMGSPEC_BUILD";

/// Interrupts every process with a build's mark, as Ctrl-C does.
pub(super) fn interrupt_marked(mark: &str) {
    for pid in find_marked(mark) {
        let _ = kill_process(pid, Signal::INT);
    }
}

/// Stops every process with a build's mark. Finds none on systems without `/proc`.
pub(super) fn stop_marked(mark: &str) {
    for (signal, patience) in [
        (Signal::TERM, Duration::from_secs(10)),
        (Signal::KILL, Duration::from_secs(5)),
    ] {
        let mut left = find_marked(mark);
        for pid in &left {
            let _ = kill_process(*pid, signal);
        }
        let since = Instant::now();
        while !left.is_empty() && since.elapsed() < patience {
            std::thread::sleep(Duration::from_millis(50));
            left = find_marked(mark);
        }
        if left.is_empty() {
            break;
        }
    }
}

fn find_marked(mark: &str) -> Vec<Pid> {
    let wanted = format!("{MARK}={mark}");
    let own = std::process::id();
    let entries = std::fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(Result::ok);
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| *pid != own as i32)
        .filter(|pid| {
            let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment
                .split(|byte| *byte == 0)
                .any(|entry| entry == wanted.as_bytes())
        })
        .filter_map(Pid::from_raw)
        .collect()
}
