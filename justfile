# The commands of a contributor: `just` lists them. Each is one line that also works without just.

set positional-arguments

_default:
    @just --list

# Compiler errors only, in about a second
[group('check')]
check:
    cargo check --all-targets

# Format the code and the specs
[group('check')]
format:
    cargo fmt
    cargo run --quiet -- fmt

# All that CI lints; installs the lints' programs into target/tools
[group('check')]
lint:
    .ci/run lints

# Vulnerable and yanked dependencies; needs the network
[group('check')]
advisories:
    tests/setup lints
    target/tools/bin/cargo-deny --locked check advisories

# The tests that need nothing but Rust, or one file of tests: just test cases secrets
[group('test')]
test *ARGS='quick':
    tests/run "$@"

# All that CI runs
[group('test')]
ci:
    .ci/run

# Rewrite the expected outputs of some files of tests: just bless cases pages
[group('test')]
bless +TESTS:
    for test in "$@"; do IMGSPEC_BLESS=1 cargo test --test "$test" || exit; done
    git diff --stat

# The times of the parser and of the language server
[group('measure')]
bench:
    cargo bench --bench parse --bench lsp

# Instructions of fixed works beside the kept numbers, or those with a name: just instructions keystroke
[group('measure')]
instructions *ARGS:
    cargo bench --bench instructions -- "$@"

# imgspec beside jrsonnet, Pkl and others: just peers --work W1
[group('measure')]
peers *ARGS:
    benches/peers/run "$@"

# How long each crate takes to compile, from nothing
[group('measure')]
timings:
    cargo build --timings --target-dir target/timings

# The documentation of the code
[group('docs')]
docs:
    cargo doc --no-deps --document-private-items

# Write the library's defaults to config/
[group('docs')]
defaults:
    cargo run --quiet -- defaults --out config

# Check that a version can be released, and print its notes: just release 0.2.0
[group('release')]
release VERSION:
    .ci/release-notes {{ VERSION }}
    cargo package --locked
