//! From a body to an answer: items, records, acknowledgements.

use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use super::answer::{Accepted, ItemStatus, Refusal, Status, json};
use super::body::Held;
use super::unpack::unpack;
use super::{App, Kind, now_millis, unavailable};
use crate::deliver::{Failure, Fate};
use crate::fit::Problem;
use crate::guid::Guids;
use crate::items::{self, BodyError, Coding};
use crate::prepare::{Item, Prepared};
use crate::route::Route;

/// Produces the items of a body; answers 200 only when Kafka has acknowledged every record.
///
/// # Errors
/// 400 with all problems of the body, and nothing is produced; 413; 503 with what became of each
/// item.
pub(super) async fn receive(
    app: &App,
    route: &Route,
    headers: &HeaderMap,
    (format, coding): Kind,
    body: Held,
) -> Result<Response, Refusal> {
    let guids = Guids::of(headers).map_err(|why| Refusal::new(StatusCode::BAD_REQUEST, why))?;
    let carried = carried(app, route, headers);
    let size = body.bytes.len() * if coding == Coding::Identity { 1 } else { UNPACKED };
    let body = aside(size, || unpack(body, coding, &app.bounds))?;
    let bounds = (app.largest_record, now_millis(), format.is_text());
    let mut prepared = Prepared::new(route, &guids, &carried, bounds);
    let taken = aside(body.bytes.len(), || {
        let exact = route.exact();
        items::each(&format, &body.bytes, app.most_items, exact, &mut |index, list, item| {
            prepared.add(index, list, item);
        })
    });
    let is_list = check(app, route, &mut prepared, taken)?;
    let failures = app.delivery.deliver(&route.gate, prepared.outgoing()).await;
    // Given back only now: until here the request takes memory.
    drop(body);
    count(route, &prepared, &failures);
    if !failures.is_empty() {
        return Err(failed(route, &prepared, &failures));
    }
    let dropped = prepared.items.iter().filter(|item| item.records.is_empty()).count();
    app.telemetry.dropped(&route.settings.path, dropped);
    Ok(accepted(prepared, dropped, is_list))
}

/// Bodies of this many bytes take milliseconds to read and encode; other requests and the probes do
/// not wait for that.
const LARGE: usize = 256 << 10;
/// A packed body of JSON is about so much larger when it is unpacked; a hostile one 1,000 times.
const UNPACKED: usize = 64;

/// Does work on a body; on a large one while another thread goes on with this one's other tasks.
fn aside<T>(bytes: usize, work: impl FnOnce() -> T) -> T {
    let threads = tokio::runtime::Handle::current().runtime_flavor();
    if bytes >= LARGE && threads == tokio::runtime::RuntimeFlavor::MultiThread {
        return tokio::task::block_in_place(work);
    }
    work()
}

/// Gives the headers of every record: the settings', the request's, and who wrote it.
fn carried(app: &App, route: &Route, headers: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    let settings = &route.settings;
    let mut carried = Vec::with_capacity(settings.headers.len() + settings.copy_headers.len() + 1);
    carried.push(("last_updated_by".to_owned(), app.last_updated_by.clone().into_bytes()));
    for (name, value) in &settings.headers {
        carried.push((name.clone(), value.clone().into_bytes()));
    }
    for name in &settings.copy_headers {
        if let Some(value) = headers.get(name) {
            carried.push((name.clone(), value.as_bytes().to_vec()));
        }
    }
    carried
}

/// Refuses a body with anything wrong in it. Answers whether it is a list.
fn check(
    app: &App,
    route: &Route,
    prepared: &mut Prepared<'_>,
    taken: Result<bool, BodyError>,
) -> Result<bool, Refusal> {
    if let Some(fault) = prepared.fault.take() {
        tracing::error!(path = route.settings.path, fault, "The route's program is wrong.");
        let detail = "the program of this route is wrong; nothing was produced";
        return Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, detail));
    }
    let mut problems = std::mem::take(&mut prepared.problems);
    let is_list = match taken {
        Ok(is_list) => is_list,
        Err(BodyError::TooMany) => {
            let detail = format!("the body has more than {} items", app.most_items);
            return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, detail));
        }
        Err(BodyError::Syntax { pointer, reason }) => {
            problems.push(Problem { pointer, reason });
            false
        }
    };
    if !problems.is_empty() {
        let detail = match problems.as_slice() {
            [Problem { pointer, reason }] if pointer.is_empty() => reason.clone(),
            [Problem { pointer, reason }] => format!("{pointer}: {reason}"),
            more => format!("the body has {} problems; nothing was produced", more.len()),
        };
        return Err(Refusal::new(StatusCode::BAD_REQUEST, detail).with_problems(problems));
    }
    if let Some(size) = prepared.too_large {
        let detail = format!(
            "a record would have {size} bytes, more than {}; nothing was produced",
            app.largest_record
        );
        return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, detail));
    }
    Ok(is_list)
}

