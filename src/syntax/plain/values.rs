//! Expressions and strings.

use crate::source::part;
use crate::syntax::plain::reader::{Reader, SPACE, is_name_char, starts_name};
use crate::syntax::tree::Kind;
use memchr::{memchr, memchr2, memchr3};

/// How deep a section may be nested here. pest finds out whether it is nested too deeply.
const MAX_DEPTH: usize = 32;

impl Reader<'_> {
    /// Reads what is one level deeper.
    pub(super) fn deeper(&mut self, read: impl FnOnce(&mut Self) -> Option<()>) -> Option<()> {
        if self.depth == MAX_DEPTH {
            return None;
        }
        self.depth += 1;
        read(self)?;
        self.depth -= 1;
        Some(())
    }

    /// Reads a node in brackets, from the opening one.
    pub(super) fn brackets(
        &mut self,
        kind: Kind,
        closing: u8,
        has_commas: bool,
        element: fn(&mut Self) -> Option<()>,
    ) -> Option<()> {
        let node = self.open(kind);
        self.at += 1;
        self.deeper(|reader| {
            loop {
                reader.gaps();
                match reader.byte(0) {
                    byte if byte == closing => return Some(()),
                    b',' if has_commas => reader.at += 1,
                    _ => element(reader)?,
                }
            }
        })?;
        self.at += 1;
        self.close(node);
        Some(())
    }

    /// Operands and operators, which the grammar takes in any order between brackets.
    fn element(&mut self) -> Option<()> {
        if self.infix() {
            return Some(());
        }
        self.operand()
    }

    fn pair(&mut self) -> Option<()> {
        let pair = self.open(Kind::pair);
        self.key()?;
        self.equals()?;
        self.spaces();
        self.value()?;
        self.close(pair);
        Some(())
    }

    pub(super) fn value(&mut self) -> Option<()> {
        loop {
            self.operand()?;
            let end = self.at;
            self.spaces();
            if !self.infix() {
                // An `=` here is an error, and so are other languages' operators.
                let is_end = self.byte(0) != b'=' && !matches!(self.word(), "is" | "eq" | "ne");
                self.at = end;
                return is_end.then_some(());
            }
            self.gaps();
        }
    }

    fn infix(&mut self) -> bool {
        let len = match (self.byte(0), self.byte(1)) {
            // Three characters are an operator of another language.
            (b'=' | b'!', b'=') => 2 * usize::from(self.byte(2) != b'='),
            (b'<' | b'>', b'=') | (b'&', b'&') | (b'|', b'|') => 2,
            (b'+', next) => usize::from(next != b'='),
            (b'<', next) => usize::from(next != b'<' && next != b'>'),
            (b'>', _) => 1,
            (b'a' | b'i' | b'o' | b'n', _) => match self.word() {
                word @ ("and" | "in" | "or") => word.len(),
                word @ "not" => {
                    let rest = part(self.rest(), word.len()..);
                    let behind = rest.trim_start_matches(SPACE);
                    let is_in = behind
                        .strip_prefix("in")
                        .is_some_and(|rest| !starts_name(rest));
                    let spaces = rest.len() - behind.len();
                    if is_in && spaces > 0 {
                        "notin".len() + spaces
                    } else {
                        0
                    }
                }
                _ => 0,
            },
            _ => 0,
        };
        if len > 0 {
            self.leaf(Kind::infix, len);
        }
        len > 0
    }

    fn operand(&mut self) -> Option<()> {
        match (self.byte(0), self.byte(1)) {
            (b'"', _) => self.string(),
            (b'[', _) => self.brackets(Kind::list, b']', true, Self::element),
            (b'(', _) => self.brackets(Kind::paren, b')', false, Self::element),
            (b'{', b'{') => None,
            (b'{', _) => self.brackets(Kind::map, b'}', true, Self::pair),
            (b'\'', _) => self.raw(),
            (b'<', b'<') => self.heredoc(),
            (b'-' | b'0'..=b'9', _) => self.number(),
            (b'!', next) if next != b'=' => self.not("!"),
            _ => match self.word() {
                "then" | "else" | "and" | "or" | "in" => None,
                word @ "not" => self.not(word),
                "if" => self.if_(),
                _ => self.reference(),
            },
        }
    }

    fn not(&mut self, word: &str) -> Option<()> {
        self.leaf(Kind::not_, word.len());
        self.spaces();
        self.deeper(Self::operand)
    }

    fn if_(&mut self) -> Option<()> {
        let if_ = self.open(Kind::if_);
        self.at += "if".len();
        self.edge()?;
        self.gaps();
        self.deeper(Self::value)?;
        for (word, kind) in [("then", Kind::then_), ("else", Kind::else_)] {
            self.gaps();
            if self.word() != word {
                return None;
            }
            self.leaf(kind, word.len());
            self.gaps();
            self.deeper(Self::value)?;
        }
        self.close(if_);
        Some(())
    }

    fn reference(&mut self) -> Option<()> {
        self.name()?;
        if self.byte(0) == b'(' {
            return self.brackets(Kind::args, b')', true, Self::element);
        }
        let end = self.at;
        self.spaces();
        let is_assigned = match (self.byte(0), self.byte(1)) {
            (b'=', next) => next != b'=',
            (b'+' | b'-', next) => next == b'=',
            _ => false,
        };
        self.at = end;
        (!is_assigned).then_some(())
    }

    pub(super) fn name(&mut self) -> Option<()> {
        if !is_name_char(self.byte(0)) || self.byte(0).is_ascii_digit() {
            return None;
        }
        self.leaf(Kind::name, self.word_end(0, b"-."));
        Some(())
    }

    fn number(&mut self) -> Option<()> {
        let sign = usize::from(self.byte(0) == b'-');
        if !self.byte(sign).is_ascii_digit() {
            return None;
        }
        self.leaf(Kind::number, self.word_end(sign, b".-+"));
        Some(())
    }

    pub(super) fn string(&mut self) -> Option<()> {
        let inner = part(self.rest(), 1..).as_bytes();
        let end = memchr3(b'"', b'\\', b'$', inner)?;
        if inner.get(end) != Some(&b'"') {
            return self.interpolated();
        }
        let is_line = memchr(b'\n', inner.get(..end)?).is_none();
        if !is_line || inner.starts_with(b"\"\"") {
            return None;
        }
        self.leaf(Kind::string, end + 2);
        Some(())
    }

    fn interpolated(&mut self) -> Option<()> {
        let interpolated = self.open(Kind::interpolated);
        self.at += 1;
        loop {
            match (self.byte(0), self.byte(1)) {
                (b'"', _) => break,
                (b'$', b'{') => self.interpolation()?,
                (b'\\', _) => self.escape()?,
                _ => self.chunk()?,
            }
        }
        self.at += 1;
        self.close(interpolated);
        Some(())
    }

    fn interpolation(&mut self) -> Option<()> {
        let interpolation = self.open(Kind::interpolation);
        self.at += "${".len();
        self.deeper(|reader| {
            loop {
                reader.spaces();
                if reader.byte(0) == b'}' {
                    return Some(());
                }
                reader.element()?;
            }
        })?;
        self.at += 1;
        self.close(interpolation);
        Some(())
    }

    fn escape(&mut self) -> Option<()> {
        let rest = part(self.rest(), 1..);
        let behind_hex = rest
            .strip_prefix("u{")
            .map(|hex| hex.trim_start_matches(|c: char| c.is_ascii_hexdigit()))
            .and_then(|hex| hex.strip_prefix('}'));
        let len = match behind_hex {
            Some(behind) => rest.len() - behind.len(),
            None if rest.starts_with("${") => 2,
            None => rest.chars().next().filter(|c| *c != '\n')?.len_utf8(),
        };
        self.leaf(Kind::escape, 1 + len);
        Some(())
    }

    fn chunk(&mut self) -> Option<()> {
        let bytes = self.rest().as_bytes();
        let mut pairs = bytes.iter().zip(bytes.iter().skip(1));
        let len =
            pairs.position(|pair| matches!(pair, (b'"' | b'\\' | b'\n', _) | (b'$', b'{')))?;
        self.leaf(Kind::chunk, len);
        (len > 0).then_some(())
    }

    pub(super) fn raw(&mut self) -> Option<()> {
        let inner = part(self.rest(), 1..).as_bytes();
        let end = memchr2(b'\'', b'\n', inner)?;
        if inner.get(end) != Some(&b'\'') || inner.starts_with(b"''") {
            return None;
        }
        self.leaf(Kind::raw, end + 2);
        Some(())
    }

    fn heredoc(&mut self) -> Option<()> {
        let rest = self.rest();
        let opening = part(rest, 2..);
        let quoted = opening.strip_prefix('\'');
        let tag = quoted.unwrap_or(opening);
        let is_tag = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        let behind = tag.trim_start_matches(is_tag);
        let tag = part(tag, ..tag.len() - behind.len());
        let behind = match quoted {
            Some(_) => behind.strip_prefix('\'')?,
            None => behind,
        };
        let mut lines = behind.trim_start_matches(SPACE).strip_prefix('\n')?;
        if !tag.starts_with(|c: char| c.is_ascii_uppercase()) {
            return None;
        }
        loop {
            let behind = lines.trim_start_matches(SPACE).strip_prefix(tag);
            if let Some(behind) = behind.filter(|behind| !starts_name(behind)) {
                self.leaf(Kind::heredoc, rest.len() - behind.len());
                return Some(());
            }
            lines = lines.split_once('\n')?.1;
        }
    }
}
