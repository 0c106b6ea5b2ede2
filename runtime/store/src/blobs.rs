//! The files of blobs: where they are, who reads them, when they go
//! (`spec/harper-resources.md` section 13).
//!
//! A blob's file is written and fsynced in the staging folder, moved to its database's `blobs/` folder
//! just before the commit of the record that names it, and entered in the catalogue by that very
//! commit. So a record never names a file that is not there; a file that no commit has entered is an
//! orphan of a crash and removed when the database is opened. When a commit takes the last mention of
//! a file away, the file goes after it, once nobody reads it any more. Content that fits a few
//! kilobytes stays in its record.
//!
//! Reading and writing run on tokio's blocking threads, in chunks: memory does not grow with a blob.

mod staging;

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use bytes::Bytes;
use futures_core::Stream;
use kora_resource::value::{Blob, BlobContent, BlobFile, BlobId};
use kora_resource::{Chunks, Error, ErrorKind, Result, Value};
use parking_lot::Mutex;

pub use staging::BlobWriter;
pub(crate) use staging::{Staged, settle};

/// The largest content that stays in its record.
pub(crate) const INLINE_MAX: usize = 4096;
/// How much of a file is in memory at a time.
const CHUNK: u64 = 256 << 10;
/// The longest text that is shown within a record; of a longer one there is a description.
const SHOWN_TEXT: u64 = 1 << 20;

const FOLDER: &str = "blobs";
const STAGING: &str = "staging";

/// The blobs of a store.
#[derive(Debug)]
pub struct Blobs {
    /// The store's data directory.
    root: PathBuf,
    sync: Sync,
    reading: Mutex<HashMap<BlobId, Reading>>,
    /// The files that no commit has made a record's own: whoever reads a record out of a write set
    /// finds its blobs by their numbers.
    staged: Mutex<HashMap<BlobId, Weak<Staged>>>,
}

/// Whether files are fsynced before their records are committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sync {
    Always,
    Never,
}

#[derive(Debug, Default)]
struct Reading {
    readers: usize,
    /// Where the file is, if it is to go after the last reader.
    doomed: Option<PathBuf>,
}

/// Keeps a blob's file from going while it may be read.
struct Held {
    blobs: Arc<Blobs>,
    id: BlobId,
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut reading = self.blobs.reading.lock();
        let Some(entry) = reading.get_mut(&self.id) else { return };
        entry.readers -= 1;
        if entry.readers == 0
            && let Some(path) = reading.remove(&self.id).and_then(|entry| entry.doomed)
        {
            remove(&path);
        }
    }
}

impl Blobs {
    /// Empties the staging folder: what is in it was never committed.
    pub(crate) fn open(root: &Path, sync: Sync) -> io::Result<Arc<Blobs>> {
        let staging = root.join(STAGING);
        match std::fs::remove_dir_all(&staging) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        Ok(Arc::new(Blobs {
            root: root.to_owned(),
            sync,
            reading: Mutex::default(),
            staged: Mutex::default(),
        }))
    }

    /// Begins a blob whose bytes come bit by bit.
    pub fn writer(self: &Arc<Self>) -> BlobWriter {
        BlobWriter::new(Arc::clone(self))
    }

    /// The same blob, whose file stays for as long as this value and its clones live.
    pub fn hold(self: &Arc<Self>, blob: &Blob) -> Blob {
        let BlobContent::File(file) = &blob.content else { return blob.clone() };
        if file.keep.is_some() {
            return blob.clone();
        }
        if let Some(staged) = self.staged(file).filter(|staged| !staged.is_kept()) {
            let content = BlobContent::File(BlobFile { keep: Some(staged), ..file.clone() });
            return with_content(blob, content);
        }
        self.reading.lock().entry(file.id).or_default().readers += 1;
        let held = Held { blobs: Arc::clone(self), id: file.id };
        let content = BlobContent::File(BlobFile { keep: Some(Arc::new(held)), ..file.clone() });
        with_content(blob, content)
    }

    /// A part of the content; shorter at its end. 404 if the blob is gone.
    pub async fn read(&self, blob: &Blob, start: u64, length: u64) -> Result<Bytes> {
        match &blob.content {
            BlobContent::Inline(bytes) => {
                let at = |n: u64| usize::try_from(n).unwrap_or(usize::MAX).min(bytes.len());
                Ok(bytes.slice(at(start)..at(start.saturating_add(length))))
            }
            BlobContent::File(file) => {
                let path = self.path_of(file);
                let length = length.min(file.size.saturating_sub(start));
                blocking(move || {
                    let mut file = File::open(path)?;
                    file.seek(SeekFrom::Start(start))?;
                    read_up_to(&mut file, length)
                })
                .await
            }
        }
    }

    /// The whole content in chunks, each read when it is asked for.
    pub fn stream(self: &Arc<Self>, blob: &Blob) -> Chunks {
        match &blob.content {
            BlobContent::Inline(bytes) => Box::pin(Once(Some(bytes.clone()))),
            BlobContent::File(_) => {
                let blob = self.hold(blob);
                Box::pin(FileChunks { blobs: Arc::clone(self), blob, at: 0, next: None })
            }
        }
    }

