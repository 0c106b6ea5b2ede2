//! Blobs on their way into a record: written to the staging folder, moved by [`settle`] to the
//! database just before the commit, and removed when they come to nothing.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use bytes::Bytes;
use kora_resource::value::{Blob, BlobContent, BlobFile, BlobId};
use kora_resource::{BlobSink, Result, Value};
use parking_lot::Mutex;

use super::{Blobs, INLINE_MAX, STAGING, Sync, blocking};
use crate::catalog;
use crate::database::Database;
use crate::layout::record_key;
use crate::write_set::{Op, WriteSet};

/// How many bytes are gathered before the disk is asked.
const BUFFER: usize = 256 << 10;

/// A file that no commit has made a record's own yet; removed when nobody holds it and none has.
#[derive(Debug)]
pub(crate) struct Staged {
    id: BlobId,
    path: Mutex<PathBuf>,
    /// A write set has it for one of its records; any other gets a copy.
    claimed: AtomicBool,
    kept: AtomicBool,
    blobs: Weak<Blobs>,
}

impl Staged {
    /// The state of a file that was made in this process; `None` for one that was read from a record.
    pub(super) fn of(file: &BlobFile) -> Option<Arc<Staged>> {
        file.keep.clone()?.downcast().ok()
    }

    pub(super) fn path(&self) -> PathBuf {
        self.path.lock().clone()
    }

    /// Whether it is the file of this number.
    pub(crate) fn is(&self, id: BlobId) -> bool {
        self.id == id
    }

    /// A commit has made it a record's own.
    pub(crate) fn keep(&self) {
        self.kept.store(true, Ordering::Release);
    }

    /// Takes it for one record; false if another has it.
    fn claim(&self) -> bool {
        !self.claimed.swap(true, Ordering::AcqRel)
    }

    pub(super) fn is_kept(&self) -> bool {
        self.kept.load(Ordering::Acquire)
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if let Some(blobs) = self.blobs.upgrade() {
            blobs.staged.lock().remove(&self.id);
        }
        if !*self.kept.get_mut() {
            super::remove(self.path.get_mut());
        }
    }
}

/// Writes one blob. Small content stays in memory and never becomes a file. Dropping the writer
/// throws away what was written.
pub struct BlobWriter {
    blobs: Arc<Blobs>,
    buffer: Vec<u8>,
    open: Option<(Arc<Staged>, BlobId, File)>,
    size: u64,
}

impl BlobWriter {
    pub(super) fn new(blobs: Arc<Blobs>) -> BlobWriter {
        BlobWriter { blobs, buffer: Vec::new(), open: None, size: 0 }
    }

    /// Takes the next bytes; waits for the disk once enough have come.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.buffer.extend_from_slice(bytes);
        self.size += bytes.len() as u64;
        if self.buffer.len() >= BUFFER { self.flush().await } else { Ok(()) }
    }

    /// Ends the blob: its file is durable.
    pub async fn finish(mut self, content_type: String) -> Result<Blob> {
        if self.open.is_none() && self.buffer.len() <= INLINE_MAX {
            return Ok(Blob::inline(content_type, std::mem::take(&mut self.buffer)));
        }
        self.flush().await?;
        let size = self.size;
        let sync = self.blobs.sync;
        let Some((staged, id, file)) = self.open.take() else {
            return Ok(Blob::inline(content_type, Bytes::new()));
        };
        blocking(move || match sync {
            Sync::Always => file.sync_all(),
            Sync::Never => Ok(()),
        })
        .await?;
        Ok(Blob { content_type, name: None, content: content(staged, id, size) })
    }

    async fn flush(&mut self) -> Result<()> {
        let buffer = std::mem::take(&mut self.buffer);
        let open = self.open.take();
        let blobs = Arc::clone(&self.blobs);
        let open = blocking(move || {
            let (staged, id, mut file) = match open {
                Some(open) => open,
                None => create(&blobs)?,
            };
            file.write_all(&buffer)?;
            Ok((staged, id, file))
        });
        self.open = Some(open.await?);
        Ok(())
    }
}

impl BlobSink for BlobWriter {
    fn write(
        &mut self,
        bytes: Bytes,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<()>> + Send + '_>> {
        Box::pin(async move { BlobWriter::write(self, &bytes).await })
    }

    fn finish(self: Box<Self>, content_type: String) -> kora_resource::ResourceFuture<Value> {
        Box::pin(async move { BlobWriter::finish(*self, content_type).await.map(Value::from) })
    }
}

fn content(staged: Arc<Staged>, id: BlobId, size: u64) -> BlobContent {
    BlobContent::File(BlobFile { id, size, database: String::new(), keep: Some(staged) })
}

/// A new, empty file in the staging folder.
fn create(blobs: &Arc<Blobs>) -> io::Result<(Arc<Staged>, BlobId, File)> {
    let (staged, id) = place(blobs)?;
    let file = File::options().create_new(true).write(true).open(staged.path())?;
    Ok((staged, id, file))
}

