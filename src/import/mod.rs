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

use crate::syntax::{is_keyword, is_null};

/// True if a variable can have this name. Packer accepts any name.
fn is_variable_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && !is_keyword(name)
        && !is_null(name)
}

/// Turns a text into the name of an item. Other characters than those of a name become `-`, and so do several of `-` and `.`
/// beside each other, which a name cannot contain.
fn item_name(text: &str) -> String {
    let mut name = String::with_capacity(text.len());
    let is_of_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut gap = String::new();
    for c in text.chars() {
        if !is_of_word(c) {
            gap.push(c);
            continue;
        }
        if !gap.is_empty() && !name.is_empty() {
            name.push(if gap == "." { '.' } else { '-' });
        }
        gap.clear();
        name.push(c);
    }
    if name.is_empty() {
        "x".to_owned()
    } else if name.starts_with(|c: char| c.is_ascii_digit()) || is_keyword(&name) {
        format!("x-{name}")
    } else {
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syntax::is_name;

    #[test]
    fn any_text_becomes_a_name() {
        for (text, name) in [
            ("prod-1.30", "prod-1.30"),
            ("my vars (1)", "my-vars-1"),
            ("a--b..c.-d", "a-b-c-d"),
            ("-a.", "a"),
            ("2024", "x-2024"),
            ("true", "x-true"),
            ("größe", "gr-e"),
            ("…", "x"),
            ("", "x"),
        ] {
            assert_eq!(item_name(text), name);
            assert!(is_name(name), "{name}");
        }
    }
}
