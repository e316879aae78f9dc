#![no_main]

imgspec_fuzz::spec_target!(imgspec_fuzz::checks::lsp);
