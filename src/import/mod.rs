//! The way in: what people have already, JSON var files and whole Image Builder checkouts, to specs.
//!
//! [`import`] turns var files into layers. [`adopt`] turns a checkout into a library: its variables, providers,
//! layers and targets. Both write with [`spell`]; neither touches the world but through the `Loader`.

#![warn(clippy::indexing_slicing, clippy::string_slice)]

mod adopt;
mod checkout;
mod infer;
mod moved;
mod names;
mod print;
mod rederive;
mod template_facts;
mod var_file;
mod versions;

pub use adopt::{ADOPTED, adopt};
pub use checkout::{Checkout, Recipe, Refused};
pub use print::spell_value;
pub use var_file::{Imported, VarFile, import};

/// Whether a variable can be declared under a name. Packer takes any.
fn is_variable_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// A text as the name of an item.
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
    match name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        true => name,
        false => format!("x-{name}"),
    }
}
