//! Confinement: the kernel refuses what a command does not need, whatever a spec makes it do.
//!
//! On Linux, Landlock limits the files, and a seccomp filter refuses programs, sockets and the rest of [`linux::REFUSED`].
//! Other systems, and kernels without them, get no confinement. docs/security.md has the promises.

use std::path::PathBuf;

/// What a confined process may do with files.
#[derive(Debug, Default)]
pub struct Limits {
    /// The files and folders to read, each folder with all below it. `None` does not limit reading.
    pub read: Option<Vec<PathBuf>>,
    /// The folders to read and write, each with all below it. Where one does not exist, the nearest folder above it that
    /// does.
    pub write: Vec<PathBuf>,
}

/// Confines this thread, and all that it starts, to files. Nothing can undo it; a further call can only add limits.
///
/// # Errors
/// What the kernel cannot limit. Everything else is limited.
pub fn confine_files(limits: &Limits) -> Result<(), String> {
    // The parser asks for the stack's size, which the first call reads from /proc/self/maps.
    stacker::remaining_stack();
    system::confine_files(limits)
}

/// Takes programs, sockets, and calls for system administration from all threads of this process.
///
/// # Errors
/// If the kernel has no such filter. Then nothing is refused.
pub fn confine_calls() -> Result<(), String> {
    system::confine_calls()
}

#[cfg(target_os = "linux")]
use linux as system;

#[cfg(target_os = "linux")]
mod linux {
    use super::Limits;
    use landlock::{
        ABI, Access, AccessFs, AccessNet, BitFlags, Ruleset, RulesetAttr, RulesetCreatedAttr,
        RulesetError, RulesetStatus, make_bitflags, path_beneath_rules,
    };
    use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
    use std::path::Path;

    /// The newest interface of Landlock whose rights are known here: Linux 6.10. Older kernels limit what they know.
    const NEWEST: ABI = ABI::V5;

    /// The oldest one that limits all that docs/security.md promises of files: Linux 6.2.
    const ENOUGH: ABI = ABI::V3;

    const READ: BitFlags<AccessFs> = make_bitflags!(AccessFs::{ReadFile | ReadDir});

    /// Files are replaced by new ones beside them. Links, pipes and devices are never made.
    const WRITE: BitFlags<AccessFs> = make_bitflags!(AccessFs::{
        ReadFile | ReadDir | WriteFile | Truncate | MakeReg | MakeDir | RemoveFile | RemoveDir | Refer
    });

    pub(super) fn confine_files(limits: &Limits) -> Result<(), String> {
        match restrict(limits) {
            Ok(true) => Ok(()),
            Ok(false) => Err("this kernel limits no files: Landlock is missing or too old".into()),
            Err(error) => Err(format!("Landlock does not limit the files: {error}")),
        }
    }

    /// Returns false if the kernel has less than [`ENOUGH`].
    fn restrict(limits: &Limits) -> Result<bool, RulesetError> {
        let handled = match limits.read {
            Some(_) => AccessFs::from_all(NEWEST),
            None => AccessFs::from_write(NEWEST) | AccessFs::Execute,
        };
        let read = limits.read.iter().flatten();
        let write = limits.write.iter().filter_map(|path| existing(path));
        // Does as much as the kernel can, unless an error says otherwise.
        let status = Ruleset::default()
            .handle_access(handled)?
            .handle_access(AccessNet::from_all(NEWEST))?
            .create()?
            .add_rules(path_beneath_rules(read, READ & handled))?
            .add_rules(path_beneath_rules(write, WRITE & handled))?
            .restrict_self()?;
        let has_enough = match status.landlock {
            landlock::LandlockStatus::Available { effective_abi, .. } => effective_abi >= ENOUGH,
            _ => false,
        };
        Ok(has_enough && status.ruleset != RulesetStatus::NotEnforced)
    }

    /// Returns the path, or the nearest folder above it that exists.
    fn existing(path: &Path) -> Option<&Path> {
        path.ancestors().find(|folder| folder.exists())
    }

    pub(super) fn confine_calls() -> Result<(), String> {
        let filter = || -> Result<(), seccompiler::Error> {
            let rules = REFUSED.iter().map(|call| (*call, Vec::new())).collect();
            let refusal = SeccompAction::Errno(libc::EPERM as u32);
            let arch = std::env::consts::ARCH.try_into()?;
            let filter = SeccompFilter::new(rules, SeccompAction::Allow, refusal, arch)?;
            let program: BpfProgram = filter.try_into()?;
            seccompiler::apply_filter_all_threads(&program)
        };
        filter().map_err(|error| format!("seccomp refuses no system calls: {error}"))
    }

