//! Which files of an application a plugin takes, and where they appear below its URL
//! (`spec/harper-components.md` section 1.4).

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};

/// The `files` and `urlPath` of one plugin.
#[derive(Debug, Clone)]
pub struct FileSet {
    patterns: Vec<Pattern>,
    ignored: Vec<GlobMatcher>,
    /// The mount prefix, without slashes at its ends; empty for the root.
    mount: String,
}

/// One glob with its fixed base cut off.
#[derive(Debug, Clone)]
struct Pattern {
    /// The leading directories without wildcards, without a trailing slash; they are no part of URLs.
    base: String,
    glob: GlobMatcher,
}

/// A file that a set takes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FoundFile {
    pub path: PathBuf,
    /// The URL directory below which what it exports appears: no slashes at its ends, `""` = root.
    pub url_directory: String,
}

/// Folders that are never part of an application.
const NEVER_ENTERED: [&str; 2] = ["node_modules", ".git"];

impl FileSet {
    /// Compiles globs. The error is a sentence without file name or line.
    pub fn new(files: &[String], ignored: &[String], mount: String) -> Result<FileSet, String> {
        let patterns = files.iter().map(|file| Pattern::new(file)).collect::<Result<_, _>>()?;
        let ignored =
            ignored.iter().map(|glob| compile(&normalize(glob)?)).collect::<Result<_, String>>()?;
        Ok(FileSet { patterns, ignored, mount })
    }

    /// Has the URLs begin below `base`, for patterns that lie there.
    pub fn with_base(mut self, base: &str) -> FileSet {
        for pattern in &mut self.patterns {
            if pattern.base == base || pattern.base.starts_with(&format!("{base}/")) {
                base.clone_into(&mut pattern.base);
            }
        }
        self
    }

    /// All files and folders of the set below `directory` with their URL paths, which begin with a
    /// slash; in order of the paths, a folder before what it holds.
    pub fn entries(&self, directory: &Path) -> io::Result<Vec<(PathBuf, String)>> {
        let mut found = Vec::new();
        for pattern in &self.patterns {
            let mut visit = |path: PathBuf| {
                let Some(relative) = relative_path(directory, &path) else { return };
                if !pattern.glob.is_match(&relative) || self.is_ignored(&relative) {
                    return;
                }
                let below = relative[pattern.base.len()..].trim_start_matches('/');
                found.push((path, format!("/{}", join(&self.mount, below))));
            };
            walk(&directory.join(&pattern.base), Visit::Everything, &mut visit)?;
        }
        found.sort();
        found.dedup_by(|a, b| a.0 == b.0);
        Ok(found)
    }

    /// The mount prefix, without slashes at its ends.
    pub fn mount(&self) -> &str {
        &self.mount
    }

    /// Whether the file at `relative` (from the application's folder, with `/`) is of this set.
    pub fn contains(&self, relative: &str) -> bool {
        self.matching(relative).is_some()
    }

    /// The fixed directories of the patterns, from the application's folder.
    pub fn bases(&self) -> impl Iterator<Item = &str> {
        self.patterns.iter().map(|pattern| pattern.base.as_str())
    }

    /// Where a URL path below the mount would be on disk: each base with the path appended, if the
    /// set takes such a file. Relative to the application's folder.
    pub fn candidates<'a>(&'a self, below_mount: &'a str) -> impl Iterator<Item = String> + 'a {
        self.bases().map(move |base| join(base, below_mount)).filter(|path| self.contains(path))
    }

    /// All files of the set below `directory`, in order of their paths.
    pub fn list(&self, directory: &Path) -> io::Result<Vec<FoundFile>> {
        let mut found = Vec::new();
        for pattern in &self.patterns {
            let start = directory.join(&pattern.base);
            walk(&start, Visit::Files, &mut |path| {
                let Some(relative) = relative_path(directory, &path) else { return };
                if !pattern.glob.is_match(&relative) || self.is_ignored(&relative) {
                    return;
                }
                let below = relative[pattern.base.len()..].trim_start_matches('/');
                let url_directory = join(&self.mount, below.rsplit_once('/').map_or("", |p| p.0));
                found.push(FoundFile { path, url_directory });
            })?;
        }
        found.sort();
        found.dedup_by(|a, b| a.path == b.path);
        Ok(found)
    }

    fn matching(&self, relative: &str) -> Option<&Pattern> {
        if self.is_ignored(relative) {
            return None;
        }
        self.patterns.iter().find(|pattern| pattern.glob.is_match(relative))
    }

    fn is_ignored(&self, relative: &str) -> bool {
        self.ignored.iter().any(|glob| glob.is_match(relative))
    }
}

/// The globs, as messages show them.
impl fmt::Display for FileSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, pattern) in self.patterns.iter().enumerate() {
            let before = if at == 0 { "" } else { ", " };
            write!(f, "{before}`{}`", pattern.glob.glob().glob())?;
        }
        Ok(())
    }
}

