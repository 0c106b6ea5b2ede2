//! Values of the data model to JavaScript and back.
//!
//! Not by `serde_v8`, which knows no dates, no exact big integers and no `toJSON`: what a class returns
//! must become exactly what `JSON.stringify` would show, with bytes, dates and big integers typed.

use bytes::Bytes;
use deno_core::{ToV8, v8};
use kora_resource::{Error, Id, Map, Record, Value, VerbSet};

use crate::ops::calls::kind_of;

/// How deep a value may nest. Deeper ones are cycles, or would overflow a stack somewhere later.
const MAX_DEPTH: usize = 128;

/// Why a JavaScript value is not a value of the data model.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConvertError {
    #[error("the value is nested more than {MAX_DEPTH} levels deep, or contains itself")]
    TooDeep,
    #[error("a BigInt is outside of 128 bits")]
    TooBig,
    #[error("a property of the value can't be read")]
    Unreadable,
    /// A getter, `toJSON` or a proxy threw: what it threw, as if the component had thrown it itself.
    #[error("{}", .0.message)]
    Threw(Box<Error>),
    #[error("not a usable primary key: a string, number, BigInt or an array of these is expected")]
    NotAnId,
    #[error("an object is expected")]
    NotAnObject,
}

/// A value on its way from an op into JavaScript.
pub(crate) struct JsValue(pub(crate) Value);

impl<'a> ToV8<'a> for JsValue {
    type Error = std::convert::Infallible;

    fn to_v8<'i>(
        self,
        scope: &mut v8::PinScope<'a, 'i>,
    ) -> Result<v8::Local<'a, v8::Value>, Self::Error> {
        Ok(to_v8(scope, &self.0))
    }
}

/// The JavaScript value for `value`.
pub(crate) fn to_v8<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    value: &Value,
) -> v8::Local<'s, v8::Value> {
    match value {
        Value::Null => v8::null(scope).into(),
        Value::Bool(b) => v8::Boolean::new(scope, *b).into(),
        Value::Int(n) => match i32::try_from(*n) {
            Ok(small) => v8::Integer::new(scope, small).into(),
            Err(_) => v8::Number::new(scope, *n as f64).into(),
        },
        Value::Float(n) => v8::Number::new(scope, *n).into(),
        Value::BigInt(n) => big_int(scope, *n),
        Value::String(s) => string(scope, s).into(),
        Value::Bytes(bytes) => bytes_to_v8(scope, bytes),
        Value::Date(ms) => match v8::Date::new(scope, *ms) {
            Some(date) => date.into(),
            None => v8::null(scope).into(),
        },
        Value::Blob(blob) => crate::blobs::to_v8(scope, blob),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(|item| to_v8(scope, item)).collect();
            v8::Array::new_with_elements(scope, &items).into()
        }
        Value::Object(map) => {
            let object = v8::Object::new(scope);
            fill(scope, object, map);
            object.into()
        }
    }
}

/// Gives `object` the properties of `map`.
fn fill<'s>(scope: &mut v8::PinScope<'s, '_>, object: v8::Local<'s, v8::Object>, map: &Map) {
    for (name, value) in map {
        let value = to_v8(scope, value);
        let name = key(scope, name);
        object.create_data_property(scope, name, value);
    }
}

/// Gives `object` the properties of `record`, as `tables.X.get` hands it out.
pub(crate) fn fill_record<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    object: v8::Local<'s, v8::Object>,
    record: &Record,
) -> kora_resource::Result<()> {
    fill(scope, object, &record.to_map()?);
    Ok(())
}

/// The JavaScript value for an id.
pub(crate) fn id_to_v8<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    id: Option<&Id>,
) -> v8::Local<'s, v8::Value> {
    match id {
        None | Some(Id::Null) => v8::null(scope).into(),
        Some(Id::String(text)) => string(scope, text).into(),
        Some(id) => to_v8(scope, &id.to_value()),
    }
}

/// An id that a class handed over; `None` for `null` and `undefined`.
pub(crate) fn id_from_v8(
    scope: &mut v8::PinScope<'_, '_>,
    value: v8::Local<'_, v8::Value>,
) -> Result<Option<Id>, ConvertError> {
    if value.is_null_or_undefined() {
        return Ok(None);
    }
    let value = from_v8(scope, value)?.ok_or(ConvertError::NotAnId)?;
    Id::from_value(&value).map(Some).ok_or(ConvertError::NotAnId)
}

