//! What a request's `Cache-Control` asks of a caching table (`spec/harper-rest.md` section 5.2).

/// The directives that a caching table heeds; without the header, none.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct CacheControl {
    /// `max-age`: nothing that was loaded longer ago, in seconds.
    pub max_age: Option<f64>,
    /// `only-if-cached`: never ask the source.
    pub only_if_cached: bool,
    /// `no-cache`: ask the source in any case.
    pub no_cache: bool,
    /// `no-store`: do not keep what the source answers.
    pub no_store: bool,
    /// `must-revalidate`: nothing stale, also if the source fails.
    pub must_revalidate: bool,
    /// `stale-if-error`: rather something stale than an error.
    pub stale_if_error: bool,
}

impl CacheControl {
    /// Reads a header's value. Unknown directives and values that are no number are passed over, as
    /// HTTP asks.
    pub fn parse(header: &str) -> CacheControl {
        let mut control = CacheControl::default();
        for directive in header.split(',') {
            let (name, value) = match directive.split_once('=') {
                Some((name, value)) => (name.trim(), value.trim().trim_matches('"')),
                None => (directive.trim(), ""),
            };
            match name.to_ascii_lowercase().as_str() {
                "max-age" => {
                    let seconds = value.parse().ok();
                    control.max_age =
                        seconds.filter(|age: &f64| age.is_finite()).or(control.max_age);
                }
                "only-if-cached" => control.only_if_cached = true,
                "no-cache" => control.no_cache = true,
                "no-store" => control.no_store = true,
                "must-revalidate" => control.must_revalidate = true,
                "stale-if-error" => control.stale_if_error = true,
                _ => {}
            }
        }
        control
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_are_read_as_http_writes_them() {
        let none = CacheControl::default();
        for (text, expected) in [
            ("", none),
            ("max-age=5", CacheControl { max_age: Some(5.0), ..none }),
            (
                "Max-Age = \"0\", no-store",
                CacheControl { max_age: Some(0.0), no_store: true, ..none },
            ),
            ("max-age=soon, public", none),
            (
                "no-cache,must-revalidate",
                CacheControl { no_cache: true, must_revalidate: true, ..none },
            ),
            (
                "only-if-cached, stale-if-error=60",
                CacheControl { only_if_cached: true, stale_if_error: true, ..none },
            ),
        ] {
            assert_eq!(CacheControl::parse(text), expected, "{text}");
        }
    }
}
