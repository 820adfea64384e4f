use super::*;
use crate::item::Identity;
use crate::settings::Ids;
use reqwest::header::HeaderValue;
use serde_json::json;

fn judge(status: u16, retry_after: Option<&str>, body: &str, answer: Option<&Answer>) -> Verdict {
    let mut headers = HeaderMap::new();
    if let Some(text) = retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::try_from(text).expect("header"));
    }
    let status = StatusCode::from_u16(status).expect("status");
    let now = httpdate::parse_http_date("Tue, 24 Nov 2026 14:00:00 GMT").expect("date");
    let answered =
        Answered { from: "crm POST /in", status, headers: &headers, body: body.as_bytes(), now };
    answered.judge(&items(), answer)
}

fn items() -> Vec<Item> {
    let item = |index: usize| Item {
        index,
        identity: Identity { topic: "t", partition: 0, offset: index as i64, timestamp: 0 },
        json: "{}".into(),
        id: Some(format!("id{index}")),
        route: None,
    };
    (0..3).map(item).collect()
}

fn answer(ids: bool) -> Answer {
    let ids = ids.then(|| Ids { result: "/ref".into(), item: "/id".into() });
    let done = vec!["created".into()];
    Answer { items: "/results".into(), status: "/status".into(), done, ids }
}

#[test]
fn a_status_decides_about_all_messages() {
    assert_eq!(judge(200, None, "", None), Verdict::Done);
    assert_eq!(judge(202, None, "", None), Verdict::Done);
    assert!(matches!(judge(413, None, "", None), Verdict::TooLarge(_)));
    assert!(matches!(judge(401, None, "", None), Verdict::Unauthorized(_)));
    for status in [400, 403, 404, 409, 410, 422] {
        let Verdict::Failed(exception) = judge(status, None, "a  \n wrong  id", None) else {
            panic!("{status}")
        };
        assert_eq!(exception.name, format!("Http{status}"));
        assert!(exception.description.ends_with("from crm POST /in: a wrong id"), "{exception}");
    }
    for status in [408, 425, 429, 500, 502, 503, 504, 307] {
        assert!(matches!(judge(status, None, "", None), Verdict::Again { wait: None, .. }));
    }
    let Verdict::Failed(exception) = judge(207, None, "[]", None) else { panic!() };
    assert_eq!(exception.name, "UnmappedAnswer");
}

#[test]
fn retry_after_is_read_as_seconds_or_date_and_now_or_earlier_is_no_time() {
    let seconds = Duration::from_secs;
    for (text, expected) in [
        ("7", Some(seconds(7))),
        (" 0 ", None),
        ("Tue, 24 Nov 2026 14:01:30 GMT", Some(seconds(90))),
        ("Tue, 24 Nov 2026 13:59:55 GMT", None),
        ("Tue, 24 Nov 2026 14:00:00 GMT", None),
        ("99999999999", Some(LONGEST_WAIT)),
        ("soon", None),
        ("-1", None),
        ("", None),
    ] {
        for status in [429, 503] {
            let Verdict::Again { wait, .. } = judge(status, Some(text), "", None) else { panic!() };
            assert_eq!(wait, expected, "{text}");
        }
    }
}

#[test]
fn results_are_mapped_by_place_or_by_id() {
    let results = json!({"results": [
        {"ref": "id2", "status": 422, "error": "no name"},
        {"ref": "id0", "status": "201"},
        {"ref": "id1", "status": 503},
    ]});
    let Verdict::Each(outcomes) = judge(207, None, &results.to_string(), Some(&answer(false)))
    else {
        panic!()
    };
    assert!(matches!(&outcomes[0], Outcome::Failed(e) if e.description.contains("no name")));
    assert!(matches!(outcomes[1..], [Outcome::Done(_), Outcome::Again(_)]));
    let by_id = judge(207, None, &results.to_string(), Some(&answer(true)));
    let Verdict::Each(outcomes) = by_id else { panic!() };
    assert!(matches!(outcomes[..], [Outcome::Done(_), Outcome::Again(_), Outcome::Failed(_)]));
}

#[test]
fn what_is_missing_in_an_answer_is_not_taken_for_done() {
    for body in ["", "no json", "{}", r#"{"results": [{"status": 200}]}"#] {
        let verdict = judge(200, None, body, Some(&answer(false)));
        assert!(matches!(verdict, Verdict::Again { .. }), "{body}: {verdict:?}");
    }
    let one = r#"{"results": [{"ref": "id1", "status": "created"}]}"#;
    let Verdict::Each(outcomes) = judge(200, None, one, Some(&answer(true))) else { panic!() };
    assert!(matches!(outcomes[..], [Outcome::Again(_), Outcome::Done(_), Outcome::Again(_)]));
    let odd = r#"{"results": [{"status": "odd"}, {"status": null}, {"status": "created"}]}"#;
    let Verdict::Each(outcomes) = judge(200, None, odd, Some(&answer(false))) else { panic!() };
    assert!(matches!(outcomes[..], [Outcome::Failed(_), Outcome::Failed(_), Outcome::Done(_)]));
}

#[test]
fn excerpts_are_short_and_on_one_line() {
    assert_eq!(excerpt(b""), "(no body)");
    assert_eq!(excerpt(b"a\r\n\tb"), "a b");
    let long = "ä".repeat(2_000);
    assert_eq!(excerpt(long.as_bytes()).chars().count(), EXCERPT + 1);
    assert!(excerpt(&[0xff, 0xfe]).contains('\u{fffd}'));
}
