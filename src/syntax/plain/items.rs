//! Items: includes, declarations and sections.

use crate::syntax::plain::reader::Reader;
use crate::syntax::tree::Kind;

impl Reader<'_> {
    pub(super) fn item(&mut self) -> Option<()> {
        match self.word() {
            "include" => self.include(),
            "type" => self.type_decl(),
            "variable" => self.variable(),
            kind @ ("image" | "layer" | "provider" | "rule" | "probe" | "matrix") => {
                self.section(kind)
            }
            _ => None,
        }
    }

    fn include(&mut self) -> Option<()> {
        let include = self.open(Kind::include);
        self.at += "include".len();
        self.some_spaces()?;
        self.text()?;
        if self.keyword("as")? {
            self.name()?;
            self.spaces();
        }
        self.close(include);
        self.line_end()
    }

    fn type_decl(&mut self) -> Option<()> {
        let type_decl = self.open(Kind::type_decl);
        self.at += "type".len();
        self.some_spaces()?;
        self.name()?;
        self.spaces();
        self.equals()?;
        self.spaces();
        self.type_()?;
        if self.keyword("matching")? {
            self.text()?;
            self.spaces();
        }
        self.close(type_decl);
        self.line_end()
    }

    fn variable(&mut self) -> Option<()> {
        let variable = self.open(Kind::variable);
        self.at += "variable".len();
        self.some_spaces()?;
        self.name()?;
        self.spaces();
        if self.byte(0) == b':' {
            self.at += 1;
            self.spaces();
            self.type_()?;
            self.spaces();
        }
        if self.byte(0) == b'=' {
            self.equals()?;
            self.spaces();
            self.value()?;
            self.spaces();
        }
        match self.byte(0) {
            b'{' => self.block()?,
            _ => self.line_end()?,
        }
        self.close(variable);
        Some(())
    }

    fn type_(&mut self) -> Option<()> {
        let type_ = self.open(Kind::type_);
        match self.byte(0) {
            b'[' => self.type_in(Kind::list_type, b']')?,
            b'{' => self.type_in(Kind::map_type, b'}')?,
            b'"' | b'\'' => self.texts()?,
            _ => self.name()?,
        }
        if self.byte(0) == b'?' {
            self.leaf(Kind::optional, 1);
        }
        self.close(type_);
        Some(())
    }

    /// The type of elements, in brackets.
    fn type_in(&mut self, kind: Kind, closing: u8) -> Option<()> {
        let node = self.open(kind);
        self.at += 1;
        self.spaces();
        self.deeper(Self::type_)?;
        self.spaces();
        if self.byte(0) != closing {
            return None;
        }
        self.at += 1;
        self.close(node);
        Some(())
    }

    /// The texts of an enumeration.
    fn texts(&mut self) -> Option<()> {
        loop {
            self.text()?;
            let end = self.at;
            self.spaces();
            if self.byte(0) != b'|' {
                self.at = end;
                return Some(());
            }
            self.at += 1;
            self.spaces();
        }
    }

    fn section(&mut self, kind: &str) -> Option<()> {
        let section = self.open(Kind::section);
        self.leaf(Kind::section_kind, kind.len());
        self.some_spaces()?;
        self.name()?;
        self.spaces();
        if self.word() == "extends" {
            self.extends()?;
            self.spaces();
        }
        self.block()?;
        self.close(section);
        Some(())
    }

    fn extends(&mut self) -> Option<()> {
        let extends = self.open(Kind::extends);
        self.at += "extends".len();
        self.spaces();
        loop {
            self.name()?;
            let end = self.at;
            self.spaces();
            if self.byte(0) != b',' {
                self.at = end;
                self.close(extends);
                return Some(());
            }
            self.at += 1;
            self.gaps();
        }
    }

    /// A word between spaces, which need not be there. Skips the spaces.
    fn keyword(&mut self, word: &str) -> Option<bool> {
        let start = self.at;
        self.spaces();
        let is_there = self.word() == word && self.at > start;
        if is_there {
            self.at += word.len();
            self.some_spaces()?;
        }
        Some(is_there)
    }

    /// The end of an item without a block: something else is an error.
    fn line_end(&self) -> Option<()> {
        let is_end = self.at == self.text.len() || matches!(self.byte(0), b'\n' | b'#');
        is_end.then_some(())
    }
}
