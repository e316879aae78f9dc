#![no_main]

imgspec_fuzz::text_target!(imgspec_fuzz::checks::adopt);
