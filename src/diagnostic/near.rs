//! Suggestions for unknown names.

use crate::source::part;

/// The longest name, in bytes, that can be near to another.
const LONGEST: usize = 200;

/// A name that the user may have meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Suggestion<'a> {
    /// The name.
    pub name: &'a str,
    /// Whether a fix may insert the name: it is near enough, and no other name is as near.
    pub is_sure: bool,
}

/// How well a value fits a candidate name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// The candidate cannot have the value.
    No,
    /// The candidate can have the value, as many others can.
    Maybe,
    /// The value has a special form that few candidates accept.
    Well,
}

/// Returns the nearest name, if it is near enough for a fix.
pub fn nearest<'a>(wanted: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    suggest(wanted, names, |_| Fit::Maybe)
        .filter(|found| found.is_sure)
        .map(|found| found.name)
}

/// Returns the most probable name, by its letters, its words, and how well the assigned value fits it.
pub fn suggest<'a>(
    wanted: &str,
    names: impl IntoIterator<Item = &'a str>,
    fit: impl Fn(&str) -> Fit,
) -> Option<Suggestion<'a>> {
    if wanted.len() > LONGEST {
        return None;
    }
    let folded = fold(wanted);
    let mut best: Option<(Rank, &'a str)> = None;
    let mut has_double = false;
    for name in names.into_iter().filter(|name| *name != wanted) {
        let Some(rank) = rank(&folded, &fold(name), || fit(name)) else {
            continue;
        };
        match best
            .as_ref()
            .map(|(found, other)| (rank.cmp(found), name.cmp(other)))
        {
            Some((std::cmp::Ordering::Greater, _)) => continue,
            Some((std::cmp::Ordering::Equal, std::cmp::Ordering::Equal)) => continue,
            Some((std::cmp::Ordering::Equal, order)) => {
                has_double = true;
                if order.is_gt() {
                    continue;
                }
            }
            _ => has_double = false,
        }
        best = Some((rank, name));
    }
    best.map(|(rank, name)| {
        // Names with different numbers are different things, such as versions.
        let is_sure = rank.is_sure() && !has_double && numbers(&folded) == numbers(&fold(name));
        Suggestion { name, is_sure }
    })
}

/// Returns the most probable image or layer. If some names share their first words with `wanted`, only those are
/// candidates, because the first words of an image's name identify its cloud.
pub fn suggest_image<'a>(
    wanted: &str,
    names: impl Iterator<Item = &'a str> + Clone,
) -> Option<Suggestion<'a>> {
    if wanted.len() > LONGEST {
        return None;
    }
    let plain = fold(wanted.strip_prefix("build-").unwrap_or(wanted));
    let asked = words(&plain);
    let in_common = |name: &str| {
        words(&fold(name))
            .iter()
            .zip(&asked)
            .take_while(|(a, b)| a == b)
            .count()
    };
    let common = names.clone().map(in_common).max().unwrap_or(0);
    let is_near = |name: &&str| {
        let folded = fold(name);
        let own = words(&folded);
        let (Some(head), Some(first)) = (own.first(), asked.first()) else {
            return false;
        };
        let is_head = asked.len() < 2
            || own.len() < 2
            || asked.contains(head)
            || matches!(rank(first, head, || Fit::No), Some(Rank::Slip(_)));
        in_common(name) == common && is_head
    };
    suggest(&plain, names.filter(is_near), |_| Fit::Maybe)
}

/// The distance between two names. A smaller rank is nearer.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// A typing error: the number of different letters.
    Slip(usize),
    /// The same words in another order.
    Words,
    /// At least one common word, and a value of a special form: the difference of the words in percent.
    Form(usize),
    /// A larger difference, in letters (times ten) or in words (in percent).
    Far(usize),
}

impl Rank {
    fn is_sure(&self) -> bool {
        matches!(self, Rank::Slip(_) | Rank::Words)
    }
}

/// Removes differences of case and of separators.
fn fold(name: &str) -> String {
    name.chars()
        .map(|c| {
            if matches!(c, '-' | '.' | ' ') {
                '_'
            } else {
                c.to_ascii_lowercase()
            }
        })
        .collect()
}

