//! Which web pages may talk to the server: an exact list, or everybody without credentials.

use chatwright_protocol::dialects::Dialect;
use http::{HeaderValue, Uri};

/// The origins that a browser's page may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origins {
    /// Any page, without credentials.
    Any,
    /// These pages, with credentials. Empty: no page of another origin.
    Listed(Vec<HeaderValue>),
}

/// The development server of web pages for `sessions`, as its document names it.
const SESSIONS_PAGES: HeaderValue = HeaderValue::from_static("http://localhost:5173");

impl Origins {
    /// What a dialect's document says where nothing is configured.
    #[must_use]
    pub(super) fn of(dialect: &Dialect) -> Self {
        if dialect.name == "sessions" { Self::Listed(vec![SESSIONS_PAGES]) } else { Self::Any }
    }

    /// From `*` alone, or exact origins (`https://app.example.com`, `http://localhost:5173`), written as browsers send them.
    ///
    /// # Errors
    /// What is wrong with which item.
    pub(super) fn read(items: &[String]) -> Result<Self, String> {
        if items.iter().any(|item| item == "*") {
            return match items {
                [_] => Ok(Self::Any),
                _ => Err("either \"*\" or a list of origins is expected, not both".to_owned()),
            };
        }
        items.iter().map(|item| exact(item)).collect::<Result<_, _>>().map(Self::Listed)
    }

    /// Whether a page of this origin may talk to the server. `Origin` is compared byte by byte: no suffixes, no patterns.
    #[must_use]
    pub fn allow(&self, origin: &HeaderValue) -> bool {
        match self {
            Self::Any => true,
            Self::Listed(origins) => origins.contains(origin),
        }
    }
}

/// The origin in the form in which browsers send it: lower case, no path, no default port.
fn exact(item: &str) -> Result<HeaderValue, String> {
    let wrong =
        || format!("an origin such as https://app.example.com or http://localhost:5173 is expected, not {item:?}");
    let uri: Uri = item.parse().map_err(|_| wrong())?;
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else { return Err(wrong()) };
    let is_bare =
        uri.path() == "/" && uri.query().is_none() && !item.ends_with('/') && !authority.as_str().contains('@');
    let port = match (scheme, authority.port_u16()) {
        (_, None) | ("http", Some(80)) | ("https", Some(443)) => String::new(),
        (_, Some(port)) => format!(":{port}"),
    };
    if !is_bare || !matches!(scheme, "http" | "https") {
        return Err(wrong());
    }
    let origin = format!("{scheme}://{}{port}", authority.host().to_ascii_lowercase());
    HeaderValue::try_from(origin).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(items: &[&str]) -> Result<Origins, String> {
        Origins::read(&items.iter().map(|&item| item.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn only_the_very_same_origin_is_allowed() {
        let origins = listed(&["https://App.example.com:443", "http://localhost:5173"]).expect("valid");
        for (origin, allowed) in [
            ("https://app.example.com", true),
            ("http://localhost:5173", true),
            ("http://app.example.com", false),
            ("https://app.example.com.evil.com", false),
            ("https://evil.com", false),
            ("https://app.example.com:8443", false),
            ("http://localhost:51730", false),
            ("null", false),
            ("", false),
        ] {
            assert_eq!(origins.allow(&HeaderValue::from_static(origin)), allowed, "{origin:?}");
        }
    }

    #[test]
    fn what_is_not_an_origin_is_refused_with_its_name() {
        for item in [
            "app.example.com",
            "https://a.example/",
            "https://a.example/x",
            "ftp://a.example",
            "null",
            "https://u@a.example",
        ] {
            let problem = listed(&[item]).expect_err(item);
            assert!(problem.contains(item), "{problem}");
        }
        assert!(listed(&["*", "https://a.example"]).is_err());
        assert_eq!(listed(&["*"]), Ok(Origins::Any));
        assert_eq!(listed(&[]), Ok(Origins::Listed(Vec::new())));
    }
}
