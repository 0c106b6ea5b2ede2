//! What a store is opened with.

use std::time::Duration;

use kora_hub::QueueLimit;

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub usize);

/// What an acknowledgement promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// fsync before the acknowledgement: survives the process and the power supply.
    Full,
    /// Acknowledged once the kernel has it, fsynced at this interval: survives the process; loses up
    /// to one interval with the power, and the file stays intact only on a file system that keeps
    /// the order of writes.
    Interval(Duration),
}

/// How much of the change log is kept. What is past either bound goes, oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    pub age: Duration,
    /// Of each database.
    pub size: ByteSize,
}

impl Default for Retention {
    /// Three days, as Harper's `auditRetention`, and 4 GiB.
    fn default() -> Retention {
        Retention { age: Duration::from_secs(3 * 24 * 60 * 60), size: ByteSize(4 << 30) }
    }
}

/// Options of [`crate::Store::open`].
#[derive(Debug, Clone)]
pub struct StoreOptions {
    pub durability: Durability,
    /// The address space that each database's map begins with. It is sparse, costs no memory and no
    /// disk, and doubles by itself when the data no longer fits.
    pub initial_map: ByteSize,
    /// How many bytes of events may wait for one subscription.
    pub queue_limit: QueueLimit,
    /// How many entries one search may look at before it is refused (400).
    pub scan_limit: usize,
    /// How many threads may read one database at the same time.
    pub max_readers: u32,
    pub retention: Retention,
    /// How large each caching table may grow; past it what was stored longest ago is given up.
    pub cache_size: Option<ByteSize>,
    /// How many bytes of indexed vectors may be kept in memory; those past it are read from the map.
    pub vector_memory: ByteSize,
}

impl Default for StoreOptions {
    fn default() -> StoreOptions {
        StoreOptions {
            durability: Durability::Full,
            initial_map: ByteSize(16 << 30),
            queue_limit: QueueLimit::default(),
            scan_limit: 10_000_000,
            max_readers: 2048,
            retention: Retention::default(),
            cache_size: None,
            vector_memory: ByteSize(512 << 20),
        }
    }
}
