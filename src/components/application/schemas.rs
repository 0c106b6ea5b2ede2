//! The schema files of one application: parsed all together, their tables made, and where they are exported.

use std::io;
use std::path::Path;
use std::sync::Arc;

use kora_resource::Resource;
use kora_resource::schema::{self, TableSchema};
use kora_store::{Store, Table};

use super::LoadFailure;
use crate::components::registry::{Claim, Registration, Served};
use crate::config::file_set::{FileSet, join};

/// A table and the path that its schema exports it under.
pub(super) struct ExportedTable {
    table: Arc<Table>,
    schema: TableSchema,
    url_directory: String,
}

/// What an application's schema files came to.
pub(super) struct AppliedSchemas {
    pub(super) tables: Vec<ExportedTable>,
    /// How many files there are.
    pub(super) files: usize,
    /// Each begins with file and line.
    pub(super) warnings: Vec<String>,
}

/// Parses all schema files and makes their tables.
pub(super) fn apply_schemas(
    files: &FileSet,
    directory: &Path,
    application: &str,
    store: &Arc<Store>,
) -> Result<AppliedSchemas, LoadFailure> {
    let unreadable = |source: io::Error| LoadFailure::Files {
        application: application.to_owned(),
        source: Arc::new(source),
    };
    let mut schemas: Vec<TableSchema> = Vec::new();
    let mut url_directories = Vec::new();
    let mut warnings = Vec::new();
    let listed = files.list(directory).map_err(unreadable)?;
    let count = listed.len();
    for file in listed {
        let text = std::fs::read_to_string(&file.path).map_err(unreadable)?;
        let parsed = schema::parse(&text, &file.path).map_err(Arc::new)?;
        let shown = file.path.display();
        warnings.extend(parsed.warnings.iter().map(|warning| format!("{shown}:{warning}")));
        for table in parsed.tables {
            url_directories.push(file.url_directory.clone());
            schemas.push(table);
        }
    }
    let tables = store.apply(&schemas).map_err(|source| LoadFailure::Tables {
        application: application.to_owned(),
        source: Arc::new(source),
    })?;
    let tables = tables
        .into_iter()
        .zip(schemas)
        .zip(url_directories)
        .map(|((table, schema), url_directory)| ExportedTable { table, schema, url_directory })
        .collect();
    Ok(AppliedSchemas { tables, files: count, warnings })
}

/// Where its schema exports a table; `None` if it does not.
pub(super) fn registration(exported: ExportedTable) -> Option<Registration> {
    let export = exported.schema.export.as_ref()?;
    Some(Registration {
        path: join(&exported.url_directory, export.path.trim_matches('/')),
        resource: exported.table as Arc<dyn Resource>,
        table: Some((exported.schema.database.clone(), exported.schema.table.clone())),
        protocols: export.protocols,
        served: Served::Natively,
        claim: Claim::Ordinary,
    })
}
