//! The page to look at. Plain HTML and forms: nothing on it needs JavaScript.

use std::fmt::Write;

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Response};
use http_body_util::BodyExt;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::server::{App, Shared, text};
use crate::store::{Group, now};
use crate::text::expose::{self, Dialect};
use crate::{labels, time};

/// Groups on one page.
const ROWS: usize = 100;
/// Bytes of metrics that are shown of one group.
const SHOWN: usize = 256 * 1024;

const STYLE: &str = include_str!("style.css");

/// Shows the groups that match the search, or one group with its metrics.
pub(crate) fn page(app: &Shared, uri: &Uri) -> Response {
    let query = fields(uri.query().unwrap_or_default());
    match get(&query, "group") {
        Some(wanted) => one(app, wanted),
        None => {
            let from = get(&query, "from").and_then(|from| from.parse().ok()).unwrap_or(0);
            list(app, get(&query, "q").unwrap_or_default(), from)
        }
    }
}

/// Asks whether a group should really go.
pub(crate) fn question(app: &Shared, uri: &Uri) -> Response {
    let query = fields(uri.query().unwrap_or_default());
    let wanted = get(&query, "group").unwrap_or_default();
    let Some(group) = find(app, wanted) else { return gone(app) };
    let (prefix, key) = (&app.external_prefix, escape(group.key.series()));
    let series = group.series();
    let body = format!(
        "<div class=question><p>Delete this group with its {series} series?</p>\
         <p><code>{{{key}}}</code></p><p>It comes back when its app pushes again.</p>\
         <form method=post action=\"{prefix}/status/delete\">\
         <input type=hidden name=group value=\"{key}\">\
         <button type=submit id=confirm>Delete it</button> <a href=\"{prefix}/\">Keep it</a>\
         </form></div>"
    );
    html(StatusCode::OK, app, "Delete a group", &body)
}

/// Removes the group of the form, then shows the list.
pub(crate) async fn delete(app: &Shared, request: Request) -> Response {
    if !is_same_origin(request.headers()) {
        return text(StatusCode::FORBIDDEN, "The form was sent from another site.\n");
    }
    let body = http_body_util::Limited::new(request.into_body(), 64 * 1024).collect().await;
    let Ok(body) = body else {
        return text(StatusCode::BAD_REQUEST, "The form cannot be read.\n");
    };
    let form = fields(&String::from_utf8_lossy(&body.to_bytes()));
    match find(app, get(&form, "group").unwrap_or_default()) {
        Some(group) => app.store.delete(&group.key),
        None => return gone(app),
    }
    let home = HeaderValue::from_str(&format!("{}/", app.external_prefix));
    match home {
        Ok(home) => (StatusCode::SEE_OTHER, [(header::LOCATION, home)]).into_response(),
        Err(_) => StatusCode::OK.into_response(),
    }
}

/// Serves the style sheet.
pub(crate) fn style() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/css; charset=utf-8"),
        (header::CACHE_CONTROL, "max-age=3600"),
    ];
    (headers, STYLE).into_response()
}

/// A browser says where a form comes from; one of another site must not delete.
fn is_same_origin(headers: &HeaderMap) -> bool {
    let get = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = get("sec-fetch-site") {
        return matches!(site, "same-origin" | "none");
    }
    let Some(origin) = get("origin") else { return true };
    let origin = origin.split_once("://").map(|(_, host)| host);
    origin.is_some() && origin == get("host")
}

fn list(app: &App, search: &str, from: usize) -> Response {
    let words: Vec<String> = search.split_whitespace().map(str::to_lowercase).collect();
    let (mut found, mut rows, mut all) = (0, Vec::new(), 0);
    {
        let state = app.store.read();
        for group in state.groups() {
            all += 1;
            if words.iter().all(|word| matches(group, word)) {
                if (from..from.saturating_add(ROWS)).contains(&found) {
                    rows.push(group.clone());
                }
                found += 1;
            }
        }
    }
    let prefix = &app.external_prefix;
    let value = escape(search);
    let mut body = format!(
        "<form method=get action=\"{prefix}/\"><label>Search <input type=search name=q \
         value=\"{value}\" placeholder=\"label, value or metric\"></label> \
         <button type=submit>Search</button></form><p>{found} of {all} groups</p><table><thead>\
         <tr><th>Group</th><th>Last push</th><th>Last failure</th><th class=number>Series</th>\
         <th></th></tr></thead><tbody>"
    );
    let now = now();
    for group in &rows {
        row(&mut body, prefix, group, now);
    }
    body.push_str("</tbody></table><p>");
    let query = utf8_percent_encode(search, NON_ALPHANUMERIC);
    if from > 0 {
        let to = from.saturating_sub(ROWS);
        let _ = write!(body, "<a href=\"{prefix}/?q={query}&amp;from={to}\">Previous</a> ");
    }
    if from + rows.len() < found {
        let to = from + ROWS;
        let _ = write!(body, "<a href=\"{prefix}/?q={query}&amp;from={to}\">Next</a>");
    }
    body.push_str("</p>");
    html(StatusCode::OK, app, "Metrics cache", &body)
}

