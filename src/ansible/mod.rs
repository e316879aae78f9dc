//! What Ansible's own syntax means: arguments of `--extra-vars`, and the YAML in them.
//!
//! Nothing here knows a spec, a variable's declaration or an image.

mod extra_vars;
mod yaml;

pub use extra_vars::{
    ArgsProblem, Argument, Pair, ansible_bool, check_args, is_all_known, parse_pairs, read_escapes,
};
pub use yaml::parse_vars;
