//! What `cargo fuzz` runs. Each target in `fuzz_targets/` calls the function of its name in [`checks`].

pub mod checks;
mod mutate;

pub use mutate::{cross, mutate};

use imgspec::project::{Edition, Library};
use imgspec::schema::Roles;
use imgspec::source::Release;
use std::time::{Duration, Instant};

/// The most CPU time of one input. The code is slower here than in the program, which counts nothing, and `parse` reads a text
/// three times, each up to the parser's limit.
const LONGEST: Duration = Duration::from_secs(4);

/// Reads the libraries, which the first input of a target would do otherwise.
pub fn prepare() {
    for release in Release::all() {
        for roles in [Roles::Native, Roles::Upstream] {
            Library::built_in(Edition { release, roles });
        }
    }
}

/// Checks an input, and that it takes not too long. A slow input is checked once more, and then its CPU time counts: another
/// program may have had the processor.
pub fn timed(check: fn(&[u8]), data: &[u8]) {
    let start = Instant::now();
    check(data);
    if start.elapsed() < LONGEST {
        return;
    }
    let start = cpu_time();
    check(data);
    let time = cpu_time() - start;
    assert!(time < LONGEST, "the input takes {time:?}");
}

/// The CPU time of this thread. Linux has it in a file, whose first number counts nanoseconds.
fn cpu_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let number = text.split(' ').next().and_then(|word| word.parse().ok());
    Duration::from_nanos(number.unwrap_or_default())
}

/// A target whose inputs are specs: whole nodes of their trees are exchanged, too.
#[macro_export]
macro_rules! spec_target {
    ($check:path) => {
        $crate::text_target!($check);
        libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], size: usize, most: usize, seed: u32| {
            $crate::mutate(data, size, most, seed)
        });
        libfuzzer_sys::fuzz_crossover!(|a: &[u8], b: &[u8], out: &mut [u8], seed: u32| {
            $crate::cross(a, b, out, seed)
        });
    };
}

/// A target with any other inputs.
#[macro_export]
macro_rules! text_target {
    ($check:path) => {
        libfuzzer_sys::fuzz_target!(
            init: $crate::prepare(),
            |data: &[u8]| $crate::timed($check, data)
        );
    };
}
