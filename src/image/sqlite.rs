//! Rows of a table in an SQLite database (sqlite.org/fileformat2.html), read only. rpm keeps its packages in one.

use crate::image::be32;

/// The first bytes of a database.
const MAGIC: &[u8] = b"SQLite format 3\0";

/// The most pages that are looked at, which bounds what a damaged database costs.
const MAX_STEPS: usize = 500_000;

/// The deepest tree that is read.
const MAX_DEPTH: usize = 20;

/// The largest row.
const MAX_ROW: u64 = 64 << 20;

/// A database in memory.
pub(super) struct Database<'b> {
    bytes: &'b [u8],
    page_size: usize,
    /// The bytes of a page that hold content.
    usable: usize,
    steps: usize,
}

/// A value of a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value<'r> {
    Number(i64),
    Bytes(&'r [u8]),
    Other,
}

impl<'b> Database<'b> {
    /// Reads the header; none if it is not a database.
    pub(super) fn new(bytes: &'b [u8]) -> Option<Database<'b>> {
        if !bytes.starts_with(MAGIC) {
            return None;
        }
        let page_size = match be16(bytes, 16)? {
            1 => 65_536,
            size => usize::from(size),
        };
        let usable = page_size.checked_sub(usize::from(*bytes.get(20)?))?;
        (page_size >= 512 && usable >= 480).then_some(Database {
            bytes,
            page_size,
            usable,
            steps: 0,
        })
    }

    /// Calls `each` with the values of each row of a table. Returns none if the database is damaged, or has no such table.
    pub(super) fn rows(&mut self, table: &str, mut each: impl FnMut(&[Value<'_>])) -> Option<()> {
        let mut root = None;
        self.walk(1, 0, &mut |row| {
            // type, name, the table's name, the first page, the statement
            if let [
                Value::Bytes(b"table"),
                Value::Bytes(name),
                _,
                Value::Number(page),
                ..,
            ] = row
                && *name == table.as_bytes()
            {
                root = u32::try_from(*page).ok();
            }
        })?;
        self.walk(root?, 0, &mut each)
    }

    fn walk(&mut self, page: u32, depth: usize, each: &mut dyn FnMut(&[Value<'_>])) -> Option<()> {
        self.step()?;
        if depth > MAX_DEPTH {
            return None;
        }
        let content = self.page(page)?;
        // The first page begins with the header of the database.
        let start = if page == 1 { 100 } else { 0 };
        let kind = *content.get(start)?;
        let count = usize::from(be16(content, start + 3)?);
        let cells = match kind {
            0x0d => start + 8,
            0x05 => start + 12,
            _ => return None,
        };
        for at in 0..count {
            let cell = content.get(usize::from(be16(content, cells + at * 2)?)..)?;
            if kind == 0x05 {
                self.walk(be32(cell, 0)?, depth + 1, each)?;
                continue;
            }
            let (length, rest) = varint(cell)?;
            let (_, rest) = varint(rest)?;
            let payload = self.payload(length, rest)?;
            each(&values(&payload)?);
        }
        if kind == 0x05 {
            self.walk(be32(content, start + 8)?, depth + 1, each)?;
        }
        Some(())
    }

    fn step(&mut self) -> Option<()> {
        self.steps += 1;
        (self.steps <= MAX_STEPS).then_some(())
    }

    fn page(&self, page: u32) -> Option<&'b [u8]> {
        let at = (page as usize)
            .checked_sub(1)?
            .checked_mul(self.page_size)?;
        self.bytes.get(at..at.checked_add(self.page_size)?)
    }

    /// The content of a row: what does not fit into its page is in a chain of others.
    fn payload(&mut self, length: u64, rest: &[u8]) -> Option<Vec<u8>> {
        if length > MAX_ROW {
            return None;
        }
        let (length, usable) = (length as usize, self.usable);
        let most = usable - 35;
        if length <= most {
            return rest.get(..length).map(<[u8]>::to_vec);
        }
        let least = (usable - 12) * 32 / 255 - 23;
        let local = least + (length - least) % (usable - 4);
        let local = if local <= most { local } else { least };
        let mut out = rest.get(..local)?.to_vec();
        let mut next = be32(rest, local)?;
        while out.len() < length {
            self.step()?;
            let page = self.page(next)?;
            let count = (length - out.len()).min(usable - 4);
            out.extend_from_slice(page.get(4..4 + count)?);
            next = be32(page, 0)?;
        }
        Some(out)
    }
}

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    let part = bytes.get(at..at.checked_add(2)?)?;
    Some(u16::from_be_bytes(part.try_into().ok()?))
}

/// A number of one to nine bytes, and the rest.
fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut number = 0u64;
    for at in 0..9 {
        let byte = *bytes.get(at)?;
        if at == 8 {
            return Some((number << 8 | u64::from(byte), bytes.get(9..)?));
        }
        number = number << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some((number, bytes.get(at + 1..)?));
        }
    }
    None
}

/// The values of a row: first their types, then their content.
fn values(payload: &[u8]) -> Option<Vec<Value<'_>>> {
    let (length, rest) = varint(payload)?;
    let used = payload.len() - rest.len();
    let mut types = rest.get(..usize::try_from(length).ok()?.checked_sub(used)?)?;
    let mut content = payload.get(usize::try_from(length).ok()?..)?;
    let mut out = Vec::new();
    while !types.is_empty() {
        let (kind, others) = varint(types)?;
        types = others;
        let size = match kind {
            0 | 8 | 9 => 0,
            1..=4 => kind,
            5 => 6,
            6 | 7 => 8,
            10 | 11 => return None,
            kind => (kind - 12) / 2,
        };
        let (value, others) = content.split_at_checked(usize::try_from(size).ok()?)?;
        content = others;
        out.push(match kind {
            1..=6 => {
                let first = value
                    .first()
                    .map_or(0, |byte| i64::from(byte.cast_signed()));
                let others = value.iter().skip(1);
                Value::Number(others.fold(first, |sum, byte| sum << 8 | i64::from(*byte)))
            }
            8 => Value::Number(0),
            9 => Value::Number(1),
            0 | 7 => Value::Other,
            _ => Value::Bytes(value),
        });
    }
    Some(out)
}
