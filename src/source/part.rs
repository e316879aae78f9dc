//! Slices of texts whose offsets are not trusted.

use std::slice::SliceIndex;

/// Returns the text in a byte range. Returns an empty string, instead of a panic, if the range is outside the text or
/// splits a character: offsets can be older than the text, or come from a client.
pub fn part(text: &str, range: impl SliceIndex<str, Output = str>) -> &str {
    text.get(range).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_that_does_not_fit_is_empty() {
        assert_eq!(part("aéb", 1..3), "é");
        assert_eq!(part("aéb", 3..), "b");
        assert_eq!(part("aéb", ..2), "");
        assert_eq!(part("aéb", 5..), "");
        let (start, end) = (3, 1);
        assert_eq!(part("aéb", start..end), "");
    }
}
