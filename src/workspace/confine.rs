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
    use seccompiler::sock_filter;
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
        let unknown = || "the filter for seccomp does not know this architecture".to_owned();
        let filter = filter(ARCHITECTURE.ok_or_else(unknown)?, REFUSED);
        let failed = |error| format!("seccomp refuses no system calls: {error}");
        seccompiler::apply_filter_all_threads(&filter).map_err(failed)
    }

    /// The kernel's name of this architecture (`AUDIT_ARCH_…`): its number for ELF, 64 bits and little-endian.
    const ARCHITECTURE: Option<u32> = if cfg!(target_arch = "x86_64") {
        Some(0xC000_0000 | 62)
    } else if cfg!(target_arch = "aarch64") {
        Some(0xC000_0000 | 183)
    } else if cfg!(target_arch = "riscv64") {
        Some(0xC000_0000 | 243)
    } else {
        None
    };

    /// Returns a filter that refuses these calls. It searches by halves: the kernel evaluates a filter for each number that
    /// a call can have when it is set, and a list, as `SeccompFilter` makes it, takes 0.2 ms longer.
    fn filter(architecture: u32, refused: &[i64]) -> Vec<sock_filter> {
        let number = |call: &i64| u32::try_from(*call).ok();
        let mut numbers: Vec<u32> = refused.iter().filter_map(number).collect();
        // The x32 calls of x86-64 are other numbers for the same calls.
        numbers.push(X32);
        numbers.sort_unstable();
        numbers.dedup();
        // Where each range of numbers starts, and whether it is refused.
        let mut ranges = vec![(0, false)];
        for number in numbers {
            if ranges.last() == Some(&(number, false)) && number > 0 {
                ranges.pop();
            } else {
                ranges.push((number, true));
            }
            if number != X32 {
                ranges.push((number + 1, false));
            }
        }
        let mut program = vec![
            statement(
                libc::BPF_LD | libc::BPF_W | libc::BPF_ABS,
                OFFSET_OF_ARCHITECTURE,
            ),
            // A process may also make the calls of another architecture, which have other numbers.
            jump(libc::BPF_JEQ, architecture, 1),
            answer(true),
            statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, OFFSET_OF_NUMBER),
        ];
        push_search(&ranges, &mut program);
        program
    }

    /// The places in the kernel's `seccomp_data`.
    const OFFSET_OF_NUMBER: u32 = 0;
    const OFFSET_OF_ARCHITECTURE: u32 = 4;
    const X32: u32 = 0x4000_0000;

    fn push_search(ranges: &[(u32, bool)], program: &mut Vec<sock_filter>) {
        let (below, above) = ranges.split_at(ranges.len() / 2);
        match above.first() {
            Some((_, is_refused)) if below.is_empty() => program.push(answer(*is_refused)),
            Some((start, _)) => {
                let at = program.len();
                program.push(jump(libc::BPF_JGE, *start, 0));
                push_search(below, program);
                let skipped = program.len() - at - 1;
                if let Some(instruction) = program.get_mut(at) {
                    *instruction = jump(libc::BPF_JGE, *start, skipped);
                }
                push_search(above, program);
            }
            None => {}
        }
    }

    fn answer(is_refused: bool) -> sock_filter {
        let answer = if is_refused {
            libc::SECCOMP_RET_ERRNO | libc::EPERM as u32
        } else {
            libc::SECCOMP_RET_ALLOW
        };
        statement(libc::BPF_RET | libc::BPF_K, answer)
    }

    /// Skips instructions if the number is equal, or at least as large. The filter has fewer than 256.
    fn jump(condition: u32, k: u32, skipped: usize) -> sock_filter {
        sock_filter {
            jt: skipped as u8,
            ..statement(libc::BPF_JMP | condition | libc::BPF_K, k)
        }
    }

    fn statement(code: u32, k: u32) -> sock_filter {
        sock_filter {
            code: code as u16,
            jt: 0,
            jf: 0,
            k,
        }
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
        // Attributes of files, which Landlock does not limit. What is open (`fchmod`, `fchown`) may get a mode and an owner.
        libc::SYS_fchmodat,
        SYS_FCHMODAT2,
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
