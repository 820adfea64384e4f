//! Reads from an answer's headers when the API takes requests again. Pure.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::header::HeaderMap;

use crate::answer::LONGEST_WAIT;
use crate::settings::Quota;

/// Larger numbers are no seconds from now but a time: seconds since 1970, or above the second one
/// milliseconds.
const TIMES: (f64, f64) = (1e9, 1e11);

impl Quota {
    /// Says how long no request is left, if none is.
    #[must_use]
    pub fn pause(&self, headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
        let text = |name: &str| Some(headers.get(name)?.to_str().ok()?.trim());
        let remaining: f64 = number(text(&self.remaining)?)?;
        if remaining >= 1.0 {
            return None;
        }
        let reset = text(&self.reset)?;
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let wait = match (httpdate::parse_http_date(reset), number(reset)) {
            (Ok(date), _) => date.duration_since(now).ok(),
            (_, Some(time)) if time > TIMES.1 => seconds(time / 1e3)?.checked_sub(since),
            (_, Some(time)) if time > TIMES.0 => seconds(time)?.checked_sub(since),
            (_, Some(wait)) => seconds(wait),
            _ => None,
        };
        wait.filter(|wait| !wait.is_zero()).map(|wait| wait.min(LONGEST_WAIT))
    }
}

/// Reads the number that a text begins with: some add their window, `0;w=60`.
fn number(text: &str) -> Option<f64> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    text[..end].parse().ok()
}

fn seconds(number: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(number).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_that_is_used_up_says_until_when() {
        let quota = Quota { remaining: "x-left".into(), reset: "x-reset".into() };
        let now = UNIX_EPOCH + Duration::from_millis(1_700_000_000_500);
        for (left, reset, want) in [
            ("0", "30", Some(30_000)),
            ("0;w=60", "0.25", Some(250)),
            ("0", "1700000010", Some(9_500)),
            ("0", "1700000010250", Some(9_750)),
            ("0", "Tue, 14 Nov 2023 22:13:25 GMT", Some(4_500)),
            ("0", "99999999", Some(86_400_000)),
            ("1", "30", None),
            ("0", "0", None),
            ("0", "1600000000", None),
            ("0", "Tue, 14 Nov 2022 22:13:25 GMT", None),
            ("0", "soon", None),
            ("many", "30", None),
        ] {
            let headers = [("x-left", left), ("x-reset", reset)];
            let headers = headers.map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap()));
            let headers: HeaderMap = headers.into_iter().collect();
            let got = quota.pause(&headers, now).map(|wait| wait.as_millis());
            assert_eq!(got, want, "{left} {reset}");
        }
        assert_eq!(quota.pause(&HeaderMap::new(), now), None);
    }
}
