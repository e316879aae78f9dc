//! Validity and order of versions.

use crate::source::part;
use std::cmp::Ordering;

/// Returns whether a string is a version such as `v1.23.10`, optionally with a suffix such as `-rc.1` or `+build`.
///
/// This is the form of `kubernetes_semver` (rule R4 in Image Builder's `packer/config/kubernetes.json`: the names of
/// release folders begin with `v`).
pub fn is_semver(text: &str) -> bool {
    let Some(rest) = text.strip_prefix('v') else {
        return false;
    };
    let core = rest.split(['-', '+']).next().unwrap_or("");
    let numbers: Vec<&str> = core.split('.').collect();
    numbers.len() == 3
        && numbers.iter().all(|n| is_number(n))
        && part(rest, core.len()..).chars().all(is_version_char)
        && rest.len() != core.len() + 1
}

/// Returns whether a string is a package version, such as `1.6.2`, `1.1.1-00` or `2:1.0~rc1`. It begins with a digit
/// and contains only letters, digits and `.-+~:_`.
pub fn is_version(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
        && text.chars().all(is_version_char)
        && text
            .split(|c: char| !c.is_ascii_digit())
            .all(|run| run.is_empty() || is_number(run))
}

/// Returns the major, minor and patch numbers. A missing number is 0. Ignores a leading `v`.
pub fn numbers(text: &str) -> Option<[i64; 3]> {
    let core = text.strip_prefix('v').unwrap_or(text);
    let core = core.split(['-', '+', '~']).next()?;
    let mut out = [0; 3];
    for (number, part) in out.iter_mut().zip(core.split('.')) {
        *number = part.parse().ok()?;
    }
    Some(out)
}

/// Compares two versions. Groups of digits compare as integers. A pre-release (`-rc.1`) is before its release, and a
/// package revision (`-00`) is after it.
pub fn compare_versions(a: &str, b: &str) -> Ordering {
    let a = a.strip_prefix('v').unwrap_or(a);
    let b = b.strip_prefix('v').unwrap_or(b);
    let (mut a, mut b) = (parts(a), parts(b));
    loop {
        match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (Some(x), None) => return x.against_nothing(),
            (None, Some(y)) => return y.against_nothing().reverse(),
            (Some(x), Some(y)) => match x.cmp(&y) {
                Ordering::Equal => {}
                different => return different,
            },
        }
    }
}

/// A group of letters or digits. Letters come before digits: `1.0-rc` is before `1.0-1`.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum VersionPart<'a> {
    Letters(&'a str),
    Number(u64),
}

impl VersionPart<'_> {
    /// Compares a version that has this additional part with the version that does not.
    fn against_nothing(&self) -> Ordering {
        match self {
            VersionPart::Letters(_) => Ordering::Less,
            VersionPart::Number(_) => Ordering::Greater,
        }
    }
}

fn parts(text: &str) -> impl Iterator<Item = VersionPart<'_>> {
    text.split(|c: char| !c.is_ascii_alphanumeric())
        .flat_map(|run| {
            let mut rest = run;
            std::iter::from_fn(move || {
                let is_digit = rest.chars().next()?.is_ascii_digit();
                let end = rest
                    .find(|c: char| c.is_ascii_digit() != is_digit)
                    .unwrap_or(rest.len());
                let (part, tail) = rest.split_at(end);
                rest = tail;
                Some(if is_digit {
                    VersionPart::Number(part.parse().unwrap_or(u64::MAX))
                } else {
                    VersionPart::Letters(part)
                })
            })
        })
}

/// Returns whether a group of digits fits into an `int`, as the function `major` requires.
fn is_number(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<i64>().is_ok()
}

fn is_version_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || ".-+~:_".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_versions() {
        let rising = [
            "1.0.0-alpha.1",
            "1.0.0-rc.1",
            "1.0.0",
            "1.0.0-00",
            "1.0.0-1.1",
            "1.0.0-2.1",
            "1.0.1",
            "1.9",
            "1.10",
            "v2.0",
        ];
        for pair in rising.windows(2) {
            assert_eq!(
                compare_versions(pair[0], pair[1]),
                Ordering::Less,
                "{pair:?}"
            );
        }
        assert_eq!(compare_versions("v1.2.3", "1.2.3"), Ordering::Equal);
    }

    #[test]
    fn knows_versions() {
        for good in ["v1.23.10", "v1.24.0-rc.1", "v1.2.3+b"] {
            assert!(is_semver(good), "{good}");
        }
        for bad in [
            "1.23.10",
            "v1.23",
            "v1.23.x",
            "v1.2.3-",
            "",
            "v1.2.3 ",
            "v1.2.99999999999999999999",
        ] {
            assert!(!is_semver(bad), "{bad}");
        }
        assert!(is_version("1.1.1-00") && is_version("1.36.2-2.1"));
        assert!(!is_version("v1.2") && !is_version("") && !is_version("1 2"));
    }
}
