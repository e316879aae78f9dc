//! Starting an image without changing it, and running commands in it.

use crate::build::{Interrupt, Private};
use rustix::process::{Pid, Signal, kill_process_group};
use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// The script that holds an image.
const HOLD: &str = concat!(
    include_str!("../../config/rootfs/groups.sh"),
    include_str!("hold.sh")
);
/// The programs that the script and this file start.
const PROGRAMS: [&str; 6] = ["bash", "unshare", "nsenter", "mount", "partx", "tar"];
/// The part of a command's output that is kept.
const MOST_OUTPUT: u64 = 64 << 10;
/// How often something that takes a while is looked at.
const STEP: Duration = Duration::from_millis(20);
/// The environment of each command.
const ENVIRONMENT: [(&str, &str); 4] = [
    (
        "PATH",
        "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/run/imgspec",
    ),
    ("HOME", "/root"),
    ("LC_ALL", "C.UTF-8"),
    ("SYSTEMD_PAGER", ""),
];

/// An image on this machine.
#[derive(Debug, Clone)]
pub struct Disk {
    /// The file, or the folder with the files of a system; absolute.
    pub path: PathBuf,
    kind: &'static str,
}

impl Disk {
    /// Returns the image at a path, if it has a form that can be read: a folder, a tar file or the disk of a machine.
    pub fn find(path: &Path) -> Option<Disk> {
        let name = path.file_name()?.to_str()?.to_ascii_lowercase();
        let has = |ends: &[&str]| ends.iter().any(|end| name.ends_with(end));
        let kind = match () {
            () if path.is_dir() => "tree",
            () if has(&[".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.zst"]) => "tar",
            () if has(&[".raw", ".img"]) => "raw",
            () if has(&[".qcow2", ".vmdk", ".vhd", ".vhdx", ".vdi"]) => "disk",
            () => return None,
        };
        Some(Disk {
            path: path.to_owned(),
            kind,
        })
    }

    /// True for the disk of a machine.
    pub(super) fn is_disk(&self) -> bool {
        matches!(self.kind, "raw" | "disk")
    }
}

/// What a guest is started with.
#[derive(Debug, Clone, Copy)]
pub struct Start<'a> {
    /// The image.
    pub disk: &'a Disk,
    /// The folder for what the holder unpacks.
    pub private: &'a Private,
    /// Files and folders of this machine, each with its place in the image.
    pub brought: &'a [(PathBuf, PathBuf)],
    /// How long the image may take.
    pub timeout: Duration,
    /// Ctrl-C.
    pub interrupt: &'a Interrupt,
}

/// The folder in the image for programs of this machine.
pub(crate) const TOOLS: &str = "/run/imgspec";

/// Why an image does not start.
#[derive(Debug)]
pub struct StartFailure(pub String);

impl From<io::Error> for StartFailure {
    fn from(error: io::Error) -> StartFailure {
        StartFailure(error.to_string())
    }
}

/// What a command has done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ran {
    /// Its exit code; none if it was stopped.
    pub code: Option<i32>,
    /// Its standard output.
    pub output: String,
    /// Its standard error.
    pub errors: String,
    /// It had not ended after its time.
    pub is_late: bool,
}

/// An image in which commands can be run. It ends when it is dropped, and all that runs in it with it.
#[derive(Debug)]
pub struct Guest {
    holder: Child,
    /// The holder ends with it.
    input: Option<ChildStdin>,
    /// The process whose namespaces the commands enter.
    leader: i32,
    /// The image's root in the namespaces of the leader, if that is not the leader's own root.
    root: Option<PathBuf>,
    nsenter: PathBuf,
}

impl Guest {
    /// Makes the files of an image available to commands, without starting its system.
    ///
    /// # Errors
    /// If the user is not root, a program is missing, or the image cannot be read.
    pub fn enter(start: Start<'_>) -> Result<Guest, StartFailure> {
        let mut guest = Guest::hold("enter", start)?;
        guest.root = Some(start.private.folder().join("mount/root"));
        Ok(guest)
    }

    /// Boots an image's system as a container, and waits until its services have started.
    ///
    /// # Errors
    /// If the user is not root, a program is missing, or the system has not booted after `timeout`.
    pub fn boot(start: Start<'_>) -> Result<Guest, StartFailure> {
        let Start {
            timeout, interrupt, ..
        } = start;
        find("systemd-nspawn")?;
        let since = Instant::now();
        let mut guest = Guest::hold("boot", start)?;
        let held = guest.leader;
        while since.elapsed() < timeout && !interrupt.is_set() {
            if let Some(ended) = guest.find_end() {
                return Err(ended);
            }
            if let Some(first) = first_process(held) {
                guest.leader = first;
                let words = ["systemctl", "is-system-running"].map(str::to_owned);
                let ran = guest.run(&words, timeout, interrupt);
                // Anything but `running` and these: it has booted, though a service may have failed.
                match ran.output.trim() {
                    "" | "offline" | "unknown" | "initializing" | "starting" => {}
                    _ => return Ok(guest),
                }
            }
            std::thread::sleep(STEP * 10);
        }
        Err(StartFailure(format!(
            "its system has not booted in {} s",
            timeout.as_secs()
        )))
    }

