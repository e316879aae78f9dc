//! The partitions of a disk: MBR and GPT.

use crate::image::disk::Bytes;
use crate::image::{le32, le64};

/// The most entries of a GPT that are read. The standard has 128.
const MAX_ENTRIES: u64 = 1024;

/// Returns where partitions begin, and their lengths, in bytes, in the order of the table. A disk without a table is one
/// partition.
///
/// # Errors
/// If the disk is too short for what its table says, or the table is damaged.
pub(super) fn find_partitions(disk: &mut dyn Bytes) -> Result<Vec<(u64, u64)>, String> {
    let whole = vec![(0, disk.len())];
    let mut sector = [0; 512];
    if disk.len() < 512 {
        return Ok(whole);
    }
    disk.read_at(0, &mut sector)?;
    if sector.get(510..) != Some(&[0x55, 0xaa]) {
        return Ok(whole);
    }
    let entries = (0..4).filter_map(|at| sector.get(446 + at * 16..462 + at * 16));
    let entries: Vec<&[u8]> = entries.collect();
    let kind = |entry: &&[u8]| entry.get(4).copied().unwrap_or_default();
    if entries.iter().any(|entry| kind(entry) == 0xee) {
        return gpt(disk);
    }
    let mut out = Vec::new();
    for entry in entries.iter().filter(|entry| kind(entry) != 0) {
        let start = u64::from(le32(entry, 8).unwrap_or_default()) * 512;
        let length = u64::from(le32(entry, 12).unwrap_or_default()) * 512;
        add(&mut out, disk.len(), start, length)?;
    }
    // The first sector of a file system can look like a table without entries.
    Ok(if out.is_empty() { whole } else { out })
}

fn add(out: &mut Vec<(u64, u64)>, end: u64, start: u64, length: u64) -> Result<(), String> {
    if start.checked_add(length).is_none_or(|last| last > end) {
        return Err("a partition ends after the disk: the file is cut off".to_owned());
    }
    out.push((start, length));
    Ok(())
}

fn gpt(disk: &mut dyn Bytes) -> Result<Vec<(u64, u64)>, String> {
    for sector in [512, 4096] {
        let mut header = [0; 92];
        disk.read_at(sector, &mut header)?;
        if !header.starts_with(b"EFI PART") {
            continue;
        }
        let table = le64(&header, 72).unwrap_or_default();
        let count = u64::from(le32(&header, 80).unwrap_or_default());
        let size = u64::from(le32(&header, 84).unwrap_or_default());
        if count > MAX_ENTRIES || !(128..=4096).contains(&size) {
            return Err("the partition table is damaged".to_owned());
        }
        let mut out = Vec::new();
        let mut entry = vec![0; 128];
        for at in 0..count {
            let place = table.saturating_mul(sector).saturating_add(at * size);
            disk.read_at(place, &mut entry)?;
            if entry.iter().take(16).all(|byte| *byte == 0) {
                continue;
            }
            let first = le64(&entry, 32).unwrap_or_default();
            let last = le64(&entry, 40).unwrap_or_default();
            let count = last.saturating_sub(first).saturating_add(1);
            let (start, length) = (first.saturating_mul(sector), count.saturating_mul(sector));
            add(&mut out, disk.len(), start, length)?;
        }
        return Ok(out);
    }
    Err("the partition table is damaged".to_owned())
}
