//! The `ETag` of a record: its version in ten printable characters (`spec/harper-rest.md` section
//! 5.1), so that Harper's clients can read the time back out of it.

use hyper::header::HeaderValue;
use kora_resource::Version;

/// A quote, ten characters, a quote.
pub(crate) type Text = [u8; 12];

/// The tag of a version, quotes included.
pub(crate) fn encode(version: Version) -> Text {
    const OFFSET: u8 = 62;
    let b = version.0.to_le_bytes();
    let sextets = [
        b[0] & 63,
        (b[0] >> 6) + ((b[1] << 2) & 63),
        (b[1] >> 4) + ((b[2] << 4) & 63),
        b[2] >> 2,
        b[3] & 63,
        (b[3] >> 6) + ((b[4] << 2) & 63),
        (b[4] >> 4) + ((b[5] << 4) & 63),
        b[5] >> 2,
        b[6] & 63,
        (b[6] >> 6) + ((b[7] << 2) & 63),
    ];
    let mut text = [b'"'; 12];
    for (character, sextet) in text[1..11].iter_mut().zip(sextets) {
        *character = OFFSET + sextet;
    }
    text
}

/// The tag as a header's value.
pub(crate) fn header(text: &Text) -> HeaderValue {
    HeaderValue::from_bytes(text).expect("all characters of a tag are printable ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode(text: &Text) -> f64 {
        let v: Vec<u32> = text[1..11].iter().map(|c| u32::from(*c - 62)).collect();
        let mut bytes = [0u8; 8];
        bytes[0] = (v[0] | (v[1] & 3) << 6) as u8;
        bytes[1] = (v[1] >> 2 | (v[2] & 15) << 4) as u8;
        bytes[2] = (v[2] >> 4 | v[3] << 2) as u8;
        bytes[3] = (v[4] | (v[5] & 3) << 6) as u8;
        bytes[4] = (v[5] >> 2 | (v[6] & 15) << 4) as u8;
        bytes[5] = (v[6] >> 4 | v[7] << 2) as u8;
        bytes[6] = (v[8] | (v[9] & 3) << 6) as u8;
        // The sixty bits leave out the highest four, which are the same for every time.
        bytes[7] = 0x40 | (v[9] >> 2) as u8;
        f64::from_le_bytes(bytes)
    }

    #[test]
    fn the_highest_sextet_is_still_printable() {
        assert_eq!(&encode(Version(f64::from_bits(u64::MAX)))[1..10], [62 + 63; 9]);
    }

    proptest! {
        #[test]
        fn the_version_can_be_read_back(ms in 2.0..4e12f64) {
            let text = encode(Version(ms));
            prop_assert_eq!(decode(&text), ms);
            let header = header(&text);
            prop_assert_eq!(header.as_bytes(), &text);
        }
    }
}
