//! Conversion of JSON var files and Image Builder checkouts to specs.
//!
//! [`import()`] converts var files to layers. [`adopt()`] converts a checkout to a library: its variables, providers, layers
//! and targets. Both read only through a `Loader`.

mod adopt;
mod checkout;
mod compare;
mod infer;
mod moved;
mod names;
mod print;
mod rederive;
mod template_facts;
mod var_file;
mod versions;

pub use adopt::{ADOPTED_MARK, adopt};
pub use checkout::{Checkout, Recipe, Refused};
pub use compare::{Comparison, Difference, compare};
pub use print::spell_value;
pub use var_file::{Imported, VarFile, import};

/// True if a variable can have this name. Packer accepts any name.
fn is_variable_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// Turns a text into the name of an item.
fn item_name(text: &str) -> String {
    let name: String = text
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || "-_.".contains(c) {
                c
            } else {
                '-'
            }
        })
        .collect();
    if name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        name
    } else {
        format!("x-{name}")
    }
}