fn rank(wanted: &str, name: &str, fit: impl Fn() -> Fit) -> Option<Rank> {
    if differ_in_numbers(wanted, name) {
        return None;
    }
    let length = wanted.chars().count().min(name.chars().count());
    let longest = wanted.chars().count().max(name.chars().count());
    // A name of one or two letters has no near names. Longer names tolerate more typing errors.
    let slip = match length {
        0..=2 => 0,
        3..=7 => 1,
        8..=15 => 2,
        _ => 3,
    };
    let far = (length / 3).min(4);
    let distance = if longest - length <= far.max(slip) {
        strsim::osa_distance(wanted, name)
    } else {
        usize::MAX
    };
    // Names with the same beginning or end that differ by a whole word are often both valid. So are short names of
    // the same length that differ in a letter.
    let is_other = length <= 4 && length == longest && distance > 0 && !is_swap(wanted, name);
    if distance <= slip && !is_other && !differ_by_word(wanted, name) {
        return Some(Rank::Slip(distance));
    }
    let shared = Words::of(wanted, name);
    if shared.is_same() {
        return Some(Rank::Words);
    }
    if distance > far && shared.percent() < 30 {
        return None;
    }
    match fit() {
        Fit::Well if shared.common > 0 => Some(Rank::Form(100 - shared.percent())),
        Fit::No => None,
        _ if distance <= far => Some(Rank::Far(distance * 10)),
        _ if shared.common > 1 && shared.percent() >= 50 => Some(Rank::Far(100 - shared.percent())),
        _ => None,
    }
}

/// Returns whether only the digits of two names differ, as in two versions of one thing.
fn differ_in_numbers(a: &str, b: &str) -> bool {
    let is_digit = |c: &char| c.is_ascii_digit();
    a.chars().count() == b.chars().count()
        && a != b
        && a.chars()
            .zip(b.chars())
            .all(|(a, b)| a == b || (is_digit(&a) && is_digit(&b)))
}

/// Returns the sorted groups of digits in a name.
fn numbers(name: &str) -> Vec<&str> {
    let mut out: Vec<&str> = name
        .split(|c: char| !c.is_ascii_digit())
        .filter(|n| !n.is_empty())
        .collect();
    out.sort_unstable();
    out
}

/// Returns whether one name has all the words of the other and more.
fn differ_by_word(a: &str, b: &str) -> bool {
    let shared = Words::of(a, b);
    shared.common > 0 && shared.common == shared.smaller && shared.larger > shared.smaller
}

/// The numbers of words of two names, and of the words that they share.
struct Words {
    common: usize,
    smaller: usize,
    larger: usize,
}

impl Words {
    fn of(a: &str, b: &str) -> Words {
        let (a, mut b) = (words(a), words(b));
        let (smaller, larger) = (a.len().min(b.len()), a.len().max(b.len()));
        let mut common = 0;
        for word in a {
            if let Some(at) = b.iter().position(|other| is_same_word(word, other)) {
                b.swap_remove(at);
                common += 1;
            }
        }
        Words {
            common,
            smaller,
            larger,
        }
    }

    fn is_same(&self) -> bool {
        self.common > 1 && self.common == self.larger
    }

    fn percent(&self) -> usize {
        self.common * 100 / (self.smaller + self.larger - self.common).max(1)
    }
}

/// Returns whether both names have the same letters.
fn is_swap(a: &str, b: &str) -> bool {
    let sorted = |text: &str| {
        let mut letters: Vec<char> = text.chars().collect();
        letters.sort_unstable();
        letters
    };
    sorted(a) == sorted(b)
}

/// Returns whether two words are equal or one abbreviates the other, as `k8s` and `i18n` do.
fn is_same_word(a: &str, b: &str) -> bool {
    a == b || is_short_for(a, b) || is_short_for(b, a)
}

fn is_short_for(short: &str, long: &str) -> bool {
    let count = |text: &str| {
        text.parse()
            .is_ok_and(|left_out: usize| left_out + 2 == long.len())
    };
    short.len() > 2
        && short.is_ascii()
        && short.as_bytes().first() == long.as_bytes().first()
        && short.as_bytes().last() == long.as_bytes().last()
        && count(part(short, 1..short.len() - 1))
}

