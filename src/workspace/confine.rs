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
    const REFUSED: &[i64] = &[
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