/// A name for a new file in the staging folder.
fn place(blobs: &Arc<Blobs>) -> io::Result<(Arc<Staged>, BlobId)> {
    let id = BlobId(uuid::Uuid::new_v4().as_u128());
    let folder = blobs.root.join(STAGING);
    std::fs::create_dir_all(&folder)?;
    let path = Mutex::new(folder.join(format!("{:032x}", id.0)));
    let staged = Arc::new(Staged {
        id,
        path,
        claimed: AtomicBool::new(false),
        kept: AtomicBool::new(false),
        blobs: Arc::downgrade(blobs),
    });
    blobs.staged.lock().insert(id, Arc::downgrade(&staged));
    Ok((staged, id))
}

/// Puts the files of a write set's blobs where their records expect them, before it goes to the
/// writer. Content that came in memory is written; what belongs to another record gets a file of its
/// own (a hard link). On a blocking thread; nothing to do for a set without blobs.
pub(crate) async fn settle(database: &Arc<Database>, mut set: WriteSet) -> Result<WriteSet> {
    if !set.has_blobs() {
        return Ok(set);
    }
    let database = Arc::clone(database);
    let settled = tokio::task::spawn_blocking(move || {
        let mut staged = Vec::new();
        for ((table, key), write) in &mut set.writes {
            let place = record_key(*table, key);
            let map = match &mut write.op {
                Op::Put(content) | Op::Create(content) | Op::Fill(content, _) => &mut content.map,
                Op::Patch(changes) => changes,
                Op::Delete | Op::Invalidate | Op::Expire(_) | Op::Evict(_) => continue,
            };
            for value in map.values_mut() {
                value.for_each_blob(&mut |value| match value {
                    Value::Blob(blob) => settle_one(&database, blob, &place, &mut staged),
                    _ => Ok(()),
                })?;
            }
        }
        set.staged = staged;
        Ok(set)
    });
    match settled.await {
        Ok(settled) => settled,
        Err(error) => Err(kora_resource::Error::internal(format!("blobs were given up: {error}"))),
    }
}

fn settle_one(
    database: &Database,
    blob: &mut Blob,
    record: &[u8],
    staged: &mut Vec<Arc<Staged>>,
) -> Result<()> {
    let blobs = database.blobs();
    let made = match &blob.content {
        BlobContent::Inline(bytes) if bytes.len() <= INLINE_MAX => return Ok(()),
        BlobContent::Inline(bytes) => write_whole(blobs, bytes).map_err(super::failed)?,
        BlobContent::File(file) => match blobs.staged(file) {
            Some(made) if made.claim() => (made, file.id, file.size),
            _ if is_own(database, file.id, record)? => {
                let own = BlobFile { database: database.name().to_owned(), ..file.clone() };
                blob.content = BlobContent::File(own);
                return Ok(());
            }
            // The lock: its owner must not move it meanwhile.
            Some(made) => link(blobs, &made.path.lock(), file.size).map_err(super::failed)?,
            None => link(blobs, &blobs.path_of(file), file.size).map_err(super::failed)?,
        },
    };
    let (file, id, size) = made;
    let path = blobs.path(database.name(), id);
    move_to(&file, &path, blobs.sync).map_err(super::failed)?;
    blob.content = BlobContent::File(BlobFile {
        id,
        size,
        database: database.name().to_owned(),
        keep: Some(file.clone()),
    });
    staged.push(file);
    Ok(())
}

/// Another name for a file, to be a record's own.
fn link(blobs: &Arc<Blobs>, path: &Path, size: u64) -> io::Result<(Arc<Staged>, BlobId, u64)> {
    let (copy, id) = place(blobs)?;
    std::fs::hard_link(path, copy.path())?;
    Ok((copy, id, size))
}

/// Whether the file belongs to the record already.
fn is_own(database: &Database, id: BlobId, record: &[u8]) -> Result<bool> {
    database
        .environment()
        .read(|txn, trees| Ok(catalog::blob(txn, trees, id)?.is_some_and(|owner| owner == record)))
}

fn write_whole(blobs: &Arc<Blobs>, bytes: &[u8]) -> io::Result<(Arc<Staged>, BlobId, u64)> {
    let (staged, id, mut file) = create(blobs)?;
    file.write_all(bytes)?;
    if blobs.sync == Sync::Always {
        file.sync_all()?;
    }
    Ok((staged, id, bytes.len() as u64))
}

/// Moves a staged file to its place, durably.
fn move_to(staged: &Staged, path: &Path, sync: Sync) -> io::Result<()> {
    let mut current = staged.path.lock();
    if *current == path {
        return Ok(());
    }
    let Some(folder) = path.parent() else { return Err(io::ErrorKind::InvalidInput.into()) };
    let is_new = !folder.exists();
    std::fs::create_dir_all(folder)?;
    std::fs::rename(&*current, path)?;
    *current = path.to_owned();
    if sync == Sync::Always {
        File::open(folder)?.sync_all()?;
        // A new folder must survive too, up to the database's own.
        for above in folder.ancestors().skip(1).take(2).filter(|_| is_new) {
            File::open(above)?.sync_all()?;
        }
    }
    Ok(())
}