    /// Starts the script, and waits until it holds the image.
    pub(super) fn hold(mode: &str, start: Start<'_>) -> Result<Guest, StartFailure> {
        let Start {
            disk,
            private,
            timeout,
            interrupt,
            ..
        } = start;
        if !rustix::process::geteuid().is_root() {
            return Err(StartFailure("only root can start an image".to_owned()));
        }
        for program in PROGRAMS {
            find(program)?;
        }
        if disk.kind == "disk" {
            find("qemu-img")?;
        }
        let nsenter = find("nsenter")?;
        let mut command = Command::new(find("unshare")?);
        command
            .args(["--mount", "--propagation", "private", "--pid", "--fork"])
            .args(["--kill-child", "--mount-proc", "--net", "--uts", "--ipc"])
            .args(["bash", "-c", HOLD, "hold", mode, disk.kind])
            .args([disk.path.as_path(), private.folder()])
            .args(start.brought.iter().flat_map(|(from, to)| [from, to]))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        let mut holder = command.spawn()?;
        let (input, output) = (holder.stdin.take(), holder.stdout.take());
        let mut guest = Guest {
            leader: 0,
            root: None,
            holder,
            input,
            nsenter,
        };
        let (sender, receiver) = channel();
        std::thread::spawn(move || {
            let mut line = String::new();
            let read = output.map(|output| BufReader::new(output).read_line(&mut line));
            let _ = sender.send(matches!(read, Some(Ok(1..))));
        });
        if !wait_for(&receiver, timeout, interrupt) {
            return Err(guest.ended("before it was ready"));
        }
        let own = i32::try_from(guest.holder.id()).unwrap_or_default();
        guest.leader = children_of(own).first().copied().ok_or_else(|| {
            StartFailure("the process that holds the image cannot be found".to_owned())
        })?;
        Ok(guest)
    }

    /// The error for a holder that has ended by itself.
    pub(super) fn find_end(&mut self) -> Option<StartFailure> {
        match self.holder.try_wait() {
            Ok(None) => None,
            Ok(Some(status)) => Some(self.ended(&format!("with {status}"))),
            Err(error) => Some(error.into()),
        }
    }

    /// The error for a holder that has ended, or is ended now: what it has printed.
    fn ended(&mut self, how: &str) -> StartFailure {
        self.end();
        let mut text = String::new();
        if let Some(mut errors) = self.holder.stderr.take() {
            let _ = errors.by_ref().take(MOST_OUTPUT).read_to_string(&mut text);
        }
        let text = text.trim();
        StartFailure(if text.is_empty() {
            format!("it ended {how}")
        } else {
            text.to_owned()
        })
    }

    /// Runs a command in the image as root, without a shell.
    pub fn run(&self, command: &[String], timeout: Duration, interrupt: &Interrupt) -> Ran {
        let mut enter = Command::new(&self.nsenter);
        enter.env_clear().envs(ENVIRONMENT);
        enter.arg(format!("--target={}", self.leader));
        enter.args(["--mount", "--uts", "--ipc", "--net", "--pid"]);
        let chroot = find("chroot");
        match (&self.root, &chroot) {
            (Some(root), Ok(chroot)) => {
                enter.arg("--").arg(chroot).arg(root);
            }
            _ => {
                enter.args(["--cgroup", "--root", "--wd", "--"]);
            }
        }
        enter.args(command);
        match run(&mut enter, timeout, interrupt) {
            Ok(ran) => ran,
            Err(error) => Ran {
                errors: error.to_string(),
                ..Ran::default()
            },
        }
    }

    /// Ends the holder. With the first process of a namespace, all others end.
    fn end(&mut self) {
        drop(self.input.take());
        let since = Instant::now();
        while matches!(self.holder.try_wait(), Ok(None)) {
            if since.elapsed() > Duration::from_secs(5) {
                let _ = kill_process_group(Pid::from_child(&self.holder), Signal::KILL);
                let _ = self.holder.wait();
                return;
            }
            std::thread::sleep(STEP);
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.end();
    }
}

/// Finds a program of this machine, also where only root has its folder in the search path.
pub(super) fn find(program: &str) -> Result<PathBuf, StartFailure> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path);
    let folders = folders.chain(["/usr/sbin", "/sbin"].map(PathBuf::from));
    let folders = std::env::join_paths(folders).map_err(io::Error::other)?;
    which::which_in(program, Some(folders), "/").map_err(|_| {
        StartFailure(format!(
            "the program `{program}` is missing: install it on this machine"
        ))
    })
}