/// The properties of a JavaScript object.
pub(crate) fn map_from_v8(
    scope: &mut v8::PinScope<'_, '_>,
    value: v8::Local<'_, v8::Value>,
) -> Result<Map, ConvertError> {
    from_v8(scope, value)?.and_then(Value::into_object).ok_or(ConvertError::NotAnObject)
}

/// The value of the data model for a JavaScript value; `None` for `undefined` and functions, which
/// JSON leaves out.
pub(crate) fn from_v8(
    scope: &mut v8::PinScope<'_, '_>,
    value: v8::Local<'_, v8::Value>,
) -> Result<Option<Value>, ConvertError> {
    v8::tc_scope!(let scope, scope);
    convert(scope, value, 0).map_err(|error| match scope.exception() {
        Some(exception) => ConvertError::Threw(Box::new(thrown(scope, exception))),
        None => error,
    })
}

/// What code threw, read as `failure` of `harperdb/errors.ts` does; here because an op can raise one
/// error only, its own.
fn thrown(scope: &mut v8::PinScope<'_, '_>, exception: v8::Local<'_, v8::Value>) -> Error {
    let object = v8::Local::<v8::Object>::try_from(exception).ok();
    let mut property = |name: &str| {
        let name = key(scope, name);
        let value = object?.get(scope, name.into())?;
        (!value.is_null_or_undefined()).then(|| value.to_rust_string_lossy(scope))
    };
    let status = property("statusCode").and_then(|status| status.parse().ok()).unwrap_or(500);
    let (message, name, stack) = (property("message"), property("name"), property("stack"));
    let code = property("code").or(name);
    let message = message.unwrap_or_else(|| exception.to_rust_string_lossy(scope));
    let mut error = Error::new(kind_of(status, VerbSet::default()), message);
    if let Some(code) = code {
        error.code = code;
    }
    error.stack = stack;
    error
}

fn convert(
    scope: &mut v8::PinScope<'_, '_>,
    value: v8::Local<'_, v8::Value>,
    depth: usize,
) -> Result<Option<Value>, ConvertError> {
    if depth > MAX_DEPTH {
        return Err(ConvertError::TooDeep);
    }
    Ok(Some(if value.is_string() {
        Value::String(value.to_rust_string_lossy(scope))
    } else if value.is_int32() {
        Value::Int(value.int32_value(scope).unwrap_or_default().into())
    } else if value.is_number() {
        Value::number(value.number_value(scope).unwrap_or(f64::NAN))
    } else if value.is_null() {
        Value::Null
    } else if value.is_boolean() {
        Value::Bool(value.is_true())
    } else if value.is_undefined() || value.is_function() || value.is_symbol() {
        return Ok(None);
    } else if let Ok(n) = v8::Local::<v8::BigInt>::try_from(value) {
        Value::integer(big_int_value(n)?)
    } else if let Ok(date) = v8::Local::<v8::Date>::try_from(value) {
        Value::Date(date.value_of())
    } else if let Some(bytes) = bytes_of(value) {
        Value::Bytes(bytes)
    } else if let Ok(array) = v8::Local::<v8::Array>::try_from(value) {
        let mut items = Vec::with_capacity(array.length() as usize);
        for index in 0..array.length() {
            let item = array.get_index(scope, index).ok_or(ConvertError::Unreadable)?;
            // As in JSON, a hole or a function in an array is null.
            items.push(convert(scope, item, depth + 1)?.unwrap_or_default());
        }
        Value::Array(items)
    } else if let Ok(object) = v8::Local::<v8::Object>::try_from(value) {
        return convert_object(scope, object, depth);
    } else {
        return Ok(None);
    }))
}