impl Pattern {
    fn new(source: &str) -> Result<Pattern, String> {
        let glob = normalize(source)?;
        let mut segments: Vec<&str> = glob.split('/').collect();
        let fixed = segments.iter().take_while(|segment| !has_wildcard(segment)).count();
        // The last segment names files even without a wildcard.
        segments.truncate(fixed.min(segments.len() - 1));
        let base = segments.join("/");
        Ok(Pattern { base, glob: compile(&glob)? })
    }
}

/// The path of `path` below `directory`, with `/` between segments; `None` if it is not below it.
pub fn relative_path(directory: &Path, path: &Path) -> Option<String> {
    let relative = path.strip_prefix(directory).ok()?;
    let segments: Option<Vec<&str>> = relative.iter().map(|segment| segment.to_str()).collect();
    Some(segments?.join("/"))
}

/// Joins two slash-separated paths, either of which may be empty.
pub fn join(left: &str, right: &str) -> String {
    match (left, right) {
        ("", right) => right.to_owned(),
        (left, "") => left.to_owned(),
        (left, right) => format!("{left}/{right}"),
    }
}

/// Whether a folder or file of this name is left alone: dependencies, version control and whatever
/// is hidden, such as the data directory.
pub fn is_never_entered(name: &str) -> bool {
    NEVER_ENTERED.contains(&name) || name.starts_with('.')
}

fn normalize(source: &str) -> Result<String, String> {
    let glob = source.trim_start_matches("./").trim_start_matches('/').trim_end_matches('/');
    if glob.split('/').any(|segment| segment == "..") {
        return Err(format!("`{source}` leaves the application's folder; `..` is not allowed"));
    }
    Ok(if glob.is_empty() || glob == "." { "**/*".to_owned() } else { glob.to_owned() })
}

fn compile(glob: &str) -> Result<GlobMatcher, String> {
    GlobBuilder::new(glob)
        .literal_separator(true)
        .build()
        .map(|glob| glob.compile_matcher())
        .map_err(|error| format!("`{glob}` is not a glob pattern: {}", error.kind()))
}

fn has_wildcard(segment: &str) -> bool {
    segment.contains(['*', '?', '[', '{', '!'])
}

/// What a walk calls for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Visit {
    Files,
    /// Folders, too, before what they hold.
    Everything,
}

/// Calls `visit` for what lies below `start`; a missing `start` is an empty folder.
fn walk(start: &Path, what: Visit, visit: &mut impl FnMut(PathBuf)) -> io::Result<()> {
    let entries = match std::fs::read_dir(start) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let path = entry.path();
        if entry.file_name().to_str().is_none_or(is_never_entered) {
            continue;
        }
        // Follows symbolic links, as Harper does for linked components.
        match std::fs::metadata(&path) {
            Ok(metadata) if metadata.is_dir() && is_loop(start, &entry) => {}
            Ok(metadata) if metadata.is_dir() => {
                if what == Visit::Everything {
                    visit(path.clone());
                }
                walk(&path, what, visit)?;
            }
            Ok(_) => visit(path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Whether an entry of `folder` is a link to a folder that contains it: following it has no end.
fn is_loop(folder: &Path, entry: &std::fs::DirEntry) -> bool {
    let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
    is_link
        && match (folder.canonicalize(), entry.path().canonicalize()) {
            (Ok(folder), Ok(target)) => folder.starts_with(target),
            _ => true,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(files: &[&str], ignored: &[&str], mount: &str) -> FileSet {
        let owned = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        FileSet::new(&owned(files), &owned(ignored), mount.to_owned()).unwrap()
    }

    #[test]
    fn the_fixed_base_is_no_part_of_the_url() {
        assert_eq!(set(&["web/**"], &[], "").candidates("a/b.css").next().unwrap(), "web/a/b.css");
        assert_eq!(
            set(&["site/a/*"], &[], "").candidates("x.html").next().unwrap(),
            "site/a/x.html"
        );
        assert_eq!(set(&["site/a/*"], &[], "").candidates("x/y.html").next(), None);
        assert_eq!(
            set(&["./src/resources/index.js"], &[], "").bases().next(),
            Some("src/resources")
        );
        assert_eq!(set(&["resources.js"], &[], "").bases().next(), Some(""));
    }

    #[test]
    fn lists_files_with_their_url_directories() {
        let dir = tempfile::tempdir().unwrap();
        for file in ["resources/a.ts", "resources/v1/b.ts", "resources/v1/skip.ts", "c.ts"] {
            let path = dir.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let found = set(&["resources/**/*.ts"], &["**/skip.ts"], "api").list(dir.path()).unwrap();
        let directories: Vec<&str> = found.iter().map(|f| f.url_directory.as_str()).collect();
        assert_eq!(directories, ["api", "api/v1"]);
    }

    #[test]
    fn parents_are_refused() {
        assert!(FileSet::new(&["../x/*".to_owned()], &[], String::new()).is_err());
    }
}
