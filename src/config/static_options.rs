//! The options of the `static` plugin (`spec/harper-components.md` section 2.2).

use serde_yaml_ng::Value;

use super::component::flag;
use super::file_set::FileSet;

/// `static:` and its options.
#[derive(Debug, Clone)]
pub struct StaticOptions {
    pub files: FileSet,
    /// Serve `index.html` for directories.
    pub index: bool,
    /// Tried after a dot for paths that name no file: `html` finds `/page.html` for `/page`.
    pub extensions: Vec<String>,
    pub missing: Missing,
    pub order: Order,
}

/// What happens to a path that names no file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    /// Whoever comes next answers.
    FallThrough,
    /// 404 with a line of text.
    Refuse,
    /// A page, for applications that route in the browser: a file of the application's folder.
    Page { file: String, status: u16 },
}

/// Where the files stand relative to the resources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    BeforeResources,
    AfterResources,
}

impl StaticOptions {
    /// The defaults for some files.
    pub fn of(files: FileSet) -> StaticOptions {
        StaticOptions {
            files,
            index: true,
            extensions: Vec::new(),
            missing: Missing::FallThrough,
            order: Order::BeforeResources,
        }
    }

    /// Reads the options beside `files`. `follows_rest` says whether `rest` stands before `static`
    /// in the file, which decides for `before: false`. The error is a sentence without a place.
    pub(super) fn read(
        files: FileSet,
        options: &Value,
        follows_rest: bool,
    ) -> Result<StaticOptions, String> {
        Ok(StaticOptions {
            files,
            index: flag(options, "index")?.unwrap_or(true),
            extensions: extensions(options)?,
            missing: missing(options)?,
            order: order(options, follows_rest)?,
        })
    }

    /// What to tell about a combination that hides the application's resources.
    pub(super) fn warning(&self) -> Option<String> {
        (self.missing != Missing::FallThrough && self.order == Order::BeforeResources).then(|| {
            "`static` with `fallthrough: false` answers every unmatched GET itself, also those of \
             REST; `after: rest` lets resources answer first"
                .to_owned()
        })
    }
}

fn extensions(options: &Value) -> Result<Vec<String>, String> {
    let wrong = || "`extensions` must be a list of file extensions".to_owned();
    match options.get("extensions") {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Sequence(list)) => list
            .iter()
            .map(|one| Ok(one.as_str().ok_or_else(wrong)?.trim_start_matches('.').to_owned()))
            .collect(),
        Some(_) => Err(wrong()),
    }
}

fn missing(options: &Value) -> Result<Missing, String> {
    let not_found = match options.get("notFound") {
        None | Some(Value::Null) => Missing::Refuse,
        Some(Value::String(file)) => Missing::Page { file: inside(file)?, status: 404 },
        Some(Value::Mapping(page)) => {
            let file = page.get("file").and_then(Value::as_str);
            let file = file.ok_or("`notFound.file` must be a path")?;
            let status = match page.get("statusCode") {
                None | Some(Value::Null) => Some(404),
                Some(status) => status.as_u64().and_then(|status| u16::try_from(status).ok()),
            };
            let status = status.filter(|status| (200..600).contains(status));
            let status = status.ok_or("`notFound.statusCode` must be a status from 200 to 599")?;
            Missing::Page { file: inside(file)?, status }
        }
        Some(_) => return Err("`notFound` must be a path, or `file:` and `statusCode:`".to_owned()),
    };
    match flag(options, "fallthrough")? {
        Some(false) => Ok(not_found),
        None | Some(true) => Ok(Missing::FallThrough),
    }
}

/// A path inside the application's folder.
fn inside(file: &str) -> Result<String, String> {
    let path = file.trim_start_matches("./").trim_start_matches('/');
    match path.split('/').any(|segment| segment == "..") {
        true => Err(format!("`{file}` leaves the application's folder; `..` is not allowed")),
        false => Ok(path.to_owned()),
    }
}

fn order(options: &Value, follows_rest: bool) -> Result<Order, String> {
    let named = |key: &str| match options.get(key) {
        Some(Value::String(name)) => Some(name.to_ascii_lowercase()),
        _ => None,
    };
    match (named("after").as_deref(), named("before").as_deref(), options.get("before")) {
        (Some("rest"), _, _) => Ok(Order::AfterResources),
        (Some("authentication") | None, Some("rest" | "authentication"), _) => {
            Ok(Order::BeforeResources)
        }
        (None, None, Some(Value::Bool(false))) if follows_rest => Ok(Order::AfterResources),
        (None, None, None | Some(Value::Bool(_) | Value::Null)) => Ok(Order::BeforeResources),
        (Some("authentication"), None, _) => Ok(Order::BeforeResources),
        _ => Err("`before` and `after` must name `rest` or `authentication`".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<StaticOptions, String> {
        let files = FileSet::new(&["web/**".to_owned()], &[], String::new()).unwrap();
        StaticOptions::read(files, &serde_yaml_ng::from_str(text).unwrap(), true)
    }

    #[test]
    fn options_are_read() {
        let plain = read("{}").unwrap();
        assert_eq!(
            (plain.index, plain.missing, plain.order),
            (true, Missing::FallThrough, Order::BeforeResources)
        );
        let page = |file: &str, status| Missing::Page { file: file.to_owned(), status };
        for (text, missing) in [
            ("fallthrough: false", Missing::Refuse),
            ("notFound: 404.html", Missing::FallThrough),
            ("{fallthrough: false, notFound: ./web/404.html}", page("web/404.html", 404)),
            (
                "{fallthrough: false, notFound: {file: index.html, statusCode: 200}}",
                page("index.html", 200),
            ),
        ] {
            assert_eq!(read(text).unwrap().missing, missing, "{text}");
        }
        for (text, order) in [
            ("after: rest", Order::AfterResources),
            ("before: authentication", Order::BeforeResources),
            ("before: false", Order::AfterResources),
        ] {
            assert_eq!(read(text).unwrap().order, order, "{text}");
        }
        assert_eq!(read("extensions: [html, .htm]").unwrap().extensions, ["html", "htm"]);
        assert!(read("fallthrough: false").unwrap().warning().is_some());
        assert!(read("{fallthrough: false, after: rest}").unwrap().warning().is_none());
    }

    #[test]
    fn wrong_options_say_what_is_expected() {
        for (text, wanted) in [
            ("index: 5", "`index`"),
            ("extensions: html", "`extensions`"),
            ("notFound: 5", "`notFound`"),
            ("notFound: {statusCode: 200}", "`notFound.file`"),
            ("notFound: {file: x, statusCode: abc}", "`notFound.statusCode`"),
            ("notFound: ../secret", "leaves the application's folder"),
            ("after: lunch", "`before` and `after`"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(wanted), "{text}: {error}");
        }
    }
}
