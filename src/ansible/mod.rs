//! Ansible's syntax: the arguments of `--extra-vars`, and YAML.
//!
//! This room does not know specs, declarations or images.

mod extra_vars;
mod yaml;

pub use extra_vars::{
    ArgsProblem, Argument, Pair, ansible_bool, check_args, is_all_known, parse_pairs, read_escapes,
};
pub use yaml::parse_vars;