fn convert_object(
    scope: &mut v8::PinScope<'_, '_>,
    object: v8::Local<'_, v8::Object>,
    depth: usize,
) -> Result<Option<Value>, ConvertError> {
    if let Some(blob) = crate::blobs::from_v8(scope, object) {
        return Ok(Some(blob.into()));
    }
    let to_json = key(scope, "toJSON");
    let to_json = object.get(scope, to_json.into()).ok_or(ConvertError::Unreadable)?;
    if let Ok(to_json) = v8::Local::<v8::Function>::try_from(to_json) {
        let shown = to_json.call(scope, object.into(), &[]).ok_or(ConvertError::Unreadable)?;
        if shown != object {
            return convert(scope, shown, depth + 1);
        }
    }
    let names = object
        .get_own_property_names(
            scope,
            v8::GetPropertyNamesArgs {
                mode: v8::KeyCollectionMode::OwnOnly,
                property_filter: v8::PropertyFilter::ONLY_ENUMERABLE
                    | v8::PropertyFilter::SKIP_SYMBOLS,
                index_filter: v8::IndexFilter::IncludeIndices,
                key_conversion: v8::KeyConversionMode::ConvertToString,
            },
        )
        .ok_or(ConvertError::Unreadable)?;
    let mut map = Map::with_capacity(names.length() as usize);
    for index in 0..names.length() {
        let name = names.get_index(scope, index).ok_or(ConvertError::Unreadable)?;
        let value = object.get(scope, name).ok_or(ConvertError::Unreadable)?;
        if let Some(value) = convert(scope, value, depth + 1)? {
            map.insert(name.to_rust_string_lossy(scope), value);
        }
    }
    Ok(Some(Value::Object(map)))
}

/// The bytes of an `ArrayBuffer` or of a view of one, copied.
fn bytes_of(value: v8::Local<'_, v8::Value>) -> Option<Bytes> {
    if let Ok(view) = v8::Local::<v8::ArrayBufferView>::try_from(value) {
        let mut copy = vec![0; view.byte_length()];
        let copied = view.copy_contents(&mut copy);
        copy.truncate(copied);
        return Some(copy.into());
    }
    let buffer = v8::Local::<v8::ArrayBuffer>::try_from(value).ok()?;
    let store = buffer.get_backing_store();
    Some(store.iter().map(std::cell::Cell::get).collect::<Vec<u8>>().into())
}

fn bytes_to_v8<'s>(scope: &mut v8::PinScope<'s, '_>, bytes: &Bytes) -> v8::Local<'s, v8::Value> {
    let store = v8::ArrayBuffer::new_backing_store_from_vec(bytes.to_vec()).make_shared();
    let buffer = v8::ArrayBuffer::with_backing_store(scope, &store);
    match v8::Uint8Array::new(scope, buffer, 0, bytes.len()) {
        Some(array) => array.into(),
        None => buffer.into(),
    }
}

fn big_int<'s>(scope: &mut v8::PinScope<'s, '_>, n: i128) -> v8::Local<'s, v8::Value> {
    let magnitude = n.unsigned_abs();
    let words = [magnitude as u64, (magnitude >> 64) as u64];
    match v8::BigInt::new_from_words(scope, n < 0, &words) {
        Some(n) => n.into(),
        None => v8::null(scope).into(),
    }
}

fn big_int_value(n: v8::Local<'_, v8::BigInt>) -> Result<i128, ConvertError> {
    let mut words = [0_u64; 2];
    if n.word_count() > words.len() {
        return Err(ConvertError::TooBig);
    }
    let (negative, words) = n.to_words_array(&mut words);
    let magnitude =
        words.iter().rev().fold(0_u128, |magnitude, word| magnitude << 64 | u128::from(*word));
    let magnitude = i128::try_from(magnitude).map_err(|_| ConvertError::TooBig)?;
    Ok(if negative { -magnitude } else { magnitude })
}

/// A string value. A text longer than the engine's limit becomes empty.
pub(crate) fn string<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    text: &str,
) -> v8::Local<'s, v8::String> {
    match v8::String::new(scope, text) {
        Some(text) => text,
        None => v8::String::empty(scope),
    }
}

/// A string, or `undefined`.
pub(crate) fn optional_string<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    text: Option<&str>,
) -> v8::Local<'s, v8::Value> {
    match text {
        Some(text) => string(scope, text).into(),
        None => v8::undefined(scope).into(),
    }
}

/// A property name: internalised, so that objects of one shape share it.
pub(crate) fn key<'s>(scope: &mut v8::PinScope<'s, '_>, name: &str) -> v8::Local<'s, v8::Name> {
    match v8::String::new_from_utf8(scope, name.as_bytes(), v8::NewStringType::Internalized) {
        Some(name) => name.into(),
        None => v8::String::empty(scope).into(),
    }
}
