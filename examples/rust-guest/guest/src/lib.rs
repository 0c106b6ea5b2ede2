//! A kennel: the example of a guest in Rust. `../typescript` is the same application as classes, and the suite of the
//! server asks both the same questions.

mod answers;
mod birthday;
mod dogs;
mod kennel;
mod sockets;
mod trade;

use answers::{Answers, Motto};
use birthday::Birthday;
use kennel::Kennel;
use sockets::{Echo, Watch};
use trade::Trade;

kora_guest::export!(Answers, Birthday, Echo, Kennel, Motto, Trade, Watch);
