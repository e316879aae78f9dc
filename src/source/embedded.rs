//! What the program carries with it, so that it works alone: the standard library, and what Packer
//! and Ansible read.

use include_dir::{Dir, include_dir};

/// The standard library, in the language.
pub static STDLIB: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/stdlib");

/// Packer's templates, with what they need.
pub static CONFIG: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/config");

/// What Ansible runs.
pub static ANSIBLE: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/ansible");

/// The text of a built-in template under the path that a provider names. Packer runs in a folder in
/// which `packer` stands for [`CONFIG`].
pub fn template(path: &str) -> Option<&'static str> {
    CONFIG
        .get_file(path.strip_prefix("packer/")?)?
        .contents_utf8()
}

/// The release of Image Builder that the built-in library is made of.
const RELEASE: &str = "v0.1.13";

/// The targets that a later release has and the built-in library has not, below `stdlib/targets/`.
const LATER: [&str; 1] = ["v0.1.55"];

/// What to do about a name that the built-in library lacks and another release of Image Builder has, or that has
/// the look of one: it begins as one of these targets does, and holds a number.
pub fn other_release<'a>(name: &str, targets: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let plain = name.strip_prefix("build-").unwrap_or(name);
    let has_it = |release: &&&str| {
        let names = STDLIB
            .get_file(format!("targets/{release}.txt"))
            .and_then(|file| file.contents_utf8());
        names.is_some_and(|names| names.lines().any(|line| line == plain))
    };
    let how = format!(
        "the built-in library is Image Builder {RELEASE}; to use another release, name a checkout of it: `--in CHECKOUT`, \
         or `library` in imgspec.toml (`imgspec adopt`)"
    );
    if let Some(release) = LATER.iter().find(has_it) {
        return Some(format!("Image Builder {release} has `{plain}`; {how}"));
    }
    let head = |name: &str| name.split('-').next().unwrap_or_default().to_owned();
    let looks_alike = plain.contains(|c: char| c.is_ascii_digit()) && plain.contains('-');
    let is_of_provider = targets
        .into_iter()
        .any(|target| head(target) == head(plain));
    (looks_alike && is_of_provider).then_some(how)
}