    /// The system calls that fail with `EPERM`. A list of what is allowed would break with each release of libc.
    pub(super) const REFUSED: &[i64] = &[
        // Programs.
        libc::SYS_execve,
        libc::SYS_execveat,
        // The network, and sockets of this machine.
        libc::SYS_socket,
        libc::SYS_socketpair,
        libc::SYS_connect,
        libc::SYS_bind,
        libc::SYS_listen,
        libc::SYS_accept4,
        // Other processes.
        libc::SYS_kill,
        libc::SYS_rt_sigqueueinfo,
        libc::SYS_pidfd_open,
        libc::SYS_pidfd_getfd,
        libc::SYS_pidfd_send_signal,
        libc::SYS_process_vm_readv,
        libc::SYS_process_vm_writev,
        libc::SYS_ptrace,
        // Attributes of files, which Landlock does not limit. What is open (`fchmod`) may get a mode.
        libc::SYS_fchmodat,
        SYS_FCHMODAT2,
        libc::SYS_fchown,
        libc::SYS_fchownat,
        libc::SYS_setxattr,
        libc::SYS_lsetxattr,
        libc::SYS_fsetxattr,
        libc::SYS_removexattr,
        libc::SYS_lremovexattr,
        libc::SYS_fremovexattr,
        libc::SYS_utimensat,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_chmod,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_chown,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_lchown,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_utimes,
        // Ways around a filter, and into the kernel.
        libc::SYS_io_uring_setup,
        libc::SYS_bpf,
        libc::SYS_perf_event_open,
        libc::SYS_userfaultfd,
        libc::SYS_open_by_handle_at,
        libc::SYS_keyctl,
        libc::SYS_add_key,
        libc::SYS_request_key,
        // Administration, for a command that root runs.
        libc::SYS_mount,
        libc::SYS_umount2,
        libc::SYS_move_mount,
        libc::SYS_fsopen,
        libc::SYS_open_tree,
        libc::SYS_pivot_root,
        libc::SYS_chroot,
        libc::SYS_unshare,
        libc::SYS_setns,
        libc::SYS_init_module,
        libc::SYS_finit_module,
        libc::SYS_delete_module,
        libc::SYS_kexec_load,
        libc::SYS_reboot,
        libc::SYS_swapon,
        libc::SYS_sethostname,
        libc::SYS_settimeofday,
        libc::SYS_clock_settime,
    ];

    /// Linux 6.6; the same number on every architecture.
    const SYS_FCHMODAT2: i64 = 452;
}

#[cfg(not(target_os = "linux"))]
mod system {
    use super::Limits;

    pub(super) fn confine_files(_: &Limits) -> Result<(), String> {
        Err("this system limits no files: only Linux has Landlock".into())
    }

    pub(super) fn confine_calls() -> Result<(), String> {
        Err("this system refuses no system calls: only Linux has seccomp".into())
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::fs;
    use std::io::{ErrorKind, Result};
    use std::path::Path;

    /// What a thread can do after it has confined itself. Landlock limits only that thread.
    #[test]
    fn a_confined_thread_reads_and_writes_only_below_its_folders() {
        let place = tempfile::tempdir().unwrap();
        let place = place.path().canonicalize().unwrap();
        for folder in ["read/below", "write/below", "other"] {
            fs::create_dir_all(place.join(folder)).unwrap();
            fs::write(place.join(folder).join("x"), "x").unwrap();
        }
        fs::write(place.join("single"), "x").unwrap();
        let inside = |path: &str| place.join(path);
        let limits = Limits {
            read: Some(vec![inside("read"), inside("single"), inside("no-such")]),
            write: vec![inside("write/new/folder")],
        };
        let confined = std::thread::spawn(move || {
            if let Err(why) = confine_files(&limits) {
                return Err(why);
            }
            type Act = fn(&Path) -> Result<()>;
            let read: Act = |path| fs::read(path).map(drop);
            let list: Act = |path| fs::read_dir(path).map(drop);
            let write: Act = |path| fs::write(path, "y");
            let truncate: Act = |path| {
                fs::File::options()
                    .write(true)
                    .truncate(true)
                    .open(path)
                    .map(drop)
            };
            let make: Act = |path| fs::create_dir(path);
            let remove: Act = |path| fs::remove_file(path);
            let link: Act = |path| std::os::unix::fs::symlink("x", path);
            let run: Act = |path| std::process::Command::new(path).status().map(drop);
            let acts: &[(&str, Act, &str, bool)] = &[
                ("reads", read, "read/below/x", true),
                ("reads", read, "single", true),
                ("reads", read, "write/below/x", true),
                ("reads", read, "other/x", false),
                ("reads", read, "read/../other/x", false),
                ("reads", read, "/etc/passwd", false),
                ("lists", list, "read/below", true),
                ("lists", list, "other", false),
                ("lists", list, "/", false),
                ("writes", write, "write/below/x", true),
                ("writes", write, "write/new", true),
                ("writes", write, "read/below/x", false),
                ("writes", write, "read/new", false),
                ("writes", write, "single", false),
                ("writes", write, "other/x", false),
                ("truncates", truncate, "read/below/x", false),
                ("makes", make, "write/folder", true),
                ("makes", make, "read/folder", false),
                ("makes", make, "other/folder", false),
                ("links", link, "write/link", false),
                ("removes", remove, "write/below/x", true),
                ("removes", remove, "read/below/x", false),
                ("removes", remove, "other/x", false),
                ("runs", run, "/bin/true", false),
            ];
            for (what, act, path, is_allowed) in acts {
                let result = act(&place.join(path));
                let is_refused = result
                    .as_ref()
                    .is_err_and(|e| e.kind() == ErrorKind::PermissionDenied);
                assert!(
                    if *is_allowed {
                        result.is_ok()
                    } else {
                        is_refused
                    },
                    "{what} {path}: {result:?}"
                );
            }
            Ok(())
        });
        if let Err(why) = confined.join().unwrap() {
            eprintln!("skipped: {why}");
        }
    }

    #[test]
    fn no_call_is_refused_twice() {
        let mut calls = linux::REFUSED.to_vec();
        calls.sort_unstable();
        calls.dedup();
        assert_eq!(calls.len(), linux::REFUSED.len());
    }
}
