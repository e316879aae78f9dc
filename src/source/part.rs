//! Parts of a text by place, for texts and places that came from somebody else.

use std::slice::SliceIndex;

/// The part of a text in a range of bytes. It is empty where the range is not in the text or cuts a character, which
/// would otherwise end the program: a place can be older than the text, or be made of what a client sent.
pub fn part(text: &str, range: impl SliceIndex<str, Output = str>) -> &str {
    text.get(range).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_in_the_text_is_empty() {
        assert_eq!(part("aéb", 1..3), "é");
        assert_eq!(part("aéb", 3..), "b");
        assert_eq!(part("aéb", ..2), "");
        assert_eq!(part("aéb", 5..), "");
        let (start, end) = (3, 1);
        assert_eq!(part("aéb", start..end), "");
    }
}
