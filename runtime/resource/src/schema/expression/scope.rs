//! Where the names of an expression are looked up, and how much its evaluation may still take.
//!
//! Expressions run where writes wait for them, on values that clients have sent: nested passes over a
//! long list, or a text that is repeated and replaced, must end at a bound.

use std::cell::Cell;

use crate::Value;

/// How much one evaluation may take: the sizes of all values on its way, in bytes
/// ([`Value::approximate_size`]).
const WORK: usize = 64 << 20;

/// JavaScript would throw here, or go on for too long.
#[derive(Debug, Clone, Copy)]
pub(super) struct Threw;

/// `None` is `undefined`.
pub(super) type Evaluated = Result<Option<Value>, Threw>;

/// What is in sight of a part of an expression.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    lookup: &'a dyn Fn(&str) -> Option<Value>,
    left: &'a Cell<usize>,
}

impl<'a> Scope<'a> {
    /// Runs an evaluation from its beginning.
    pub(super) fn begin(
        lookup: &dyn Fn(&str) -> Option<Value>,
        evaluate: impl FnOnce(Scope<'_>) -> Evaluated,
    ) -> Evaluated {
        evaluate(Scope { lookup, left: &Cell::new(WORK) })
    }

    /// The same with other names in sight.
    pub(super) fn with<'b>(self, lookup: &'b dyn Fn(&str) -> Option<Value>) -> Scope<'b>
    where
        'a: 'b,
    {
        Scope { lookup, left: self.left }
    }

    pub(super) fn value(self, name: &str) -> Option<Value> {
        (self.lookup)(name)
    }

    /// Counts what was made, or is about to be.
    pub(super) fn spend(self, bytes: usize) -> Result<(), Threw> {
        self.left.set(self.left.get().checked_sub(bytes).ok_or(Threw)?);
        Ok(())
    }
}
