//! From method and path to what is meant. Pure.

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route<'a> {
    /// PUT, with the part of the path after `/metrics/`.
    Put(&'a str),
    /// POST, likewise.
    Post(&'a str),
    /// DELETE, likewise.
    Delete(&'a str),
    Scrape,
    /// The scrape with some labels summed away.
    Aggregated,
    /// The cache's own metrics alone.
    Own,
    Healthy,
    Ready,
    Quit,
    ApiStatus,
    ApiMetrics,
    /// All groups for a peer that starts.
    ApiGroups,
    ApiOptions,
    Wipe,
    Page,
    /// The question before a group is removed by the page.
    PageDelete,
    /// The answer to it.
    PageDeleted,
    Style,
    /// 301 to the path without double slashes and dots.
    Moved,
    /// 200 with the methods there are.
    Options(&'static str),
    /// 405 with the methods there are.
    Method(&'static str),
    NotFound,
}

/// The parts of the configuration that paths depend on.
#[derive(Debug, Clone)]
pub(crate) struct Paths {
    /// Empty, or `/prefix`.
    pub(crate) prefix: String,
    /// Path of the scrape, without the prefix.
    pub(crate) telemetry: String,
    pub(crate) admin: bool,
}

impl Paths {
    /// Finds the route. `path` is percent-decoded.
    pub(crate) fn route<'a>(&self, method: &str, path: &'a str) -> Route<'a> {
        if clean(path) != path {
            return Route::Moved;
        }
        let Some(path) = path.strip_prefix(self.prefix.as_str()) else { return Route::NotFound };
        if path == self.telemetry {
            return only(method, &[("GET", Route::Scrape)], "GET, OPTIONS");
        }
        match path.strip_prefix(self.telemetry.as_str()) {
            Some("/aggregated") => {
                return only(method, &[("GET", Route::Aggregated)], "GET, OPTIONS");
            }
            Some("/own") => return only(method, &[("GET", Route::Own)], "GET, OPTIONS"),
            _ => {}
        }
        if let Some(group) = path.strip_prefix("/metrics/").filter(|rest| is_group(rest)) {
            let routes = [
                ("PUT", Route::Put(group)),
                ("POST", Route::Post(group)),
                ("DELETE", Route::Delete(group)),
            ];
            return only(method, &routes, "DELETE, OPTIONS, POST, PUT");
        }
        if path.starts_with("/api/v1/") && method == "OPTIONS" {
            return Route::ApiOptions;
        }
        let get = |route| only(method, &[("GET", route)], "GET, OPTIONS");
        match path {
            "/-/healthy" => get(Route::Healthy),
            "/-/ready" => get(Route::Ready),
            "/-/quit" => match method {
                "PUT" | "POST" => Route::Quit,
                "OPTIONS" => Route::Options("GET, OPTIONS, POST, PUT"),
                _ => Route::Method("GET, OPTIONS, POST, PUT"),
            },
            "/api/v1/status" => get(Route::ApiStatus),
            "/api/v1/metrics" => get(Route::ApiMetrics),
            "/api/v1/groups" => get(Route::ApiGroups),
            "/api/v1/admin/wipe" if self.admin => only(method, &[("PUT", Route::Wipe)], "PUT"),
            "/" | "/status" => get(Route::Page),
            "/status/delete" => {
                let routes = [("GET", Route::PageDelete), ("POST", Route::PageDeleted)];
                only(method, &routes, "GET, POST")
            }
            "/static/style.css" => get(Route::Style),
            _ => Route::NotFound,
        }
    }
}

fn only<'a>(method: &str, routes: &[(&str, Route<'a>)], allowed: &'static str) -> Route<'a> {
    let found = routes.iter().find(|(name, _)| *name == method);
    let other = match method {
        "OPTIONS" => Route::Options(allowed),
        _ => Route::Method(allowed),
    };
    found.map_or(other, |(_, route)| *route)
}

/// Tells whether `job/<not empty>` or `job@base64/<not empty>` begins here.
fn is_group(rest: &str) -> bool {
    let job = rest.strip_prefix("job").map(|rest| rest.strip_prefix("@base64").unwrap_or(rest));
    job.and_then(|rest| rest.strip_prefix('/')).is_some_and(|job| !job.is_empty())
}

/// Removes double slashes and dot segments.
pub(crate) fn clean(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            other => kept.push(other),
        }
    }
    let mut out = String::with_capacity(path.len());
    for part in &kept {
        out.push('/');
        out.push_str(part);
    }
    if out.is_empty() || path.ends_with('/') {
        out.push('/');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_routes() {
        let paths = Paths { prefix: "/p".into(), telemetry: "/metrics".into(), admin: false };
        for (method, path, want) in [
            ("PUT", "/p/metrics/job/a", Route::Put("job/a")),
            ("POST", "/p/metrics/job@base64/a/b/c", Route::Post("job@base64/a/b/c")),
            ("DELETE", "/p/metrics/job/a/", Route::Delete("job/a/")),
            ("GET", "/p/metrics/job/a", Route::Method("DELETE, OPTIONS, POST, PUT")),
            ("PUT", "/p/metrics/job/", Route::NotFound),
            ("PUT", "/p/metrics/job", Route::NotFound),
            ("PUT", "/metrics/job/a", Route::NotFound),
            ("GET", "/p/metrics", Route::Scrape),
            ("GET", "/p/metrics/aggregated", Route::Aggregated),
            ("GET", "/p/metrics/own", Route::Own),
            ("HEAD", "/p/metrics", Route::Method("GET, OPTIONS")),
            ("PUT", "/p/metrics//job/a", Route::Moved),
            ("PUT", "/p/metrics/../metrics/job/a", Route::Moved),
            ("GET", "/p/-/quit", Route::Method("GET, OPTIONS, POST, PUT")),
            ("PUT", "/p/api/v1/admin/wipe", Route::NotFound),
            ("OPTIONS", "/p/api/v1/whatever", Route::ApiOptions),
            ("GET", "/p/", Route::Page),
        ] {
            assert_eq!(paths.route(method, path), want, "{method} {path}");
        }
    }

    #[test]
    fn cleans_paths() {
        for (path, want) in [("/a//b", "/a/b"), ("/a/./b/../c/", "/a/c/"), ("//", "/"), ("", "/")] {
            assert_eq!(clean(path), want);
        }
    }
}
