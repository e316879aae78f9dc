//! Files to a program: includes, names, inheritance.
//!
//! [`load()`] reads the specs of a command, all that they include, and the library, and gives a
//! [`Program`] in which every name is resolved and every body has been checked once.
//!
//! `config` reads `imgspec.toml`; [`hir`] is what a program consists of; `check` lowers syntax to it; `load` reads files.

mod adopted;
mod allowed;
mod check;
mod config;
mod edition;
pub mod hir;
mod load;
mod lock;
mod roots;

pub use adopted::Adopted;
pub use allowed::judge;
pub use check::attributes;
pub(crate) use check::{RED_ZONE, STACK, locate_text, secret_literal, var_file};
pub use config::{CONFIG_FILE, Config, Configs, find_root, read_config_text};
pub use edition::{Edition, unknown_release_help};
pub use hir::{
    DataFile, Family, FileView, Lists, Names, Origins, Program, Region, Shared, Stack, StackLayer,
    Table, in_checkout, linearize, place_in_checkout,
};
pub use load::{Library, LibraryChoice, Request, find_include, load, load_with_syntax, readable};
pub use lock::{Address, LOCK_FILE, Locked, VENDOR};
pub use roots::Unread;
pub(crate) use roots::{is_inside, read_inside};
