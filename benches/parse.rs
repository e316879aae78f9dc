//! The parser alone: `cargo bench --bench parse` prints MB/s.
//!
//! The work is four times as much in each line: the time must grow in step. `benches/peers` measures whole commands.

mod work;

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use imgspec::source::FileId;
use imgspec::syntax::parse;

fn main() {
    divan::main();
}

const SIZES: [usize; 3] = [1_000_000, 4_000_000, 16_000_000];

#[divan::bench(args = SIZES, max_time = 5)]
fn parse_large_file(bencher: Bencher, size: usize) {
    let text = work::large(size);
    bencher
        .counter(BytesCount::of_str(&text))
        .bench(|| parse(FileId(0), black_box(&text)));
}
