//! Hiding the secrets of a build in what its programs print.

use crate::emit::{Artifacts, MASK};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::borrow::Cow;

/// Shorter secrets, or lines of them, are not hidden: they occur everywhere.
const SHORTEST: usize = 4;

/// The forms in which programs print some secrets.
#[derive(Debug, Default)]
pub struct Mask {
    /// The secrets as they are, and as JSON, a shell and a URL contain them, the longest first.
    plain: Vec<String>,
    /// The middle parts of the secrets in base64.
    encoded: Vec<String>,
}

impl Mask {
    /// Hides the secrets that a build of an image gets.
    pub fn of(artifacts: &Artifacts) -> Mask {
        let environment = artifacts.build.secret_environment.iter();
        let values = environment.filter_map(|name| std::env::var(name).ok());
        Mask::new(artifacts.secret_values().map(str::to_owned).chain(values))
    }

    fn new(secrets: impl Iterator<Item = String>) -> Mask {
        let mut mask = Mask::default();
        for secret in secrets {
            // A program's output is read line by line.
            for line in secret.lines().map(str::trim) {
                if line.len() >= SHORTEST {
                    mask.add(line);
                    // The ends of its lines may be written in another way before it is encoded.
                    mask.add_encoded(line);
                }
            }
            if secret.len() >= SHORTEST {
                mask.plain.push(escape_json(&secret));
                mask.add_encoded(&secret);
            }
        }
        mask.plain.sort_by_key(|form| std::cmp::Reverse(form.len()));
        mask.plain.dedup();
        mask
    }

    fn add(&mut self, line: &str) {
        let in_url = url::form_urlencoded::byte_serialize(line.as_bytes()).collect::<String>();
        self.plain.push(in_url.replace('+', "%20"));
        self.plain.push(in_url);
        self.plain.push(escape_json(line));
        // Inside of another JSON string, as Ansible prints it.
        self.plain.push(escape_json(&escape_json(line)));
        self.plain.push(line.replace('\'', "'\"'\"'"));
        self.plain.push(line.replace('\'', "'\\''"));
        self.plain.push(line.to_owned());
    }

    fn add_encoded(&mut self, secret: &str) {
        // What is before the secret shifts its bits, and its first and last characters depend on what is beside it.
        for before in 0..3 {
            let encoded = STANDARD.encode(format!("{}{secret}", "x".repeat(before)));
            let whole = encoded.trim_end_matches('=');
            let start = if before == 0 { 0 } else { 4 };
            let middle = whole.get(start..whole.len().saturating_sub(1));
            self.encoded.extend(
                middle
                    .filter(|middle| middle.len() >= SHORTEST)
                    .map(str::to_owned),
            );
        }
    }

    /// Returns a line with a mask for each secret.
    pub fn apply<'l>(&self, line: &'l str) -> Cow<'l, str> {
        let mut out = Cow::Borrowed(line);
        for form in &self.plain {
            if out.contains(form.as_str()) {
                out = Cow::Owned(out.replace(form.as_str(), MASK));
            }
        }
        for form in &self.encoded {
            while let Some(at) = out.find(form.as_str()) {
                out = Cow::Owned(without_word(&out, at, form.len()));
            }
        }
        out
    }
}

/// Replaces the whole word of base64 that a part of a line belongs to.
fn without_word(line: &str, at: usize, len: usize) -> String {
    let (before, rest) = line.split_at_checked(at).unwrap_or((line, ""));
    let after = rest.get(len..).unwrap_or_default();
    let is_part = |c: char| c.is_ascii_alphanumeric() || "+/=-_".contains(c);
    format!(
        "{}{MASK}{}",
        before.trim_end_matches(is_part),
        after.trim_start_matches(is_part)
    )
}

/// A text as a JSON string contains it.
fn escape_json(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    let inner = quoted.strip_prefix('"').and_then(|t| t.strip_suffix('"'));
    inner.unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_secret_is_hidden() {
        let secret = "p\"q'r s\\tu/v+w";
        let mask = Mask::new(
            [
                secret.to_owned(),
                "one\n  second\n".to_owned(),
                "ab".to_owned(),
            ]
            .into_iter(),
        );
        let in_json = serde_json::json!({ "a": secret }).to_string();
        let lines = [
            format!("password: {secret}."),
            in_json.clone(),
            serde_json::json!({ "msg": in_json }).to_string(),
            format!("'{}'", secret.replace('\'', "'\"'\"'")),
            "http://u:p%22q%27r%20s%5Ctu%2Fv%2Bw@host".to_owned(),
            "a=p%22q%27r+s%5Ctu%2Fv%2Bw&b".to_owned(),
            STANDARD.encode(secret),
            format!("auth {} end", STANDARD.encode(format!("me:{secret}"))),
            STANDARD.encode(format!("{{\"b\": 1, \"auth\": \"{secret}\"}}")),
            "  second".to_owned(),
            "{\"pem\": \"one\\n  second\\n\"}".to_owned(),
        ];
        for line in lines {
            let shown = mask.apply(&line);
            assert!(shown.contains(MASK), "{line}: {shown}");
            assert!(
                !shown.contains("tu") && !shown.contains("econd"),
                "{line}: {shown}"
            );
        }
        assert_eq!(
            mask.apply("abs are shown, and one"),
            "abs are shown, and one"
        );
    }
}