/// Tells whether a word is in a label of the group or in the name of one of its metrics.
fn matches(group: &Group, word: &str) -> bool {
    let labels = group.key.labels().iter();
    let mut labels = labels.flat_map(|(name, value)| [name, value]);
    labels.any(|text| text.to_lowercase().contains(word))
        || group.families.keys().any(|name| name.to_lowercase().contains(word))
}

fn row(out: &mut String, prefix: &str, group: &Group, now: u64) {
    let link = utf8_percent_encode(group.key.series(), NON_ALPHANUMERIC);
    let labels = escape(&labels::join(labels::borrowed(group.key.labels())));
    let failed = match group.failed {
        0 => "never".to_owned(),
        at if at > group.pushed => format!("<span class=bad>{}</span>", ago(now, at)),
        at => ago(now, at),
    };
    let _ = write!(
        out,
        "<tr><td><a href=\"{prefix}/?group={link}\"><code>{labels}</code></a></td><td>{}</td>\
         <td>{failed}</td><td class=number>{}</td>\
         <td><a href=\"{prefix}/status/delete?group={link}\">Delete…</a></td></tr>",
        ago(now, group.pushed),
        group.series(),
    );
}

fn ago(now: u64, at: u64) -> String {
    match at {
        0 => "never".into(),
        at => format!("<time datetime=\"{}\">{} ago</time>", time::rfc3339(at), {
            time::ago(now.saturating_sub(at))
        }),
    }
}

fn one(app: &App, wanted: &str) -> Response {
    let Some(group) = find(app, wanted) else { return gone(app) };
    let mut samples = Vec::new();
    for (name, family) in &group.families {
        if samples.len() > SHOWN {
            samples.extend_from_slice("… and more: see the scrape.\n".as_bytes());
            break;
        }
        expose::header(&mut samples, name, family.kind, family.help.as_deref());
        expose::samples(&mut samples, Dialect::Classic, name, family);
    }
    let (prefix, now) = (&app.external_prefix, now());
    let mut body = String::from("<table><tbody>");
    row(&mut body, prefix, &group, now);
    let expires = match group.expire_after.unwrap_or(app.expire_after) {
        wait if wait.is_zero() => "This group stays until it is deleted.".to_owned(),
        wait => format!("This group goes after {} without a push.", {
            time::ago(u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX))
        }),
    };
    let samples = escape(&String::from_utf8_lossy(&samples));
    let _ = write!(
        body,
        "</tbody></table><p>{expires}</p><pre>{samples}</pre><p><a href=\"{prefix}/\">All \
         groups</a></p>"
    );
    html(StatusCode::OK, app, "One group", &body)
}

fn gone(app: &App) -> Response {
    let body = format!(
        "<p>There is no such group (any more).</p><p><a href=\"{}/\">All groups</a></p>",
        app.external_prefix
    );
    html(StatusCode::NOT_FOUND, app, "No such group", &body)
}

fn find(app: &App, series: &str) -> Option<Group> {
    app.store.read().group_of(series).cloned()
}

fn html(status: StatusCode, app: &App, title: &str, body: &str) -> Response {
    let prefix = &app.external_prefix;
    let version = env!("CARGO_PKG_VERSION");
    let page = format!(
        "<!DOCTYPE html><html lang=en><head><meta charset=utf-8><title>{title}</title>\
         <meta name=viewport content=\"width=device-width, initial-scale=1\">\
         <link rel=stylesheet href=\"{prefix}/static/style.css\"></head><body>\
         <h1><a href=\"{prefix}/\">Metrics cache</a></h1>{body}\
         <p><small>Version {version} · <a href=\"{prefix}{}\">scrape</a> · \
         <a href=\"{prefix}/api/v1/metrics\">API</a></small></p></body></html>",
        app.paths.telemetry
    );
    let policy = "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'";
    let headers = [(header::CONTENT_SECURITY_POLICY, policy), (header::CACHE_CONTROL, "no-store")];
    (status, headers, Html(page)).into_response()
}

/// Reads the fields of a query or a form.
pub(super) fn fields(query: &str) -> Vec<(String, String)> {
    let decode =
        |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (decode(name), decode(value))).collect()
}

fn get<'a>(fields: &'a [(String, String)], name: &str) -> Option<&'a str> {
    fields.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_was_pushed_becomes_markup() {
        assert_eq!(escape("<a href='x'>\"&"), "&lt;a href=&#39;x&#39;&gt;&quot;&amp;");
    }

    #[test]
    fn reads_forms() {
        let fields = fields("group=job%3D%22a+b%22&x=&y");
        assert_eq!(get(&fields, "group"), Some("job=\"a b\""));
        assert_eq!((get(&fields, "x"), get(&fields, "y")), (Some(""), None));
    }

    #[test]
    fn forms_of_other_sites_are_not_obeyed() {
        let with = |pairs: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.insert(*name, HeaderValue::from_static(value));
            }
            is_same_origin(&headers)
        };
        assert!(with(&[]) && with(&[("sec-fetch-site", "same-origin")]));
        assert!(with(&[("origin", "http://a:1"), ("host", "a:1")]));
        assert!(!with(&[("sec-fetch-site", "cross-site")]));
        assert!(!with(&[("origin", "http://b"), ("host", "a")]) && !with(&[("origin", "null")]));
    }
}
