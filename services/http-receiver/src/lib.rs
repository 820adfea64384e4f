//! Takes records over HTTP and produces them.
