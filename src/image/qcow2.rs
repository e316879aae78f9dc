//! Disks in the format qcow2 (QEMU: `docs/interop/qcow2.rst`), read only. A backing file is never opened: its name can be any
//! file of the machine.

use crate::image::disk::Bytes;
use crate::image::{be32, be64};
use miniz_oxide::inflate::decompress_to_vec_with_limit;
use std::collections::VecDeque;

/// A qcow2 disk.
pub(super) struct Qcow2 {
    file: Box<dyn Bytes>,
    cluster_bits: u32,
    size: u64,
    /// The places of the tables of the second level.
    first: Vec<u64>,
    /// Some tables of the second level, the one that was used last at the end.
    second: VecDeque<(u64, Vec<u8>)>,
    /// The compressed cluster that was read last.
    unpacked: Option<(u64, Vec<u8>)>,
}

/// How many tables of the second level are kept: 32 MiB with the largest clusters.
const KEPT: usize = 16;

/// The most entries of the first table: a disk of 2 TiB with the smallest clusters has 64 Mi.
const MAX_FIRST: u64 = 4 << 20;

const PLACE: u64 = 0x00ff_ffff_ffff_fe00;

impl Qcow2 {
    /// Reads the header and the first table.
    ///
    /// # Errors
    /// If the disk is damaged, or needs what is not read: a backing file, encryption, an external data file.
    pub(super) fn new(mut file: Box<dyn Bytes>) -> Result<Qcow2, String> {
        let damaged = || "the header of the qcow2 disk is damaged".to_owned();
        let mut header = [0; 112];
        // A header of version 2 is shorter, but data follow it.
        file.read_at(0, &mut header)?;
        let (short, long) = (
            |at| be32(&header, at).unwrap_or_default(),
            |at| be64(&header, at).unwrap_or_default(),
        );
        let version = short(4);
        if !(2..=3).contains(&version) {
            return Err(format!(
                "it is a qcow2 disk of the unknown version {version}"
            ));
        }
        let refuse = |what: &str| {
            Err(format!(
                "the qcow2 disk has {what}, which imgspec does not read: copy it with `qemu-img convert -O qcow2`"
            ))
        };
        if long(8) != 0 {
            return refuse("a backing file");
        }
        if short(32) != 0 {
            return refuse("encryption");
        }
        let features = if version == 3 { long(72) } else { 0 };
        // Bit 0 says that the counters of references are wrong, which nobody needs to read.
        if features & 1 << 2 != 0 {
            return refuse("an external data file");
        }
        if features & 1 << 3 != 0 && header.get(104) == Some(&1) {
            return refuse("compression with zstd");
        }
        if features & 1 << 4 != 0 {
            return refuse("subclusters");
        }
        if features & !0b1001 != 0 {
            return Err("the qcow2 disk is marked as damaged, or has unknown features".to_owned());
        }
        let (cluster_bits, size) = (short(20), long(24));
        let (count, place) = (u64::from(short(36)), long(40));
        if !(9..=21).contains(&cluster_bits) || size > 1 << 46 || count > MAX_FIRST {
            return Err(damaged());
        }
        let needed = size.div_ceil(1 << (2 * cluster_bits - 3));
        if count < needed {
            return Err(damaged());
        }
        if place
            .checked_add(count * 8)
            .is_none_or(|end| end > file.len())
        {
            return Err("the file ends too early: it is cut off".to_owned());
        }
        let mut table = vec![0; usize::try_from(needed * 8).map_err(|_| damaged())?];
        file.read_at(place, &mut table)?;
        let first = table
            .chunks_exact(8)
            .map(|entry| be64(entry, 0).unwrap_or_default() & PLACE);
        Ok(Qcow2 {
            first: first.collect(),
            file,
            cluster_bits,
            size,
            second: VecDeque::new(),
            unpacked: None,
        })
    }

    /// Returns the entry of the second table for a cluster; 0 for one that nobody has written.
    fn entry(&mut self, cluster: u64) -> Result<u64, String> {
        let bits = self.cluster_bits - 3;
        let first = usize::try_from(cluster >> bits).unwrap_or(usize::MAX);
        let place = self.first.get(first).copied().unwrap_or_default();
        if place == 0 {
            return Ok(0);
        }
        let at = ((cluster & ((1 << bits) - 1)) * 8) as usize;
        match self.second.iter().position(|(known, _)| *known == place) {
            Some(known) => {
                if let Some(table) = self.second.remove(known) {
                    self.second.push_back(table);
                }
            }
            None => {
                let mut table = vec![0; 1 << self.cluster_bits];
                self.file.read_at(place, &mut table)?;
                if self.second.len() >= KEPT {
                    self.second.pop_front();
                }
                self.second.push_back((place, table));
            }
        }
        let table = self.second.back().map(|(_, table)| &table[..]);
        Ok(table.and_then(|table| be64(table, at)).unwrap_or_default())
    }

    /// Unpacks a compressed cluster.
    fn unpack(&mut self, entry: u64) -> Result<&[u8], String> {
        if self
            .unpacked
            .as_ref()
            .is_none_or(|(known, _)| *known != entry)
        {
            let bits = 62 - (self.cluster_bits - 8);
            let place = entry & ((1 << bits) - 1);
            let sectors = (entry & 0x3fff_ffff_ffff_ffff) >> bits;
            let length = (sectors + 1) * 512 - place % 512;
            // The last cluster of a file can end before its last sector does.
            let length = length.min(self.file.len().saturating_sub(place));
            let length = length.min(2 << self.cluster_bits);
            let mut packed = vec![0; length as usize];
            self.file.read_at(place, &mut packed)?;
            let limit = 1 << self.cluster_bits;
            let mut cluster = decompress_to_vec_with_limit(&packed, limit)
                .or_else(|error| {
                    // The cluster is there, and what follows it is not its own.
                    let is_whole = error.output.len() == limit;
                    if is_whole { Ok(error.output) } else { Err(()) }
                })
                .map_err(|()| "a compressed cluster of the qcow2 disk is damaged".to_owned())?;
            cluster.resize(limit, 0);
            self.unpacked = Some((entry, cluster));
        }
        Ok(self.unpacked.as_ref().map_or(&[], |(_, cluster)| cluster))
    }
}

impl Bytes for Qcow2 {
    fn len(&self) -> u64 {
        self.size
    }

    fn read_at(&mut self, at: u64, buffer: &mut [u8]) -> Result<(), String> {
        let end = at.checked_add(buffer.len() as u64);
        if end.is_none_or(|end| end > self.size) {
            return Err("a place after the end of the disk".to_owned());
        }
        let size = 1u64 << self.cluster_bits;
        let (mut at, mut rest) = (at, buffer);
        while !rest.is_empty() {
            let inside = at % size;
            let count = (size - inside).min(rest.len() as u64) as usize;
            let (part, others) = rest.split_at_mut(count);
            let entry = self.entry(at / size)?;
            if entry & 1 << 62 != 0 {
                let cluster = self.unpack(entry)?;
                let from = inside as usize;
                let found = cluster.get(from..from + count).unwrap_or_default();
                part.copy_from_slice(found);
            } else if entry & PLACE == 0 || entry & 1 != 0 {
                part.fill(0);
            } else {
                self.file.read_at((entry & PLACE) + inside, part)?;
            }
            at += count as u64;
            rest = others;
        }
        Ok(())
    }
}