/// Counts what was acknowledged.
fn count(route: &Route, prepared: &Prepared<'_>, failures: &[Failure]) {
    let mut counts = vec![0_u64; route.outputs.len()];
    (0..prepared.len()).for_each(|record| counts[prepared.output(record)] += 1);
    for failure in failures {
        counts[prepared.output(failure.index as usize)] -= 1;
    }
    for (output, count) in route.outputs.iter().zip(counts) {
        output.counters.produced(count);
    }
}

fn accepted(prepared: Prepared<'_>, dropped: usize, is_list: bool) -> Response {
    let records = prepared.len();
    let mut guids: Vec<String> = prepared.items.into_iter().map(|item| item.guid).collect();
    let guid = if is_list { None } else { guids.pop() };
    let guids = is_list.then_some(guids);
    let body = Accepted { success: true, records, dropped, guid, guids };
    json(StatusCode::OK, "application/json", &body)
}

fn failed(route: &Route, prepared: &Prepared<'_>, failures: &[Failure]) -> Refusal {
    let first = &failures[0];
    tracing::warn!(
        path = route.settings.path,
        records = prepared.len(),
        failed = failures.len(),
        reason = first.reason,
        "Records of a request were not acknowledged."
    );
    let items = prepared.items.iter().enumerate().map(|(at, item)| status(at, item, failures));
    let items: Vec<_> = items.collect();
    let open = items.iter().filter(|item| item.status != Status::Acknowledged).count();
    let detail = format!("Kafka did not acknowledge {open} of {} items", items.len());
    if failures.iter().all(|failure| failure.fate == Fate::TooLarge) {
        return Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, detail).with_items(items);
    }
    unavailable(detail).with_items(items)
}

fn status(index: usize, item: &Item, failures: &[Failure]) -> ItemStatus {
    let own = failures.iter().filter(|failure| item.records.contains(&(failure.index as usize)));
    let worst = |failure: &Failure| match failure.fate {
        Fate::Unknown => Status::Unknown,
        Fate::NotWritten | Fate::TooLarge => Status::NotWritten,
    };
    let found = own.map(|failure| (worst(failure), &failure.reason)).max();
    ItemStatus {
        index,
        guid: item.guid.clone(),
        status: found.map_or(Status::Acknowledged, |(status, _)| status),
        reason: found.map(|(_, reason)| reason.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_is_as_bad_as_the_worst_of_its_records() {
        let failure = |index, fate| Failure { index, fate, reason: format!("reason of {index}") };
        let failures =
            [failure(1, Fate::NotWritten), failure(3, Fate::NotWritten), failure(4, Fate::Unknown)];
        for (records, expected, reason) in [
            (0..1, Status::Acknowledged, None),
            (0..2, Status::NotWritten, Some("reason of 1")),
            (2..2, Status::Acknowledged, None),
            (3..5, Status::Unknown, Some("reason of 4")),
        ] {
            let status = status(7, &Item { guid: "g".into(), records }, &failures);
            assert_eq!((status.status, status.reason.as_deref()), (expected, reason));
            assert_eq!((status.index, status.guid.as_str()), (7, "g"));
        }
    }

    #[test]
    fn a_large_body_leaves_its_thread_to_other_requests() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build();
        let runtime = runtime.expect("runtime");
        let (other_done, wait) = std::sync::mpsc::channel();
        let read = runtime.spawn(async move {
            let other = tokio::spawn(async move { other_done.send(()) });
            // Blocks as parsing does, until the other task has run: on the only worker.
            let waited = aside(LARGE, || wait.recv_timeout(std::time::Duration::from_secs(60)));
            (other.await, waited)
        });
        let (_, waited) = runtime.block_on(read).expect("no panic");
        assert!(waited.is_ok(), "nothing else ran meanwhile");
    }
}