    /// The value with the text of each blob that is text in its place, unless it is very long.
    pub async fn with_texts(&self, mut value: Value) -> Result<Value> {
        let mut wanted = Vec::new();
        let mut collect = |value: &mut Value| {
            if let Value::Blob(blob) = value
                && shown_as_text(blob)
            {
                wanted.push(blob.clone());
            }
            Ok::<(), Error>(())
        };
        value.for_each_blob(&mut collect)?;
        let mut texts = Vec::with_capacity(wanted.len());
        for blob in &wanted {
            texts.push(self.read(blob, 0, SHOWN_TEXT).await?);
        }
        let mut texts = texts.into_iter();
        value.for_each_blob(&mut |value| {
            if matches!(value, Value::Blob(blob) if shown_as_text(blob))
                && let Some(text) = texts.next()
            {
                *value = Value::String(String::from_utf8_lossy(&text).into_owned());
            }
            Ok::<(), Error>(())
        })?;
        Ok(value)
    }

    /// Removes a file that no record names any more, once nobody reads it.
    pub(crate) fn doom(&self, database: &str, id: BlobId) {
        let path = self.path(database, id);
        match self.reading.lock().get_mut(&id) {
            Some(reading) => reading.doomed = Some(path),
            None => remove(&path),
        }
    }

    /// Removes the files of a database that `is_named` does not know.
    pub(crate) fn remove_orphans<E: From<crate::StoreError>>(
        &self,
        database: &str,
        mut is_named: impl FnMut(BlobId) -> std::result::Result<bool, E>,
    ) -> std::result::Result<(), E> {
        let folders = std::fs::read_dir(self.root.join(database).join(FOLDER));
        let entries =
            folders.into_iter().flatten().flatten().flat_map(|folder| {
                std::fs::read_dir(folder.path()).into_iter().flatten().flatten()
            });
        for entry in entries {
            let name = entry.file_name();
            let id = name.to_str().and_then(|name| u128::from_str_radix(name, 16).ok());
            if let Some(id) = id
                && !is_named(BlobId(id))?
            {
                remove(&entry.path());
            }
        }
        Ok(())
    }

    /// A folder for each 256th part: none grows so large that listing it hurts.
    fn path(&self, database: &str, id: BlobId) -> PathBuf {
        let name = format!("{:032x}", id.0);
        self.root.join(database).join(FOLDER).join(&name[..2]).join(name)
    }

    /// The state of a file that was made in this process and is not forgotten yet.
    fn staged(&self, file: &BlobFile) -> Option<Arc<Staged>> {
        Staged::of(file).or_else(|| self.staged.lock().get(&file.id)?.upgrade())
    }

    fn path_of(&self, file: &BlobFile) -> PathBuf {
        match self.staged(file) {
            Some(staged) => staged.path(),
            None => self.path(&file.database, file.id),
        }
    }
}

fn with_content(blob: &Blob, content: BlobContent) -> Blob {
    Blob { content_type: blob.content_type.clone(), name: blob.name.clone(), content }
}

fn shown_as_text(blob: &Blob) -> bool {
    let in_file = matches!(blob.content, BlobContent::File(_));
    in_file && blob.is_text() && blob.size() <= SHOWN_TEXT
}

fn read_up_to(file: &mut File, length: u64) -> io::Result<Bytes> {
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
    file.take(length).read_to_end(&mut bytes)?;
    Ok(bytes.into())
}

/// Runs work on files where it may block.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(failed),
        Err(error) => Err(Error::internal(format!("work on a blob was given up: {error}"))),
    }
}

fn failed(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::NotFound => {
            Error::not_found("The blob is gone: its record was deleted or changed")
        }
        io::ErrorKind::StorageFull => {
            Error::new(ErrorKind::Status(507), "There is no room for the blob")
        }
        _ => Error::internal(format!("a blob's file can not be used: {error}")),
    }
}

fn remove(path: &Path) {
    if let Err(error) = std::fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(path = %path.display(), %error, "a blob's file can not be removed");
    }
}

/// A stream of one chunk.
struct Once(Option<Bytes>);

impl Stream for Once {
    type Item = Result<Bytes>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        _cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        std::task::Poll::Ready(self.0.take().filter(|bytes| !bytes.is_empty()).map(Ok))
    }
}

type Next = std::pin::Pin<Box<dyn Future<Output = Result<Bytes>> + Send>>;

/// A file, chunk by chunk.
struct FileChunks {
    blobs: Arc<Blobs>,
    blob: Blob,
    at: u64,
    next: Option<Next>,
}

impl Stream for FileChunks {
    type Item = Result<Bytes>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        use std::task::Poll;
        let this = &mut *self;
        if this.at >= this.blob.size() && this.next.is_none() {
            return Poll::Ready(None);
        }
        let next = this.next.get_or_insert_with(|| {
            let (blobs, blob, at) = (Arc::clone(&this.blobs), this.blob.clone(), this.at);
            Box::pin(async move { blobs.read(&blob, at, CHUNK).await })
        });
        let chunk = std::task::ready!(next.as_mut().poll(cx));
        this.next = None;
        match chunk {
            Ok(chunk) if !chunk.is_empty() => {
                this.at += chunk.len() as u64;
                Poll::Ready(Some(Ok(chunk)))
            }
            Ok(_) => {
                this.at = this.blob.size();
                Poll::Ready(Some(Err(Error::internal("a blob's file is shorter than it was"))))
            }
            Err(error) => {
                this.at = this.blob.size();
                Poll::Ready(Some(Err(error)))
            }
        }
    }
}
