use std::sync::mpsc;

use super::*;

/// Long enough to say "never" and short enough not to hold up a broken build.
const NEVER: Duration = Duration::from_secs(3600);
const PATIENCE: Duration = Duration::from_secs(30);

fn watchdog() -> (Watchdog, mpsc::Receiver<Overdue>) {
    let (report, reports) = mpsc::channel();
    let action = move |overdue| report.send(overdue).expect("the test waits for reports");
    (Watchdog::with_action(action).expect("thread"), reports)
}

#[test]
fn reports_the_call_that_hangs_once_and_by_name() {
    let (watchdog, reports) = watchdog();
    let _fine = watchdog.watch("begin_transaction", NEVER);
    let hung = watchdog.watch("commit_transaction", Duration::from_millis(1));
    let overdue = reports.recv_timeout(PATIENCE).expect("a report");
    assert_eq!(overdue.name, "commit_transaction");
    assert!(overdue.elapsed >= overdue.limit);
    // A second hang is the proof that the first was reported once: reports keep their order.
    let _second = watchdog.watch("abort_transaction", Duration::from_millis(1));
    assert_eq!(reports.recv_timeout(PATIENCE).expect("a report").name, "abort_transaction");
    drop(hung);
}

#[test]
fn says_nothing_of_calls_that_return() {
    let (watchdog, reports) = watchdog();
    for _ in 0..1000 {
        drop(watchdog.watch("commit_transaction", NEVER));
    }
    assert!(watchdog.0.0.lock().watched.is_empty());
    drop(watchdog);
    // The thread has ended when its sender is gone.
    assert_eq!(reports.recv_timeout(PATIENCE), Err(mpsc::RecvTimeoutError::Disconnected));
}

#[test]
fn a_guard_keeps_the_watch_after_the_last_handle() {
    let (watchdog, reports) = watchdog();
    let guard = watchdog.watch("send_offsets", Duration::from_millis(1));
    drop(watchdog);
    assert_eq!(reports.recv_timeout(PATIENCE).expect("a report").name, "send_offsets");
    drop(guard);
    assert_eq!(reports.recv_timeout(PATIENCE), Err(mpsc::RecvTimeoutError::Disconnected));
}

#[test]
fn time_in_which_the_process_stood_still_does_not_count() {
    let start = Instant::now();
    let limit = Duration::from_secs(20);
    let watched = Watched { id: 0, name: "commit", since: start, limit, reported: false };
    let mut state = State { watched: vec![watched], ..State::default() };

    // Asked for half a second, woken after a minute: SIGSTOP and SIGCONT.
    let woken = start + Duration::from_secs(60);
    state.excuse(stood_still(TICK, Duration::from_secs(60)), woken);
    assert_eq!(state.overdue(woken), []);

    // The rest of its limit still counts.
    let past = woken + limit;
    assert_eq!(state.nap(past - limit), TICK);
    let overdue = state.overdue(past);
    assert_eq!(overdue.len(), 1);
    assert_eq!(overdue[0].elapsed, limit + TICK);
}

#[test]
fn a_stand_still_before_the_thread_has_looked_does_not_count() {
    // The call began, the process was stopped at once, and the thread comes to run only now.
    let stood = Duration::from_secs(10);
    let since = Instant::now().checked_sub(stood).expect("the machine is up for 10 s");
    let limit = Duration::from_secs(1);
    let watched = vec![Watched { id: 0, name: "commit", since, limit, reported: false }];
    let state = State { watched, awake: true, looked: Some(since), ..State::default() };
    let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
    let (report, reports) = mpsc::channel();
    let thread = thread::spawn({
        let shared = Arc::clone(&shared);
        move || shared.run(&move |overdue| report.send(overdue).expect("the test waits"))
    });
    let overdue = reports.recv_timeout(PATIENCE).expect("a report");
    assert!(overdue.elapsed < stood, "{overdue:?}");
    shared.lock().closed = true;
    thread.join().expect("ended");
}

#[test]
fn a_late_wake_up_on_a_busy_machine_is_no_stand_still() {
    assert_eq!(stood_still(TICK, TICK + LATE / 2), Duration::ZERO);
    assert_eq!(stood_still(TICK, TICK + LATE * 2), LATE * 2);
}