/// Waits until something is received. Returns false if that is a failure, or does not come.
fn wait_for(receiver: &Receiver<bool>, timeout: Duration, interrupt: &Interrupt) -> bool {
    let since = Instant::now();
    while since.elapsed() < timeout && !interrupt.is_set() {
        match receiver.recv_timeout(STEP) {
            Ok(is_fine) => return is_fine,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return false,
        }
    }
    false
}

/// Runs a command until it ends, its time is over, or the user stops it.
fn run(command: &mut Command, timeout: Duration, interrupt: &Interrupt) -> io::Result<Ran> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()?;
    let (sender, receiver) = channel();
    read_in_thread(child.stdout.take(), 0, &sender);
    read_in_thread(child.stderr.take(), 1, &sender);
    drop(sender);
    let since = Instant::now();
    let mut ran = Ran::default();
    loop {
        if let Some(status) = child.try_wait()? {
            ran.code = status.code();
            break;
        }
        ran.is_late = since.elapsed() > timeout;
        if ran.is_late || interrupt.is_set() {
            let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
            let _ = child.wait();
            break;
        }
        std::thread::sleep(STEP.min(since.elapsed() / 4 + Duration::from_millis(1)));
    }
    // What the command has left running may keep its output open: nobody waits for that.
    while let Ok((which, text)) = receiver.recv_timeout(Duration::from_millis(500)) {
        *(if which == 0 {
            &mut ran.output
        } else {
            &mut ran.errors
        }) = text;
    }
    Ok(ran)
}

fn read_in_thread(
    pipe: Option<impl Read + Send + 'static>,
    which: usize,
    sender: &std::sync::mpsc::Sender<(usize, String)>,
) {
    let sender = sender.clone();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            let _ = pipe.by_ref().take(MOST_OUTPUT).read_to_end(&mut bytes);
            let _ = sender.send((which, String::from_utf8_lossy(&bytes).into_owned()));
            // A command does not wait for a reader.
            let _ = io::copy(&mut pipe, &mut io::sink());
        }
    });
}

/// The processes that a process has started.
fn children_of(parent: i32) -> Vec<i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let is_child = |id: &i32| {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        // The name in parentheses can contain anything.
        let behind = stat.rsplit_once(')').map_or("", |(_, behind)| behind);
        behind.split_whitespace().nth(1) == Some(parent.to_string().as_str())
    };
    ids.filter(is_child).collect()
}

/// The first process of the container that a holder has started.
fn first_process(holder: i32) -> Option<i32> {
    let space = |id: i32| fs::read_link(format!("/proc/{id}/ns/pid")).ok();
    let own = space(holder);
    let starters = children_of(holder).into_iter();
    let started = starters.flat_map(children_of);
    started
        .into_iter()
        .find(|id| space(*id).is_some_and(|space| Some(space) != own))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, seconds: u64) -> Ran {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        run(
            &mut command,
            Duration::from_secs(seconds),
            &Interrupt::default(),
        )
        .unwrap()
    }

    #[test]
    fn a_command_is_run_to_its_end() {
        let ran = sh("echo out; echo err >&2; exit 3", 20);
        assert_eq!(
            ran,
            Ran {
                code: Some(3),
                output: "out\n".to_owned(),
                errors: "err\n".to_owned(),
                is_late: false,
            }
        );
    }

    #[test]
    fn a_command_that_does_not_end_is_stopped() {
        let since = Instant::now();
        let ran = sh("echo before; sleep 600", 1);
        assert!(ran.is_late && ran.code.is_none());
        assert_eq!(ran.output, "before\n");
        assert!(since.elapsed() < Duration::from_secs(60));
    }

    #[test]
    fn only_a_part_of_a_long_output_is_kept() {
        let ran = sh("head -c 1000000 /dev/zero | tr '\\0' x", 60);
        assert_eq!((ran.code, ran.output.len()), (Some(0), 64 << 10));
    }

    #[test]
    fn the_form_of_an_image_is_known_by_its_name() {
        let kind = |name: &str| Disk::find(Path::new(name)).map(|disk| disk.kind);
        assert_eq!(kind("a/debian.qcow2"), Some("disk"));
        assert_eq!(kind("a/debian.TAR.gz"), Some("tar"));
        assert_eq!(kind("/"), None);
        assert_eq!(kind("manifest.json"), None);
    }
}
