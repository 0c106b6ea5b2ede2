//! MessagePack one token at a time, borrowed from the input: what decoding, JSON transcoding and
//! filters on undecoded records share.

use rmp::Marker;

use super::{
    EXT_BIG_INT, EXT_BIG_INT_PACKR, EXT_BLOB, EXT_DATE, EXT_TIMESTAMP, EXT_UNDEFINED, MsgpackError,
};

/// The head of a container, or a whole scalar.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Token<'a> {
    Nil,
    Bool(bool),
    Int(i64),
    /// Only what does not fit [`Token::Int`].
    UInt(u64),
    Float(f64),
    Date(f64),
    BigInt(i128),
    Str(&'a str),
    Bin(&'a [u8]),
    Blob(&'a [u8]),
    /// That many values follow.
    Array(usize),
    /// That many pairs of name and value follow.
    Map(usize),
}

/// The most elements that a container's head alone reserves memory for.
pub(in crate::value) const MAX_RESERVED: usize = 64;

/// A cursor over MessagePack bytes.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    origin: Origin,
}

/// Who wrote the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    Stored,
    /// A client, who must not name files of the store: no blobs.
    Foreign,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { bytes, at: 0, origin: Origin::Stored }
    }

    /// Over bytes that came from outside.
    pub(crate) fn foreign(bytes: &'a [u8]) -> Reader<'a> {
        Reader { bytes, at: 0, origin: Origin::Foreign }
    }

    /// How many bytes are left.
    pub(crate) fn rest(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// How many elements of a container to reserve memory for. What the input can hold is no bound
    /// where containers nest: each of them could claim all of the rest.
    pub(crate) fn reserved(&self, len: usize) -> usize {
        len.min(self.rest()).min(MAX_RESERVED)
    }

    #[inline]
    pub(crate) fn next(&mut self) -> Result<Token<'a>, MsgpackError> {
        let [head] = self.array::<1>()?;
        Ok(match Marker::from_u8(head) {
            Marker::FixPos(n) => Token::Int(n.into()),
            Marker::FixNeg(n) => Token::Int(n.into()),
            Marker::Null => Token::Nil,
            Marker::Reserved => return Err(MsgpackError::Reserved(self.at - 1)),
            Marker::False => Token::Bool(false),
            Marker::True => Token::Bool(true),
            Marker::U8 => Token::Int(self.array::<1>()?[0].into()),
            Marker::U16 => Token::Int(u16::from_be_bytes(self.array()?).into()),
            Marker::U32 => Token::Int(u32::from_be_bytes(self.array()?).into()),
            Marker::U64 => {
                let n = u64::from_be_bytes(self.array()?);
                i64::try_from(n).map_or(Token::UInt(n), Token::Int)
            }
            Marker::I8 => Token::Int(i8::from_be_bytes(self.array()?).into()),
            Marker::I16 => Token::Int(i16::from_be_bytes(self.array()?).into()),
            Marker::I32 => Token::Int(i32::from_be_bytes(self.array()?).into()),
            Marker::I64 => Token::Int(i64::from_be_bytes(self.array()?)),
            Marker::F32 => Token::Float(f32::from_be_bytes(self.array()?).into()),
            Marker::F64 => Token::Float(f64::from_be_bytes(self.array()?)),
            Marker::FixStr(len) => self.text(len.into())?,
            Marker::Str8 => {
                let len = self.len8()?;
                self.text(len)?
            }
            Marker::Str16 => {
                let len = self.len16()?;
                self.text(len)?
            }
            Marker::Str32 => {
                let len = self.len32()?;
                self.text(len)?
            }
            Marker::Bin8 => {
                let len = self.len8()?;
                Token::Bin(self.take(len)?)
            }
            Marker::Bin16 => {
                let len = self.len16()?;
                Token::Bin(self.take(len)?)
            }
            Marker::Bin32 => {
                let len = self.len32()?;
                Token::Bin(self.take(len)?)
            }
            Marker::FixArray(len) => Token::Array(len.into()),
            Marker::Array16 => Token::Array(self.len16()?),
            Marker::Array32 => Token::Array(self.len32()?),
            Marker::FixMap(len) => Token::Map(len.into()),
            Marker::Map16 => Token::Map(self.len16()?),
            Marker::Map32 => Token::Map(self.len32()?),
            Marker::FixExt1 => self.extension(1)?,
            Marker::FixExt2 => self.extension(2)?,
            Marker::FixExt4 => self.extension(4)?,
            Marker::FixExt8 => self.extension(8)?,
            Marker::FixExt16 => self.extension(16)?,
            Marker::Ext8 => {
                let len = self.len8()?;
                self.extension(len)?
            }
            Marker::Ext16 => {
                let len = self.len16()?;
                self.extension(len)?
            }
            Marker::Ext32 => {
                let len = self.len32()?;
                self.extension(len)?
            }
        })
    }

    /// The name of a map's next pair.
    #[inline]
    pub(crate) fn name(&mut self) -> Result<&'a str, MsgpackError> {
        match self.next()? {
            Token::Str(name) => Ok(name),
            _ => Err(MsgpackError::NameNotText),
        }
    }

    /// Passes over one whole value, however deep, without recursion.
    pub(crate) fn skip(&mut self) -> Result<(), MsgpackError> {
        let mut pending: usize = 1;
        while pending > 0 {
            pending -= 1;
            pending = match self.next()? {
                Token::Array(len) => pending.saturating_add(len),
                Token::Map(len) => pending.saturating_add(len.saturating_mul(2)),
                _ => pending,
            };
        }
        Ok(())
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], MsgpackError> {
        let taken = self.bytes[self.at..].get(..len).ok_or(MsgpackError::Truncated)?;
        self.at += len;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], MsgpackError> {
        let taken = self.bytes[self.at..].first_chunk().ok_or(MsgpackError::Truncated)?;
        self.at += N;
        Ok(*taken)
    }

    fn len8(&mut self) -> Result<usize, MsgpackError> {
        Ok(self.array::<1>()?[0].into())
    }

    fn len16(&mut self) -> Result<usize, MsgpackError> {
        Ok(u16::from_be_bytes(self.array()?).into())
    }

    fn len32(&mut self) -> Result<usize, MsgpackError> {
        usize::try_from(u32::from_be_bytes(self.array()?)).map_err(|_| MsgpackError::Truncated)
    }

    fn text(&mut self, len: usize) -> Result<Token<'a>, MsgpackError> {
        let text = std::str::from_utf8(self.take(len)?).map_err(|_| MsgpackError::NotUtf8)?;
        Ok(Token::Str(text))
    }

    fn extension(&mut self, len: usize) -> Result<Token<'a>, MsgpackError> {
        let kind = i8::from_be_bytes(self.array()?);
        let data = self.take(len)?;
        let token = match kind {
            EXT_DATE if self.origin == Origin::Stored => {
                data.try_into().ok().map(|data| Token::Date(f64::from_be_bytes(data)))
            }
            // Of any size, also such as fit a number: clients send extension 0x42.
            EXT_BIG_INT if self.origin == Origin::Stored => {
                data.try_into().ok().map(|data| Token::BigInt(i128::from_be_bytes(data)))
            }
            EXT_BLOB if self.origin == Origin::Stored => Some(Token::Blob(data)),
            EXT_TIMESTAMP => timestamp(data).map(Token::Date),
            EXT_UNDEFINED => Some(Token::Nil),
            EXT_BIG_INT_PACKR => big_int(data),
            _ => None,
        };
        token.ok_or(MsgpackError::UnknownExtension(kind))
    }
}

