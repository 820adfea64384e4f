//! Headless Chromium, driven through ChromeDriver by the requests of the WebDriver standard.

use std::path::Path;

use serde_json::{Value, json};

use super::{Server, free_address, install, start};

/// Under this name an element comes in WebDriver's answers.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A window of a browser that knows nothing yet. Ends when dropped.
pub(crate) struct Browser {
    driver: Server,
    session: String,
    _profile: tempfile::TempDir,
}

/// A request of the standard that did not work: its error and message.
#[derive(Debug)]
pub(crate) struct Failed(String);

impl Browser {
    pub(crate) fn start() -> Self {
        let chromium = install::program("chromium", "chromium");
        let program = install::program("chromedriver", "chromium-driver");
        let address = free_address();
        let driver = start(&program, address, &[format!("--port={}", address.port())]);
        let profile = tempfile::tempdir().expect("directory");
        let profile_flag = format!("--user-data-dir={}", profile.path().display());
        // No sandbox, as CI runs as root; and nothing that looks for other hosts.
        let flags = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--window-size=1200,900",
            &profile_flag,
        ];
        let capabilities = json!({
            "goog:chromeOptions": { "binary": chromium, "args": flags },
            "goog:loggingPrefs": { "browser": "ALL" },
        });
        let mut browser = Self { driver, session: String::new(), _profile: profile };
        let body = json!({ "capabilities": { "alwaysMatch": capabilities } });
        let session = browser.ask("POST", "/session", &body).expect("a session");
        browser.session = session["sessionId"].as_str().expect("an id").to_owned();
        browser
    }

    pub(crate) fn open(&self, url: &str) {
        self.post("/url", &json!({ "url": url })).expect("opened");
    }

    pub(crate) fn click(&self, selector: &str) {
        let element = self.find("css selector", selector).expect("an element");
        self.post(&format!("/element/{element}/click"), &json!({})).expect("clicked");
    }

    pub(crate) fn follow(&self, link: &str) {
        let element = self.find("partial link text", link).expect("a link");
        self.post(&format!("/element/{element}/click"), &json!({})).expect("clicked");
    }

    pub(crate) fn type_into(&self, selector: &str, text: &str) {
        let element = self.find("css selector", selector).expect("an element");
        let body = json!({ "text": text });
        self.post(&format!("/element/{element}/value"), &body).expect("typed");
    }

    /// Returns what a person sees of the page.
    pub(crate) fn text(&self) -> String {
        let text = self.run("return document.body.innerText");
        text.as_str().expect("a text").to_owned()
    }

    /// Runs a script in the page and returns its result.
    pub(crate) fn run(&self, script: &str) -> Value {
        let body = json!({ "script": script, "args": [] });
        self.post("/execute/sync", &body).expect("ran")
    }

    pub(crate) fn resize(&self, width: u32, height: u32) {
        self.post("/window/rect", &json!({ "width": width, "height": height })).expect("resized");
    }

    /// Returns what the browser complained about: errors of the page and refused resources.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let log = self.post("/se/log", &json!({ "type": "browser" })).expect("a log");
        log.as_array().expect("a list").iter().map(Value::to_string).collect()
    }

    /// Writes what is seen to a PNG file.
    pub(crate) fn screenshot(&self, file: &Path) {
        use base64::Engine as _;
        let path = format!("/session/{}/screenshot", self.session);
        let png = self.ask("GET", &path, &Value::Null).expect("a picture");
        let png = base64::engine::general_purpose::STANDARD.decode(png.as_str().expect("a text"));
        std::fs::write(file, png.expect("base64")).expect("written");
    }

    fn find(&self, using: &str, value: &str) -> Result<String, Failed> {
        let found = self.post("/element", &json!({ "using": using, "value": value }))?;
        Ok(found[ELEMENT].as_str().expect("an id").to_owned())
    }

    fn post(&self, path: &str, body: &Value) -> Result<Value, Failed> {
        self.ask("POST", &format!("/session/{}{path}", self.session), body)
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Result<Value, Failed> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let headers = [("content-type", "application/json")];
        let answer = self.driver.send(method, path, &headers, body.as_bytes());
        let mut json: Value = serde_json::from_slice(&answer.body).expect("JSON");
        match answer.status {
            200 => Ok(json["value"].take()),
            _ => Err(Failed(format!("{path}: {}", json["value"]))),
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver ends the browser; killed, it would leave it.
        let _ = self.ask("DELETE", &format!("/session/{}", self.session), &Value::Null);
    }
}
