//! The compiler for a page in a browser: a text that asks, a text that answers, and nothing else. It has no files, no clock
//! and no network.
//!
//! The page calls `ask` with a length, writes that many bytes of JSON to the address that it returns, calls `answer`, and
//! reads as many bytes as that returns from the address that `answered` returns.

mod compile;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// The question and the answer. A page has one thread.
static TEXTS: Mutex<(Vec<u8>, String)> = Mutex::new((Vec::new(), String::new()));

fn texts() -> MutexGuard<'static, (Vec<u8>, String)> {
    TEXTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes room for a question of a length, and returns where it is.
#[expect(unsafe_code, reason = "the page finds it by its name")]
#[unsafe(no_mangle)]
pub extern "C" fn ask(length: usize) -> *mut u8 {
    let mut texts = texts();
    texts.0 = vec![0; length];
    texts.0.as_mut_ptr()
}

/// Answers the question. Returns the length of the answer.
#[expect(unsafe_code, reason = "the page finds it by its name")]
#[unsafe(no_mangle)]
pub extern "C" fn answer() -> usize {
    let mut texts = texts();
    texts.1 = compile::answer(&texts.0);
    texts.1.len()
}

/// Returns where the answer is, until the next one.
#[expect(unsafe_code, reason = "the page finds it by its name")]
#[unsafe(no_mangle)]
pub extern "C" fn answered() -> *const u8 {
    texts().1.as_ptr()
}
