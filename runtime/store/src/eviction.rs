//! The size bound of caching tables: what was stored longest ago goes first.
//!
//! The sweeping thread adds up a table's records, with an even sample of them in memory, and reads off
//! the sample up to which version records must go for a tenth of the bound to be free again.

use std::ops::Bound;

use kora_resource::{Error, Result, Version};

use crate::keys::{Key, after_prefix};
use crate::layout::{Header, record_key};
use crate::{ByteSize, StoreError, Table};

/// How many records one read transaction looks at.
const BATCH: usize = 1000;
/// How many records the sample holds at most.
const SAMPLE: usize = 16_384;

/// The version up to which records must go; `None` while the table is within its bound.
pub(crate) fn crowded_out(
    table: &Table,
    bound: ByteSize,
    stopped: impl Fn() -> bool,
) -> Result<Option<Version>> {
    let mut sizes = Sizes { total: 0, sample: Vec::new(), stride: 1, seen: 0 };
    let mut after: Option<Key> = None;
    while !stopped() {
        match add_batch(table, after.as_ref(), &mut sizes)? {
            Some(last) => after = Some(last),
            None => return Ok(sizes.cutoff(bound)),
        }
    }
    Ok(None)
}

/// The sizes of a table's records.
struct Sizes {
    total: usize,
    /// Each `stride`th record.
    sample: Vec<(Version, usize)>,
    stride: usize,
    seen: usize,
}

impl Sizes {
    fn add(&mut self, version: Version, size: usize) {
        self.total += size;
        if self.seen.is_multiple_of(self.stride) {
            if self.sample.len() == SAMPLE {
                let mut index = 0;
                self.sample.retain(|_| {
                    index += 1;
                    index % 2 == 1
                });
                self.stride *= 2;
            }
            self.sample.push((version, size));
        }
        self.seen += 1;
    }

    fn cutoff(mut self, bound: ByteSize) -> Option<Version> {
        if self.total <= bound.0 {
            return None;
        }
        let sampled: usize = self.sample.iter().map(|(_, size)| size).sum();
        // As large a part of the sample as must go of the whole.
        let surplus = (self.total - bound.0 / 10 * 9) as f64 / self.total as f64;
        let wanted = (sampled as f64 * surplus) as usize;
        self.sample.sort_unstable_by(|(a, _), (b, _)| a.0.total_cmp(&b.0));
        let mut freed = 0;
        self.sample.into_iter().find_map(|(version, size)| {
            freed += size;
            (freed >= wanted).then_some(version)
        })
    }
}

/// Adds the next records; the last key if there may be more.
fn add_batch(table: &Table, after: Option<&Key>, sizes: &mut Sizes) -> Result<Option<Key>> {
    let start = record_key(table.id(), &[]);
    let end = after_prefix(&start);
    let low = match after {
        Some(after) => Bound::Excluded(&after[..]),
        None => Bound::Included(&start[..]),
    };
    let high = end.as_ref().map_or(Bound::Unbounded, |end| Bound::Excluded(&end[..]));
    table.owner().environment().read(|txn, trees| {
        let range = trees.records.range(txn, &(low, high)).map_err(StoreError::from)?;
        for (count, stored) in range.enumerate() {
            let (key, bytes) = stored.map_err(StoreError::from)?;
            let header = Header::read(bytes).ok_or_else(|| Error::internal("damaged record"))?;
            sizes.add(header.version, key.len() + bytes.len());
            if count + 1 == BATCH {
                return Ok(Some(Key::from_slice(key)));
            }
        }
        Ok(None)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_go_until_a_tenth_is_free() {
        for count in [100, 100_000] {
            let mut sizes = Sizes { total: 0, sample: Vec::new(), stride: 1, seen: 0 };
            // In no order of age.
            for n in 0..count {
                sizes.add(Version(((n * 7919) % count) as f64), 100);
            }
            assert!(sizes.sample.len() <= SAMPLE);
            let cutoff = sizes.cutoff(ByteSize(count * 50)).expect("too much");
            let kept = (count as f64 - cutoff.0) / count as f64;
            assert!((0.43..0.47).contains(&kept), "{kept} of {count}");
        }
        let sizes = Sizes { total: 10, sample: vec![(Version(1.0), 10)], stride: 1, seen: 1 };
        assert_eq!(sizes.cutoff(ByteSize(10)), None);
    }
}
