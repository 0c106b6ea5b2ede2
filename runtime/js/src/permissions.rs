//! What a component may touch outside its isolate: files, network, programs
//! (`permissions:` in its config.yaml).
//!
//! The ops of Deno's extensions ask deno_permissions before they act; this module says what they are told.
//! Nothing is ever prompted for. By default a component reads and writes its own folder and a folder of its own
//! for temporary files, reads the packages beside it, and opens connections; it runs no program and opens no port.
//! A relative path is one in the component's folder, which is also its `process.cwd()`.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use deno_permissions::{
    Permissions, PermissionsContainer, PermissionsOptions, RuntimePermissionDescriptorParser,
};
use sys_traits::impls::RealSys;
use sys_traits::{
    BaseEnvVar, BaseFsCanonicalize, BaseFsMetadata, BaseFsReadDir, EnvCurrentDir, EnvHomeDir,
};

/// What a component's configuration grants beyond the defaults.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grants {
    /// Files and folders it may read; absolute or relative to its folder.
    pub read: Vec<String>,
    /// Files and folders it may write.
    pub write: Vec<String>,
    pub net: Net,
    pub listen: Listen,
    /// Programs that it may start, by name or path.
    pub run: Vec<String>,
}

/// Where a component may connect to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Net {
    #[default]
    Anywhere,
    Nowhere,
    /// Hosts, each with or without a port.
    Only(Vec<String>),
}

/// Whether a component may open ports of its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Listen {
    #[default]
    Denied,
    Allowed,
}

/// What is told about the host's machine: everything that only reads.
const SYSTEM: [&str; 15] = [
    "hostname",
    "osRelease",
    "osUptime",
    "loadavg",
    "networkInterfaces",
    "systemMemoryInfo",
    "uid",
    "gid",
    "cpus",
    "homedir",
    "userInfo",
    "getegid",
    "statfs",
    "getPriority",
    "ca",
];

/// The folders whose modules a component may load and read.
#[derive(Debug, Clone)]
pub(crate) struct ReadableRoots(Arc<[PathBuf]>);

impl ReadableRoots {
    /// The component's folder, its temporary folder, the packages in the folders above, and what is granted.
    pub(crate) fn new(directory: &Path, temporary: &Path, grants: &Grants) -> ReadableRoots {
        let packages = directory.join("node_modules");
        let mut roots = vec![directory.to_owned(), temporary.to_owned(), packages.clone()];
        roots.extend(linked(&packages));
        roots.extend(directory.ancestors().skip(1).map(|above| above.join("node_modules")));
        roots.extend(grants.read.iter().map(|path| directory.join(path)));
        // A folder may be named by a link; what is asked for later are real paths.
        let real: Vec<_> = roots.iter().filter_map(|root| root.canonicalize().ok()).collect();
        roots.extend(real);
        roots.dedup();
        ReadableRoots(roots.into())
    }

    pub(crate) fn contain(&self, path: &Path) -> bool {
        let climbs = path.components().any(|part| part == std::path::Component::ParentDir);
        !climbs && self.0.iter().any(|root| path.starts_with(root))
    }

    fn paths(&self) -> Vec<String> {
        self.0.iter().map(|root| root.to_string_lossy().into_owned()).collect()
    }
}

/// Packages that are links to folders elsewhere, as in workspaces.
fn linked(packages: &Path) -> Vec<PathBuf> {
    let mut links = Vec::new();
    for entry in std::fs::read_dir(packages).into_iter().flatten().flatten() {
        let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
        if is_link {
            links.push(entry.path());
        } else if entry.file_name().to_string_lossy().starts_with('@') {
            links.extend(linked(&entry.path()));
        }
    }
    links
}

/// The permissions of a component in `directory`.
///
/// # Errors
/// A sentence that names the setting that can't be understood.
pub(crate) fn container(
    directory: &Path,
    temporary: &Path,
    readable: &ReadableRoots,
    grants: &Grants,
) -> Result<PermissionsContainer, String> {
    let parser = RuntimePermissionDescriptorParser::new(ComponentSys(directory.into()));
    let writable = [directory, temporary].map(|path| path.to_string_lossy().into_owned());
    let options = PermissionsOptions {
        allow_read: Some(readable.paths()),
        allow_write: Some(writable.into_iter().chain(grants.write.iter().cloned()).collect()),
        // An empty list grants everything; `None` nothing.
        allow_net: match &grants.net {
            Net::Anywhere => Some(Vec::new()),
            Net::Nowhere => None,
            Net::Only(hosts) => Some(hosts.clone()),
        },
        allow_run: (!grants.run.is_empty()).then(|| grants.run.clone()),
        allow_env: Some(Vec::new()),
        allow_sys: Some(SYSTEM.map(str::to_owned).to_vec()),
        ..PermissionsOptions::default()
    };
    let permissions = Permissions::from_options(&parser, &options)
        .map_err(|error| format!("permissions in config.yaml: {error}"))?;
    Ok(PermissionsContainer::new(Arc::new(parser), permissions))
}

/// The real system, seen from the component's folder.
#[derive(Debug, Clone)]
struct ComponentSys(Arc<Path>);

impl EnvCurrentDir for ComponentSys {
    fn env_current_dir(&self) -> io::Result<PathBuf> {
        Ok(self.0.to_path_buf())
    }
}

impl EnvHomeDir for ComponentSys {
    fn env_home_dir(&self) -> Option<PathBuf> {
        RealSys.env_home_dir()
    }
}

impl BaseEnvVar for ComponentSys {
    fn base_env_var_os(&self, key: &std::ffi::OsStr) -> Option<std::ffi::OsString> {
        RealSys.base_env_var_os(key)
    }
}

impl BaseFsCanonicalize for ComponentSys {
    fn base_fs_canonicalize(&self, path: &Path) -> io::Result<PathBuf> {
        RealSys.base_fs_canonicalize(path)
    }
}

impl BaseFsMetadata for ComponentSys {
    type Metadata = <RealSys as BaseFsMetadata>::Metadata;

    fn base_fs_metadata(&self, path: &Path) -> io::Result<Self::Metadata> {
        RealSys.base_fs_metadata(path)
    }

    fn base_fs_symlink_metadata(&self, path: &Path) -> io::Result<Self::Metadata> {
        RealSys.base_fs_symlink_metadata(path)
    }
}

impl BaseFsReadDir for ComponentSys {
    type ReadDirEntry = <RealSys as BaseFsReadDir>::ReadDirEntry;

    fn base_fs_read_dir(
        &self,
        path: &Path,
    ) -> io::Result<Box<dyn Iterator<Item = io::Result<Self::ReadDirEntry>>>> {
        RealSys.base_fs_read_dir(path)
    }
}

/// The message for a path that a component must not load.
pub(crate) fn unreadable(application: &str, path: &Path) -> String {
    format!(
        "component \"{application}\" may not read \"{}\": allow it with permissions.read in config.yaml",
        path.display()
    )
}
