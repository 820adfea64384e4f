//! What is served beside the routes: the description of the interface, and a page to try it.

use std::fmt::Write as _;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::items::ACCEPTED;
use crate::server::App;
use crate::server::answer::Refusal;
use crate::settings::Settings;

const SCRIPT: &str = include_str!("../assets/page.js");
const STYLE: &str = include_str!("../assets/page.css");
/// Nothing from elsewhere, nothing inline.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Says whether there is something to see at a path.
#[must_use]
pub fn is_served(app: &App, path: &str) -> bool {
    match path {
        "/openapi.json" => true,
        "/" | "/page.js" | "/page.css" => app.page.is_some(),
        _ => false,
    }
}

/// Answers what is at a path.
///
/// # Errors
/// There is nothing.
pub fn answer(app: &App, path: &str) -> Result<Response, Refusal> {
    let (kind, text) = match (path, &app.page) {
        ("/openapi.json", _) => ("application/json", app.openapi.as_str()),
        ("/", Some(page)) => ("text/html; charset=utf-8", page.as_str()),
        ("/page.js", Some(_)) => ("text/javascript; charset=utf-8", SCRIPT),
        ("/page.css", Some(_)) => ("text/css; charset=utf-8", STYLE),
        _ => return Err(Refusal::new(StatusCode::NOT_FOUND, "there is nothing here")),
    };
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "no-cache"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    Ok((headers, text.to_owned()).into_response())
}

/// Writes the page: a form for each route, with an example of what it takes.
#[must_use]
pub fn html(app_name: &str, settings: &Settings, examples: &[String]) -> String {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{name}</title>\n<link rel=\"stylesheet\" href=\"page.css\">\n\
         <script src=\"page.js\" defer></script>\n</head>\n<body>\n<h1>{name}</h1>\n\
         <p>Each route takes records by POST, as {ACCEPTED}, and answers 200 once Kafka has \
         them. <a href=\"openapi.json\">openapi.json</a> describes them.</p>\n\
         <noscript><p>The forms below need JavaScript; <code>curl</code> works \
         without.</p></noscript>\n",
        name = escape(app_name),
    );
    for (index, route) in settings.routes.iter().enumerate() {
        let topics: Vec<_> = route.outputs.iter().map(|output| escape(&output.topic)).collect();
        let path = escape(&route.path);
        let example = escape(examples.get(index).map_or("{}", String::as_str));
        let _ = write!(
            page,
            "<section>\n<h2>POST {path}</h2>\n<p>To {topics}{key}.</p>\n\
             <form data-path=\"{path}\">\n\
             <label>Body<textarea name=\"body\" rows=\"10\" spellcheck=\"false\">{example}\
             </textarea></label>\n<label>Content-Type<select name=\"type\">\
             <option>application/json</option><option>application/x-ndjson</option>\
             <option>application/x-www-form-urlencoded</option></select></label>\n{fields}\
             <label>Idempotency-Key<input name=\"guid\" autocomplete=\"off\"></label>\n\
             <button>Send</button>\n<output></output>\n</form>\n</section>\n",
            topics = topics.join(", "),
            key = route.key.as_ref().map_or(String::new(), |key| {
                format!(", keyed by <code>{}</code>", escape(key))
            }),
            fields = match route.auth.is_empty() {
                true => "",
                false => {
                    "<label>Bearer token<input name=\"token\" type=\"password\" \
                     autocomplete=\"off\"></label>\n"
                }
            },
        );
    }
    page + "</body>\n</html>\n"
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
