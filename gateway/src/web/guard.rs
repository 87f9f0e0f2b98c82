//! Who may ask, and what a browser may do with the answer.
//!
//! A page somewhere on the web can make a browser in the house send requests to the gateway, under
//! a name that its owner points at the gateway's address (DNS rebinding). So a request must name
//! the gateway by an address or by a name nobody outside controls, and what a browser sends on
//! another site's behalf is refused where it would read a socket or change something.

use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr};

use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, HeaderName, ORIGIN, REFERRER_POLICY, UPGRADE,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::Web;
use super::refusal::Refusal;

/// Nothing but what the gateway itself serves: no inline scripts or styles, no frames, no forms
/// that post elsewhere.
const POLICY: &str = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

const HEADERS: [(HeaderName, &str); 5] = [
    (CONTENT_SECURITY_POLICY, POLICY),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    // With `no-referrer` a browser would not say either that the page's own forms are the page's own.
    (REFERRER_POLICY, "same-origin"),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
];

/// The names by which this gateway may be called, apart from addresses, `localhost` and
/// `*.local`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names(Vec<String>);

impl Names {
    /// These names and no others.
    #[must_use]
    pub fn of(names: impl IntoIterator<Item = String>) -> Self {
        Self(
            names
                .into_iter()
                .map(|name| name.to_ascii_lowercase())
                .collect(),
        )
    }

    /// The name of this machine, where Linux tells it, besides `names`.
    #[must_use]
    pub fn of_this_machine(names: impl IntoIterator<Item = String>) -> Self {
        let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let host = Some(host.trim().to_owned()).filter(|name| !name.is_empty());
        Self::of(names.into_iter().chain(host))
    }

    fn admit(&self, authority: &str) -> bool {
        let Some(host) = host_of(authority) else {
            return false;
        };
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        host.parse::<Ipv4Addr>().is_ok()
            || bracketed(&host).is_some_and(|inner| inner.parse::<Ipv6Addr>().is_ok())
            || host == "localhost"
            || host
                .strip_suffix(".local")
                .is_some_and(|name| !name.is_empty())
            || self.0.contains(&host)
    }
}

/// The host in a web address: by it a reverse proxy in front of the gateway is called.
#[must_use]
pub fn host_in(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = host_of(authority)?;
    (!host.is_empty() && !host.contains('@')).then(|| host.to_owned())
}

/// The host of `host[:port]`.
fn host_of(authority: &str) -> Option<&str> {
    let after_address = authority.rfind(']').map_or(0, |at| at + 1);
    let (host, port) = match authority[after_address..].find(':') {
        Some(at) => authority.split_at(after_address + at),
        None => (authority, ""),
    };
    let port = port.strip_prefix(':').unwrap_or(port);
    port.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then_some(host)
}

fn bracketed(host: &str) -> Option<&str> {
    host.strip_prefix('[')?.strip_suffix(']')
}

