//! Distances, in loops that compilers turn into vector instructions.

use kora_resource::schema::Distance;

/// Several sums side by side, in as many registers: one sum alone would have to be added up in order,
/// each addition waiting for the one before.
const LANES: usize = 16;

/// How far `a` is from `b`, as the schema says it (`spec/harper-resources.md` section 12).
pub(crate) fn between(distance: Distance, a: &[f32], b: &[f32]) -> f32 {
    match distance {
        Distance::Cosine => {
            let length = (dot(a, a) * dot(b, b)).sqrt();
            if length > 0.0 { 1.0 - dot(a, b) / length } else { 1.0 }
        }
        Distance::Euclidean => square(a, b),
        Distance::DotProduct => -dot(a, b),
    }
}

/// The form in which a graph keeps a vector: of length 1 where only its direction counts.
pub(super) fn kept(distance: Distance, mut vector: Vec<f32>) -> Vec<f32> {
    if distance == Distance::Cosine {
        let length = dot(&vector, &vector).sqrt();
        if length > 0.0 {
            vector.iter_mut().for_each(|n| *n /= length);
        }
    }
    vector
}

/// The distance of two kept vectors.
pub(super) fn of_kept(distance: Distance, a: &[f32], b: &[f32]) -> f32 {
    match distance {
        Distance::Cosine => 1.0 - dot(a, b),
        Distance::Euclidean => square(a, b),
        Distance::DotProduct => -dot(a, b),
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    sum(a, b, |x, y| x * y)
}

fn square(a: &[f32], b: &[f32]) -> f32 {
    sum(a, b, |x, y| (x - y) * (x - y))
}

#[inline(always)]
fn sum(a: &[f32], b: &[f32], each: impl Fn(f32, f32) -> f32) -> f32 {
    let mut sums = [0.0f32; LANES];
    let (a, a_rest) = a.as_chunks::<LANES>();
    let (b, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a.iter().zip(b) {
        for lane in 0..LANES {
            sums[lane] += each(a[lane], b[lane]);
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(x, y)| each(*x, *y)).sum();
    // Halves upon halves: these additions need not wait for each other either.
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            sums[lane] += sums[lane + width];
        }
        width /= 2;
    }
    sums[0] + rest
}
