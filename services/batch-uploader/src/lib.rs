//! Sends batches of messages to an HTTP API.
