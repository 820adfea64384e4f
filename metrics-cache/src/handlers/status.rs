//! The page to look at. Plain HTML and forms: nothing on it needs JavaScript.

use std::fmt::Write;
use std::sync::atomic::Ordering;

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Response};
use http_body_util::BodyExt;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::names::Escaping;
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
        None => list(app, &Wanted::of(&query)),
    }
}

/// Asks whether a group should really go.
pub(crate) fn question(app: &Shared, uri: &Uri) -> Response {
    let query = fields(uri.query().unwrap_or_default());
    let wanted = get(&query, "group").unwrap_or_default();
    let Some(group) = find(app, wanted) else { return gone(app) };
    let (prefix, key) = (&app.external_prefix, escape(group.key.series()));
    let series = group.series();
    let others = match app.replicated {
        true => " The other replicas keep it: delete it there too, by name of the pod.",
        false => "",
    };
    let body = format!(
        "<div class=question><p>Delete this group with its {series} series?</p>\
         <p><code>{{{key}}}</code></p><p>It comes back when its app pushes again.{others}</p>\
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

/// What the list is asked for.
struct Wanted<'a> {
    search: &'a str,
    /// Those that were silent longest come first.
    by_age: bool,
    from: usize,
}

impl<'a> Wanted<'a> {
    fn of(query: &'a [(String, String)]) -> Self {
        Self {
            search: get(query, "q").unwrap_or_default(),
            by_age: get(query, "sort") == Some("age"),
            from: get(query, "from").and_then(|from| from.parse().ok()).unwrap_or(0),
        }
    }

    /// Returns the address of this list, but from another row or in another order.
    fn link(&self, prefix: &str, from: usize, by_age: bool) -> String {
        let query = utf8_percent_encode(self.search, NON_ALPHANUMERIC);
        let sort = if by_age { "&amp;sort=age" } else { "" };
        format!("{prefix}/?q={query}&amp;from={from}{sort}")
    }
}

fn list(app: &App, wanted: &Wanted<'_>) -> Response {
    let words: Vec<String> = wanted.search.split_whitespace().map(str::to_lowercase).collect();
    let (rows, found, all) = {
        let state = app.store.read();
        let mut found: Vec<&Group> = state.groups().collect();
        let all = found.len();
        found.retain(|group| words.iter().all(|word| matches(group, word)));
        if wanted.by_age {
            found.sort_by_key(|group| group.pushed);
        }
        let rows: Vec<Group> =
            found.iter().skip(wanted.from).take(ROWS).map(|&group| group.clone()).collect();
        (rows, found.len(), all)
    };
    let prefix = &app.external_prefix;
    let value = escape(wanted.search);
    let order = wanted.link(prefix, 0, !wanted.by_age);
    let sort = if wanted.by_age { "<input type=hidden name=sort value=age>" } else { "" };
    let other = if wanted.by_age { "Sort by name" } else { "Longest silent first" };
    let mut body = format!(
        "<form method=get action=\"{prefix}/\"><label for=q>Search</label> <input type=search id=q \
         name=q value=\"{value}\" placeholder=\"label, value or metric\">{sort} \
         <button type=submit>Search</button></form><p>{found} of {all} groups · \
         <a href=\"{order}\">{other}</a></p>"
    );
    rows_table(&mut body, prefix, &rows);
    if all == 0 {
        body.push_str(
            "<p class=hint>Nothing was pushed yet. To try it:</p><pre>echo 'jobs_done 5' \
             | curl --data-binary @- http://this-host:9091/metrics/job/nightly</pre>",
        );
    }
    body.push_str("<p>");
    if wanted.from > 0 {
        let to = wanted.link(prefix, wanted.from.saturating_sub(ROWS), wanted.by_age);
        let _ = write!(body, "<a href=\"{to}\">Previous</a> ");
    }
    if wanted.from + rows.len() < found {
        let to = wanted.link(prefix, wanted.from + ROWS, wanted.by_age);
        let _ = write!(body, "<a href=\"{to}\">Next</a>");
    }
    body.push_str("</p>");
    html(StatusCode::OK, app, "Metrics cache", &body)
}

fn rows_table(body: &mut String, prefix: &str, rows: &[Group]) {
    body.push_str(
        "<table><thead><tr><th>Group</th><th>Last push</th><th>Last failure</th>\
         <th class=number>Series</th><th></th></tr></thead><tbody>",
    );
    let now = now();
    for group in rows {
        row(body, prefix, group, now);
    }
    body.push_str("</tbody></table>");
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
    let labels = chips(group);
    let failed = match group.failed {
        0 => "never".to_owned(),
        at if at > group.pushed => format!("<span class=bad>{}</span>", ago(now, at)),
        at => ago(now, at),
    };
    let _ = write!(
        out,
        "<tr><td><a class=group href=\"{prefix}/?group={link}\">{labels}</a></td><td>{}</td>\
         <td>{failed}</td><td class=number>{}</td>\
         <td class=number><a class=delete href=\"{prefix}/status/delete?group={link}\">Delete…</a>\
         </td></tr>",
        ago(now, group.pushed),
        group.series(),
    );
}

/// Shows the labels of a group, the job before the others.
fn chips(group: &Group) -> String {
    let mut pairs = labels::borrowed(group.key.labels());
    pairs.sort_by_key(|(name, _)| *name != "job");
    let chip = |(name, value): &(&str, &str)| {
        format!("<code><i>{}=</i>{}</code> ", escape(name), escape(&format!("\"{value}\"")))
    };
    pairs.iter().map(chip).collect()
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
    let prefix = &app.external_prefix;
    let mut body = String::new();
    rows_table(&mut body, prefix, std::slice::from_ref(&group));
    let expires = match group.expire_after.unwrap_or(app.expire_after) {
        wait if wait.is_zero() => "This group stays until it is deleted.".to_owned(),
        wait => format!("This group goes after {} without a push.", {
            time::ago(u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX))
        }),
    };
    let _ = write!(body, "<p class=hint>{expires}</p>");
    for (name, family) in &group.families {
        if body.len() > SHOWN {
            body.push_str("<p>… and more: see the scrape.</p>");
            break;
        }
        let mut samples = Vec::new();
        expose::samples(&mut samples, Dialect::Classic, name, family, Escaping::Utf8);
        let _ = write!(
            body,
            "<details open><summary><b>{}</b> <span class=kind>{}</span> {}</summary>\
             <pre>{}</pre></details>",
            escape(name),
            family.kind.text(),
            escape(family.help.as_deref().unwrap_or_default()),
            escape(&String::from_utf8_lossy(&samples)),
        );
    }
    let _ = write!(body, "<p><a href=\"{prefix}/\">All groups</a></p>");
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
    let held = held(app);
    let page = format!(
        "<!DOCTYPE html><html lang=en><head><meta charset=utf-8><title>{title}</title>\
         <meta name=viewport content=\"width=device-width, initial-scale=1\">\
         <link rel=stylesheet href=\"{prefix}/static/style.css\"></head><body>\
         <header><h1><a href=\"{prefix}/\">Metrics cache</a></h1><p>{held}</p></header>\
         <main>{body}</main>\
         <footer>Version {version} · <a href=\"{prefix}{}\">scrape</a> · \
         <a href=\"{prefix}/api/v1/metrics\">API</a></footer></body></html>",
        app.paths.telemetry
    );
    let policy = "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'";
    let headers = [(header::CONTENT_SECURITY_POLICY, policy), (header::CACHE_CONTROL, "no-store")];
    (status, headers, Html(page)).into_response()
}

/// Says in a line what there is.
fn held(app: &App) -> String {
    let (groups, series, bytes) = {
        let state = app.store.read();
        (state.groups().len(), state.series(), state.bytes())
    };
    let mib = |bytes: usize| bytes.div_ceil(1 << 20);
    let (held, limit) = (mib(bytes), mib(app.store.limits().memory));
    let up = time::ago(now().saturating_sub(app.started));
    let ready = match app.ready.load(Ordering::Acquire) {
        true => "",
        false => " · <span class=bad>still asking its peers</span>",
    };
    format!("{groups} groups · {series} series · {held} of {limit} MiB · started {up} ago{ready}")
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
