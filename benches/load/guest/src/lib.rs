//! What `make bench` asks of a guest in Rust; `../src/guests/twin.js` does the same as classes.

use futures_util::{Stream, stream};
use kora_guest::{Body, Error, Message, Result, Table, Target, resource};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Item {
    id: String,
    name: String,
    price: f64,
    stock: i64,
}

struct GuestReader;

#[resource(public)]
impl GuestReader {
    /// One record.
    async fn get(&self, target: Target) -> Result<Option<Body<Item>>> {
        let id = target.id().ok_or_else(|| Error::invalid("which item?"))?;
        Ok(Table::<Item>::find("Item")?.get(id)?.map(Body))
    }

    /// A stream that ends at once: what its opening costs is an instance.
    async fn connect(&self) -> Result<impl Stream<Item = Result<Message>>> {
        Ok(stream::empty())
    }
}

struct GuestTransform;

#[derive(Deserialize)]
struct Line {
    name: String,
    price: f64,
    quantity: f64,
    tags: Vec<String>,
}

#[derive(Serialize)]
struct Priced {
    label: String,
    total: f64,
    first: Option<String>,
}

#[resource(public)]
impl GuestTransform {
    /// Filters and reshapes a list.
    async fn post(&self, lines: Body<Vec<Line>>) -> Result<Body<Vec<Priced>>> {
        let priced = |line: Line| Priced {
            label: line.name.to_uppercase(),
            total: line.price * line.quantity,
            first: line.tags.into_iter().next(),
        };
        Ok(Body(lines.0.into_iter().filter(|line| line.quantity > 0.0).map(priced).collect()))
    }
}

struct GuestCompute;

/// Rows and columns of the matrices.
const SIZE: usize = 192;

#[resource(public)]
impl GuestCompute {
    /// Multiplies two matrices.
    async fn get(&self) -> Result<Body<f64>> {
        let fill = |factor: usize| -> Vec<f64> {
            (0..SIZE * SIZE).map(|at| (at * factor % 97) as f64).collect()
        };
        let (a, b) = (fill(31), fill(57));
        let mut product = vec![0.0; SIZE * SIZE];
        for row in 0..SIZE {
            for k in 0..SIZE {
                let factor = a[row * SIZE + k];
                for column in 0..SIZE {
                    product[row * SIZE + column] += factor * b[k * SIZE + column];
                }
            }
        }
        Ok(Body(product.iter().sum()))
    }
}

struct GuestLoop;

#[resource(public)]
impl GuestLoop {
    /// Never ends.
    async fn get(&self) -> Result<()> {
        loop {
            std::hint::black_box(0);
        }
    }
}

kora_guest::export!(GuestReader, GuestTransform, GuestCompute, GuestLoop);
