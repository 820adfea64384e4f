//! What one would write in an afternoon: an axum handler that awaits rdkafka's deliveries.

use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use nubium_host::Stop;
use nubium_host::http::{Limits, serve as serve_http};
use rdkafka::ClientConfig;
use rdkafka::producer::{FutureProducer, FutureRecord};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Form {
    id: String,
    email: String,
    name: String,
    score: f64,
    clicks: i64,
    active: bool,
    comment: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Body {
    Many(Vec<Form>),
    One(Form),
}

#[derive(Clone)]
struct Shared {
    producer: FutureProducer,
    topic: String,
}

pub(crate) fn serve(port: &str, bootstrap: &str, topic: &str) {
    let producer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("linger.ms", "1")
        .create()
        .expect("producer");
    let shared = Shared { producer, topic: topic.to_owned() };
    let runtime = tokio::runtime::Runtime::new().expect("runtime");
    runtime.block_on(async {
        let address = format!("127.0.0.1:{port}");
        let listener = tokio::net::TcpListener::bind(address).await.expect("port");
        let router = Router::new().route("/forms", post(take)).with_state(shared);
        serve_http(listener, router, Limits::default(), Stop::new()).await;
    });
}

async fn take(State(shared): State<Shared>, body: Bytes) -> (StatusCode, &'static str) {
    let forms = match serde_json::from_slice(&body) {
        Ok(Body::Many(forms)) => forms,
        Ok(Body::One(form)) => vec![form],
        Err(_) => return (StatusCode::BAD_REQUEST, "bad JSON"),
    };
    let mut deliveries = Vec::with_capacity(forms.len());
    for form in &forms {
        let value = serde_json::to_vec(form).expect("JSON");
        let record = FutureRecord::to(&shared.topic).key(&form.id).payload(&value);
        match shared.producer.send_result(record) {
            Ok(delivery) => deliveries.push(delivery),
            Err(_) => return (StatusCode::SERVICE_UNAVAILABLE, "full"),
        }
    }
    let all = futures::future::join_all(deliveries);
    match tokio::time::timeout(Duration::from_secs(10), all).await {
        Ok(done) if done.iter().all(|one| matches!(one, Ok(Ok(_)))) => (StatusCode::OK, "{}"),
        _ => (StatusCode::SERVICE_UNAVAILABLE, "not acknowledged"),
    }
}
