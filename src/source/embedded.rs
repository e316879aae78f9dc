//! The files inside the program: the standard library, and what Packer and Ansible read.

use include_dir::{Dir, include_dir};

/// The standard library, as specs.
pub static STDLIB: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/stdlib");

/// Packer templates, and the files that they use.
pub static CONFIG: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/config");

/// Playbooks and roles for Ansible.
pub static ANSIBLE: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/ansible");

/// Returns the text of an embedded template. `path` is as a provider names it: Packer runs in a folder in which
/// `packer` is a copy of [`CONFIG`].
pub fn template(path: &str) -> Option<&'static str> {
    CONFIG
        .get_file(path.strip_prefix("packer/")?)?
        .contents_utf8()
}

/// The Image Builder release that the standard library corresponds to.
pub const RELEASE: &str = "v0.1.13";

/// Later releases with targets that the standard library does not have. Each has a list in `stdlib/`.
const LATER: [&str; 1] = ["v0.1.55"];

/// Returns a help for a name that the standard library lacks and another release of Image Builder has, or seems to
/// have. A name seems to be a target if it begins like one of `targets` and contains a digit.
pub fn other_release<'a>(name: &str, targets: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let plain = name.strip_prefix("build-").unwrap_or(name);
    let has_target = |release: &&&str| {
        let names = STDLIB
            .get_file(format!("targets-{release}.txt"))
            .and_then(|file| file.contents_utf8());
        names.is_some_and(|names| names.lines().any(|line| line == plain))
    };
    let how = format!(
        "the standard library has the targets of Image Builder {RELEASE}; for another release, use a checkout of it: \
         `--in CHECKOUT`, or `imgspec adopt` and `library` in imgspec.toml"
    );
    if let Some(release) = LATER.iter().find(has_target) {
        return Some(format!(
            "`{plain}` is a target of Image Builder {release}; {how}"
        ));
    }
    let head = |name: &str| name.split('-').next().unwrap_or_default().to_owned();
    let looks_alike = plain.contains(|c: char| c.is_ascii_digit()) && plain.contains('-');
    let is_of_provider = targets
        .into_iter()
        .any(|target| head(target) == head(plain));
    (looks_alike && is_of_provider).then_some(how)
}