/// Refuses requests under a foreign name or from a foreign page, and tells browsers to be strict.
pub(super) async fn guard(State(web): State<Web>, request: Request, next: Next) -> Response {
    let mut response = match admitted(&web.names, request.method(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    };
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

fn admitted(names: &Names, method: &Method, headers: &HeaderMap) -> Result<(), Refusal> {
    let mut hosts = headers.get_all(HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().unwrap_or_default(),
        (Some(_), Some(_)) | (None, _) => "",
    };
    if !names.admit(host) {
        let message = format!(
            "this gateway is not called `{host}`: use its address, localhost, its host name, or a name that ends in .local"
        );
        return Err(Refusal::new(
            StatusCode::MISDIRECTED_REQUEST,
            "host_not_allowed",
            message,
        ));
    }
    let only_reads =
        (method == Method::GET || method == Method::HEAD) && !headers.contains_key(UPGRADE);
    let foreign = headers
        .get_all(ORIGIN)
        .iter()
        .any(|origin| !same_site(origin, host));
    if !only_reads && foreign {
        let message = format!("only pages of `{host}` itself may do this");
        return Err(Refusal::new(
            StatusCode::FORBIDDEN,
            "origin_not_allowed",
            message,
        ));
    }
    Ok(())
}

fn same_site(origin: &HeaderValue, host: &str) -> bool {
    let origin = origin.to_str().unwrap_or_default();
    let authority = origin
        .strip_prefix("http://")
        .or_else(|| origin.strip_prefix("https://"));
    authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(method: Method, headers: &[(HeaderName, &str)]) -> Result<(), Refusal> {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.clone(), value.parse().expect("a test's header")))
            .collect();
        admitted(&Names::of(["Gateway".to_owned()]), &method, &headers)
    }

    #[test]
    fn addresses_and_own_names_are_admitted_and_no_others() {
        for host in [
            "127.0.0.1",
            "127.0.0.1:8080",
            "[::1]:8080",
            "[fe80::1]",
            "localhost",
            "LOCALHOST:1",
            "pi.local",
            "pi.local.:80",
            "gateway",
            "GATEWAY:8080",
        ] {
            assert_eq!(asked(Method::GET, &[(HOST, host)]), Ok(()), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            ".local",
            "evil.example:80:local",
            "::1",
            "local",
            "[evil.example]",
            "gateway@evil.example",
        ] {
            assert!(asked(Method::GET, &[(HOST, host)]).is_err(), "{host}");
        }
        assert!(asked(Method::GET, &[]).is_err());
    }

    #[test]
    fn behind_a_proxy_the_name_that_is_configured_is_one_of_its_own() {
        let names = Names::of(host_in("https://Sluice.example.org:8443/house"));
        let asked = |host: &str, origin: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, host.parse().expect("a test's header"));
            if let Some(origin) = origin {
                headers.insert(ORIGIN, origin.parse().expect("a test's header"));
            }
            admitted(&names, &Method::POST, &headers)
        };
        assert_eq!(asked("sluice.example.org:8443", None), Ok(()));
        let own = Some("https://sluice.example.org:8443");
        assert_eq!(asked("sluice.example.org:8443", own), Ok(()));
        assert!(asked("sluice.example.org:8443", Some("https://evil.example")).is_err());
        assert!(asked("house.example.org", None).is_err());
        for no_host in ["", "https://", "https:///x", "https://ann@example.org"] {
            assert_eq!(host_in(no_host), None, "{no_host}");
        }
    }

    #[test]
    fn two_hosts_are_none() {
        let mut headers = HeaderMap::new();
        headers.append(HOST, HeaderValue::from_static("localhost"));
        headers.append(HOST, HeaderValue::from_static("evil.example"));
        assert!(admitted(&Names::default(), &Method::GET, &headers).is_err());
    }

    #[test]
    fn a_foreign_page_opens_no_socket_and_posts_nothing() {
        let host = (HOST, "pi.local:8080");
        let foreign = (ORIGIN, "https://evil.example");
        let own = (ORIGIN, "http://pi.local:8080");
        let upgrade = (UPGRADE, "websocket");
        assert_eq!(asked(Method::GET, &[host.clone(), foreign.clone()]), Ok(()));
        assert!(
            asked(
                Method::GET,
                &[host.clone(), foreign.clone(), upgrade.clone()]
            )
            .is_err()
        );
        assert!(asked(Method::POST, &[host.clone(), foreign]).is_err());
        assert!(asked(Method::POST, &[host.clone(), (ORIGIN, "null")]).is_err());
        assert_eq!(
            asked(Method::GET, &[host.clone(), own.clone(), upgrade.clone()]),
            Ok(())
        );
        assert_eq!(asked(Method::POST, &[host.clone(), own]), Ok(()));
        assert_eq!(asked(Method::GET, &[host, upgrade]), Ok(()));
    }
}
