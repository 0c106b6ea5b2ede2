//! Numbers in keys: doubles and 128-bit integers in one exact order.

use kora_resource::Id;

use super::Key;

/// `floor + rest`, where `floor` is the largest double that is not above the number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Number {
    floor: f64,
    rest: u128,
}

/// From here on an `i128` can't hold a double.
const I128_BOUND: f64 = 170141183460469231731687303715884105728.0; // 2^127

impl Number {
    pub(super) fn from_double(n: f64) -> Number {
        // One zero, one NaN.
        let floor = if n == 0.0 { 0.0 } else { n };
        Number { floor, rest: 0 }
    }

    pub(super) fn from_integer(n: i128) -> Number {
        let mut floor = n as f64;
        // The cast rounds to nearest, perhaps upwards and then perhaps to 2^127.
        if floor >= I128_BOUND || floor as i128 > n {
            floor = floor.next_down();
        }
        Number { floor, rest: n.abs_diff(floor as i128) }
    }

    pub(super) fn write(self, key: &mut Key) {
        key.extend_from_slice(&ascending_bits(self.floor).to_be_bytes());
        let digits = self.rest.to_be_bytes();
        let skipped = self.rest.leading_zeros() as usize / 8;
        key.push((digits.len() - skipped) as u8);
        key.extend_from_slice(&digits[skipped..]);
    }

    pub(super) fn read(bytes: &mut &[u8]) -> Option<Number> {
        let (floor, after) = bytes.split_first_chunk::<8>()?;
        let (count, after) = after.split_first()?;
        let count = usize::from(*count);
        if count > 16 || after.len() < count {
            return None;
        }
        let (digits, after) = after.split_at(count);
        let rest = digits.iter().fold(0, |rest: u128, digit| rest << 8 | u128::from(*digit));
        *bytes = after;
        Some(Number { floor: from_ascending_bits(u64::from_be_bytes(*floor)), rest })
    }

    /// Integers past 2^53 are big integers, as in [`kora_resource::Value::integer`].
    pub(super) fn to_id(self) -> Id {
        let safe = kora_resource::value::MAX_SAFE_INTEGER as f64;
        if self.floor.abs() >= safe && self.floor.abs() < I128_BOUND {
            let n = (self.floor as i128).wrapping_add_unsigned(self.rest);
            if n.unsigned_abs() > safe as u128 {
                return Id::BigInt(n);
            }
        }
        Id::Number(self.floor)
    }
}

/// Bits that ascend as the doubles do; NaN before all of them, as `Value::key_cmp` has it.
fn ascending_bits(n: f64) -> u64 {
    let bits = n.to_bits();
    if n.is_nan() {
        0
    } else if bits >> 63 == 1 {
        !bits
    } else {
        bits | 1 << 63
    }
}

fn from_ascending_bits(bits: u64) -> f64 {
    if bits == 0 {
        f64::NAN
    } else if bits >> 63 == 1 {
        f64::from_bits(bits & !(1 << 63))
    } else {
        f64::from_bits(!bits)
    }
}
