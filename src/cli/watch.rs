//! `imgspec check --watch`: checks again after each change of the files.

use crate::cli::baseline::Baseline;
use crate::cli::check::{Check, conclude, show};
use crate::cli::report::rendered;
use crate::cli::select::{Selected, Wish, select, select_again};
use crate::cli::{Cli, Failure, print_aside};
use crate::source::{Origin, sha256};
use crate::workspace;
use notify::{Config, Event, EventKind, PollWatcher, RecommendedWatcher, RecursiveMode, Watcher};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// For how long nothing must change before the files are checked: an editor and git write several at once.
const QUIET: Duration = Duration::from_millis(80);

/// After this time the files are checked although they still change.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often files are looked at where the system does not tell of changes.
const INTERVAL: Duration = Duration::from_secs(1);

/// How many folders are watched at most.
const MOST: usize = 10_000;

/// Why the command wakes up.
#[derive(PartialEq)]
enum Wake {
    Changed,
    #[cfg_attr(not(unix), allow(dead_code, reason = "Ctrl-C ends the process there"))]
    Stop,
}

/// What has been printed, and from which files it follows.
#[derive(PartialEq)]
enum Printed {
    Nothing,
    Checked {
        text: String,
        files: Vec<(PathBuf, String)>,
    },
    Failed(String),
}

/// Checks, prints what a check prints, and does so again after each change, until Ctrl-C.
///
/// # Errors
/// If the arguments name nothing at the start, the files cannot be watched, a report cannot be written, or `imgspec.toml`
/// names another library than at the start.
pub(super) fn run(cli: &Cli, args: &Check, baseline: Option<&Baseline>) -> Result<bool, Failure> {
    let mut start = Instant::now();
    let selected = select(cli, args.selection())?;
    selected.expect_known()?;
    // The command is confined from here on, and so are the threads that it starts.
    let (send, wakes) = channel();
    stop_on_interrupt(&send);
    let wish = selected.wish.clone();
    let library = wish.library(cli);
    let mut watched = Watched::new(&send)?;
    let mut printed = Printed::Nothing;
    let mut next = Ok(selected);
    loop {
        let is_new = match next {
            Ok(mut selected) => {
                let is_new = watched.add(folders(cli, &wish, &selected))?;
                printed = check_again(cli, args, &mut selected, baseline, printed, start)?;
                is_new
            }
            Err(failure) => {
                printed = tell(failure, &printed);
                false
            }
        };
        // What has changed before its folder was watched is found by looking again.
        if is_new {
            let _ = send.send(Wake::Changed);
        }
        if !wait(&wakes) {
            return Ok(true);
        }
        if wish.library(cli) != library {
            return Err(Failure(
                "imgspec.toml names another library than before: start the command again"
                    .to_owned(),
            ));
        }
        start = Instant::now();
        let again = select_again(cli, args.selection(), &wish);
        next = again.and_then(|again| again.expect_known().map(|()| again));
    }
}

/// Checks, and prints the result if it or a file that was read differs from what has been printed.
///
/// # Errors
/// If a report cannot be written.
fn check_again(
    cli: &Cli,
    args: &Check,
    selected: &mut Selected,
    baseline: Option<&Baseline>,
    before: Printed,
    start: Instant,
) -> Result<Printed, Failure> {
    let checked = match conclude(cli, args, selected, baseline) {
        Ok(checked) => checked,
        Err(failure) => return Ok(tell(failure, &before)),
    };
    let program = &selected.program;
    let sources = program.sources.iter_read().map(|(_, source)| source);
    let sources = sources.filter(|source| source.origin == Origin::Project);
    let sources = sources.map(|source| (source.path.clone(), sha256(&source.text)));
    let data = program.data.iter();
    let data = data.map(|data| (data.path.clone(), sha256(&data.text)));
    let mut files: Vec<(PathBuf, String)> = sources.chain(data).collect();
    files.sort();
    files.dedup();
    let printed = Printed::Checked {
        text: format!(
            "{}{}",
            rendered(cli, program, &checked.findings),
            checked.told
        ),
        files,
    };
    if printed == before {
        return Ok(printed);
    }
    show(cli, args, selected, &checked)?;
    let images = selected.images.len();
    print_aside(&format!(
        "checked {images} image{} in {} ms at {} UTC\n",
        if images == 1 { "" } else { "s" },
        start.elapsed().as_millis(),
        time_of_day()
    ));
    Ok(printed)
}

/// Prints why nothing could be checked, such as a file that is gone, unless that has been printed.
fn tell(Failure(message): Failure, before: &Printed) -> Printed {
    let failed = Printed::Failed(message);
    if let Printed::Failed(message) = &failed
        && failed != *before
    {
        print_aside(&format!("imgspec: {message}\n"));
    }
    failed
}

/// Returns the time of day, as `hours:minutes:seconds`.
fn time_of_day() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let seconds = now.unwrap_or_default().as_secs() % 86_400;
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    format!("{hours:02}:{minutes:02}:{:02}", seconds % 60)
}