/// Two's complement of at most 128 bits, most significant byte first.
fn big_int(data: &[u8]) -> Option<Token<'_>> {
    let sign = if data.first()? & 0x80 == 0 { 0 } else { -1 };
    let n = data.iter().fold(sign, |n: i128, byte| n << 8 | i128::from(*byte));
    Some(i64::try_from(n).map_or(Token::BigInt(n), Token::Int)).filter(|_| data.len() <= 16)
}

/// MessagePack's own timestamp in its three lengths, as milliseconds; one byte is an invalid date.
fn timestamp(data: &[u8]) -> Option<f64> {
    let (seconds, nanos) = match data.len() {
        4 => (i64::from(u32::from_be_bytes(data.try_into().ok()?)), 0),
        8 => {
            let packed = u64::from_be_bytes(data.try_into().ok()?);
            // 30 bits of nanoseconds above 34 bits of seconds.
            ((packed & ((1 << 34) - 1)) as i64, (packed >> 34) as u32)
        }
        12 => {
            let (nanos, seconds) = data.split_at(4);
            let nanos = u32::from_be_bytes(nanos.try_into().ok()?);
            (i64::from_be_bytes(seconds.try_into().ok()?), nanos)
        }
        1 => return Some(f64::NAN),
        _ => return None,
    };
    Some(seconds as f64 * 1e3 + f64::from(nanos) / 1e6)
}
