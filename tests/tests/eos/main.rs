//! Exactly once, end to end: a real broker, a real registry, real processes and real faults.

mod answers;
mod any_message;
mod batch;
mod batch_uploader;
mod fencing;
mod funnel;
mod guid;
mod harness;
mod hundred_thousand;
mod lifecycle;
mod messages;
mod out_of_range;
mod plain_clients;
mod probes;
mod protocols;
mod refused;
mod registry_faults;
mod secure;
mod setup;
mod tokens;
mod transactional_input;
mod versions;
mod wire_points;

/// The app under test.
const APP: &str = env!("CARGO_BIN_EXE_ledger-app");
/// The same work in batches.
const BATCH_APP: &str = env!("CARGO_BIN_EXE_batch-app");
/// The service `funnel`.
const FUNNEL: &str = env!("CARGO_BIN_EXE_funnel-under-test");
/// The service `batch-uploader`.
const UPLOADER: &str = env!("CARGO_BIN_EXE_uploader-app");