fn words(name: &str) -> Vec<&str> {
    name.split('_').filter(|word| !word.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 8] = [
        "amount",
        "cores",
        "a",
        "more_rpms",
        "engine_semver",
        "engine_deb_version",
        "qemu-ubuntu-2004",
        "web_proxy",
    ];

    #[test]
    fn slips_are_sure() {
        for (wanted, meant) in [
            ("amuont", "amount"),
            ("core", "cores"),
            ("more_rpm", "more_rpms"),
            ("more-rpms", "more_rpms"),
            ("WEB_PROXY", "web_proxy"),
            ("engine_semvr", "engine_semver"),
            ("ubuntu-qemu-2004", "qemu-ubuntu-2004"),
        ] {
            assert_eq!(nearest(wanted, NAMES), Some(meant), "{wanted}");
        }
    }

    #[test]
    fn short_names_and_other_versions_are_near_nothing() {
        for wanted in [
            "b",
            "ab",
            "x",
            "qemu-ubuntu-2404",
            "qemu-ubuntu-2204",
            "engine",
            "version",
        ] {
            assert_eq!(nearest(wanted, NAMES), None, "{wanted}");
        }
    }

    #[test]
    fn the_form_of_a_value_counts() {
        let fit = |name: &str| match name {
            "engine_semver" => Fit::Well,
            "amount" => Fit::No,
            _ => Fit::Maybe,
        };
        let found = suggest("engine_version", NAMES, fit);
        assert_eq!(
            found,
            Some(Suggestion {
                name: "engine_semver",
                is_sure: false
            })
        );
        let far = suggest("engine_version", NAMES, |_| Fit::Maybe);
        assert_eq!(
            far,
            Some(Suggestion {
                name: "engine_deb_version",
                is_sure: false
            })
        );
    }

    #[test]
    fn an_image_of_another_cloud_is_not_near() {
        let names = [
            "qemu-ubuntu-2004",
            "ami-ubuntu-2004",
            "oci-windows-2022",
            "ami-windows-2019",
            "azure-sig-flatcar",
            "azure-vhd-ubuntu-2004",
            "base",
        ];
        let near = |wanted| {
            suggest_image(wanted, names.into_iter()).map(|found| (found.name, found.is_sure))
        };
        for wanted in [
            "ami-windows-2022",
            "azure-vhd-flatcar",
            "qemu-ubuntu-2404",
            "aws-ubuntu-2004",
        ] {
            assert_eq!(near(wanted), None, "{wanted}");
        }
        for wanted in [
            "qemu-ubunt-2004",
            "build-qemu-ubuntu-2004",
            "ubuntu-qemu-2004",
            "qmeu-ubuntu-2004",
            "build-qemu-ubunt-2004",
        ] {
            assert_eq!(near(wanted), Some(("qemu-ubuntu-2004", true)), "{wanted}");
        }
        assert_eq!(near("bsae"), Some(("base", true)));
        assert_eq!(near("qemu-ubuntu-204"), Some(("qemu-ubuntu-2004", false)));
    }

    #[test]
    fn a_short_name_with_another_letter_is_a_hint_at_most() {
        for (wanted, sure) in [
            ("nope", false),
            ("noed", true),
            ("nodes", true),
            ("nod", true),
        ] {
            let found = suggest(wanted, ["node"], |_| Fit::Maybe);
            assert!(found.is_none_or(|found| found.is_sure == sure), "{wanted}");
        }
    }

    #[test]
    fn letters_may_be_counted() {
        let found = suggest("e4e_semver", NAMES, |_| Fit::Maybe);
        assert_eq!(found.map(|found| found.name), Some("engine_semver"));
    }

    #[test]
    fn two_that_are_equally_near_are_not_sure() {
        let found = suggest("exra", ["extra", "exra1", "amount"], |_| Fit::Maybe);
        assert_eq!(found.map(|found| found.is_sure), Some(false));
    }
}
