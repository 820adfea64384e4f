//! The page, as a person uses it: in headless Chromium.

mod common;

use common::browser::Browser;
use common::{Server, cache};

fn filled() -> Server {
    let server = cache(&["--push.expire-after=26h"]);
    for (group, body) in [
        (
            "job/shop/instance/shop-0",
            "# HELP orders_total Orders taken.\n# TYPE orders_total counter\n\
          orders_total{country=\"at\"} 5\norders_total{country=\"de\"} 12\n",
        ),
        ("job/shop/instance/shop-1", "orders_total{country=\"at\"} 7\n"),
        (
            "job/bank",
            "# TYPE took_seconds histogram\ntook_seconds_bucket{le=\"1\"} 2\n\
          took_seconds_sum 1\ntook_seconds_count 3\n",
        ),
        ("job/night%20run/zone/%3Cscript%3Ealert(1)%3Cb%3E", "lines_total 9\n"),
    ] {
        let body = body.replace(
            "orders_total{country=\"at\"} 7",
            "# TYPE orders_total counter\n\
          orders_total{country=\"at\"} 7",
        );
        let answer = server.put(&format!("/metrics/{group}"), &body);
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    assert_eq!(server.put("/metrics/job/bank", "took_seconds 1 1\n").status, 400);
    server
}

#[test]
fn a_person_searches_looks_and_deletes() {
    let server = filled();
    let browser = Browser::start();
    browser.open(&format!("http://{}/", server.address));
    assert!(browser.text().contains("4 of 4 groups"), "{}", browser.text());
    picture(&browser, "list");

    browser.type_into("input[type=search]", "ORDERS shop-1");
    browser.click("form button");
    let text = browser.text();
    assert!(text.contains("1 of 4 groups") && text.contains("shop-1"), "{text}");
    assert!(!text.contains("bank"), "{text}");

    browser.follow("shop-1");
    let text = browser.text();
    assert!(text.contains("orders_total") && text.contains("country=\"at\""), "{text}");
    assert!(text.contains("after 1 d 2 h"), "it says when the group goes: {text}");
    picture(&browser, "group");

    browser.follow("Delete");
    let text = browser.text();
    assert!(text.contains("Delete this group") && text.contains("shop-1"), "{text}");
    picture(&browser, "question");
    browser.follow("Keep it");
    assert!(browser.text().contains("4 of 4 groups"), "{}", browser.text());
    browser.open(&format!("http://{}/?q=shop-1", server.address));
    browser.follow("Delete");
    browser.click("#confirm");
    assert!(browser.text().contains("3 of 3 groups"), "{}", browser.text());
    let metrics = server.metrics();
    assert!(!metrics.contains("shop-1") && metrics.contains("shop-0"), "{metrics}");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn nothing_that_was_pushed_runs_and_the_page_fits_a_phone() {
    let server = filled();
    let browser = Browser::start();
    browser.resize(500, 800);
    for path in ["/", "/?q=night", "/?q=%3Cb%3E%22"] {
        browser.open(&format!("http://{}{path}", server.address));
        assert_eq!(browser.run("return document.scripts.length"), 0, "{path}");
        let fits = "return document.documentElement.scrollWidth <= window.innerWidth";
        assert_eq!(browser.run(fits), true, "{path}: {}", browser.text());
    }
    browser.open(&format!("http://{}/", server.address));
    picture(&browser, "phone");
    assert!(browser.text().contains("<script>alert(1)<b>"), "{}", browser.text());
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

/// Keeps what is seen for people to look at, when `PICTURES` names a directory.
fn picture(browser: &Browser, name: &str) {
    if let Some(directory) = std::env::var_os("PICTURES") {
        browser.screenshot(&std::path::Path::new(&directory).join(format!("{name}.png")));
    }
}
