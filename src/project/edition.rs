//! The forms of the built-in library.

use crate::schema::Roles;
use crate::source::Release;

/// The form of the built-in library that a project uses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Edition {
    /// The release of Image Builder that it describes.
    pub release: Release,
    /// Whose roles the output is for. With `Upstream`, the library's providers describe Image Builder's own templates.
    pub roles: Roles,
}

impl Release {
    /// Returns a help for a name that the library of this release lacks and that of another one has. `kind` is the kind
    /// of the item: `variable`, `image`.
    pub fn help_for(self, kind: &str, name: &str) -> Option<(Release, String)> {
        let other = self.other_with(kind, name)?;
        let what = if kind == "image" { "target" } else { kind };
        let help = format!(
            "`{name}` is a {what} of Image Builder {other}, and this is {self}: write `release = \"{other}\"` to \
             imgspec.toml, or use `--release {other}`"
        );
        Some((other, help))
    }
}

/// Returns a help for a name that looks like a target of a release that the program does not contain: it begins like one
/// of `targets` and contains a digit.
pub fn unknown_release_help<'a>(
    name: &str,
    targets: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    let plain = name.strip_prefix("build-").unwrap_or(name);
    let head = |name: &str| name.split('-').next().unwrap_or_default().to_owned();
    let looks_alike = plain.contains(|c: char| c.is_ascii_digit()) && plain.contains('-');
    let is_of_provider = targets
        .into_iter()
        .any(|target| head(target) == head(plain));
    (looks_alike && is_of_provider).then(|| {
        let known = Release::all().into_iter().map(Release::name).collect::<Vec<_>>().join(", ");
        format!(
            "the releases in imgspec ({known}) have no such target; for another release, use a checkout of it: `--in CHECKOUT`, or \
             `imgspec adopt` and `library` in imgspec.toml"
        )
    })
}