/// Waits until the files have changed and are quiet again. Returns false if the user wants to stop.
fn wait(wakes: &Receiver<Wake>) -> bool {
    match wakes.recv() {
        Ok(Wake::Changed) => {}
        Ok(Wake::Stop) | Err(_) => return false,
    }
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        match wakes.recv_timeout(QUIET) {
            Ok(Wake::Changed) => {}
            Err(RecvTimeoutError::Timeout) => break,
            Ok(Wake::Stop) | Err(RecvTimeoutError::Disconnected) => return false,
        }
    }
    true
}

/// Wakes the command up at Ctrl-C and SIGTERM.
fn stop_on_interrupt(send: &Sender<Wake>) {
    #[cfg(unix)]
    {
        let send = send.clone();
        // Without a handler, the signal ends the process.
        let _ = ctrlc::set_handler(move || {
            let _ = send.send(Wake::Stop);
        });
    }
    #[cfg(not(unix))]
    let _ = send;
}

/// Returns the folders in which a change can change the result.
fn folders(cli: &Cli, wish: &Wish, selected: &Selected) -> BTreeSet<PathBuf> {
    let mut out = BTreeSet::new();
    let mut add = |folder: &Path| {
        if out.len() < MOST {
            out.insert(folder.to_owned());
        }
    };
    for root in wish.folders(cli) {
        for folder in workspace::spec_folders(&root, MOST) {
            add(&folder);
        }
    }
    let program = &selected.program;
    let sources = program.sources.iter_read().map(|(_, source)| source);
    let sources = sources.filter(|source| source.origin == Origin::Project);
    let read = sources.map(|source| &source.path);
    for path in read.chain(program.data.iter().map(|data| &data.path)) {
        if let Some(folder) = path.parent() {
            add(folder);
        }
    }
    out
}

/// The folders that are watched.
struct Watched {
    watcher: Box<dyn Watcher>,
    send: Sender<Wake>,
    folders: BTreeSet<PathBuf>,
    is_polling: bool,
}

impl Watched {
    /// Watches by the way of the system, or by looking at the folders again and again.
    ///
    /// # Errors
    /// If neither is possible.
    fn new(send: &Sender<Wake>) -> Result<Watched, Failure> {
        let mut watched = Watched {
            watcher: Box::new(notify::NullWatcher),
            send: send.clone(),
            folders: BTreeSet::new(),
            is_polling: false,
        };
        match RecommendedWatcher::new(handler(send), Config::default()) {
            Ok(watcher) => watched.watcher = Box::new(watcher),
            Err(_) => watched.poll()?,
        }
        Ok(watched)
    }

    /// Watches all folders by looking at them.
    ///
    /// # Errors
    /// If the thread for it cannot be started.
    fn poll(&mut self) -> Result<(), Failure> {
        let config = Config::default().with_poll_interval(INTERVAL);
        let watcher = PollWatcher::new(handler(&self.send), config)
            .map_err(|error| Failure(format!("cannot watch the files: {error}")))?;
        self.watcher = Box::new(watcher);
        self.is_polling = true;
        for folder in &self.folders {
            let _ = self.watcher.watch(folder, RecursiveMode::NonRecursive);
        }
        Ok(())
    }

    /// Watches these folders, and no others. Returns whether one of them is new.
    ///
    /// # Errors
    /// As [`Watched::new`].
    fn add(&mut self, folders: BTreeSet<PathBuf>) -> Result<bool, Failure> {
        for gone in self.folders.difference(&folders) {
            let _ = self.watcher.unwatch(gone);
        }
        let new: Vec<PathBuf> = folders.difference(&self.folders).cloned().collect();
        self.folders = folders;
        for folder in &new {
            let result = self.watcher.watch(folder, RecursiveMode::NonRecursive);
            // The folder may be gone. Any other error is a limit of the system, such as the number of watched folders.
            let is_gone =
                |error: &notify::Error| matches!(error.kind, notify::ErrorKind::PathNotFound);
            if result.is_err_and(|error| !is_gone(&error)) && !self.is_polling {
                self.poll()?;
                break;
            }
        }
        Ok(!new.is_empty())
    }
}

/// Returns what wakes the command up at a change. To read a file is none.
fn handler(send: &Sender<Wake>) -> impl FnMut(notify::Result<Event>) + Send + 'static {
    let send = send.clone();
    move |event| {
        let is_access = event.is_ok_and(|event| matches!(event.kind, EventKind::Access(_)));
        if !is_access {
            let _ = send.send(Wake::Changed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn without_events_of_the_system_the_folders_are_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a"), "1").unwrap();
        let (send, wakes) = channel();
        let mut watched = Watched::new(&send).unwrap();
        watched.poll().unwrap();
        let folders = BTreeSet::from([folder.path().to_owned()]);
        assert!(watched.add(folders.clone()).unwrap());
        assert!(!watched.add(folders).unwrap());
        fs::write(folder.path().join("b"), "2").unwrap();
        assert!(wakes.recv_timeout(Duration::from_secs(20)) == Ok(Wake::Changed));
    }
}
