//! A route as it runs: its schemas' ids, its program, its rate.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use nubium_avro::json::Exact;
use nubium_core::codec::Layout;
use nubium_core::metrics::TopicCounters;
use nubium_mapping::avro::Schema;
use nubium_mapping::mapping::{Mapper, Mapping, Plan};

use crate::fit::Rules;
use crate::gate::Gate;
use crate::rate::Bucket;
use crate::settings;

/// A topic that records go to.
pub struct Output {
    /// Topic.
    pub topic: String,
    /// How keys and values are written.
    pub layout: Layout,
    /// Its counters.
    pub counters: TopicCounters,
}

/// Says how an item becomes records.
pub enum How {
    /// It is the value of one record of the only output.
    Direct,
    /// A program makes records of it.
    Mapped(Mapped),
}

/// A program, and what it is run with.
pub struct Mapped {
    mapping: Arc<Mapping>,
    /// What an item must look like, with the plan of that schema.
    pub body: Option<(&'static Schema, Plan)>,
    /// Mappers that nobody uses at the moment: each keeps its buffers.
    idle: Mutex<Vec<Mapper>>,
}

impl Mapped {
    /// Runs `then` with a mapper.
    pub fn with_mapper<T>(&self, then: impl FnOnce(&mut Mapper) -> T) -> T {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = idle().pop();
        let mut mapper = kept.unwrap_or_else(|| Mapper::new(Arc::clone(&self.mapping)));
        let done = then(&mut mapper);
        idle().push(mapper);
        done
    }
}

/// A route as it runs.
pub struct Route {
    /// What the settings say.
    pub settings: settings::Route,
    /// How an item becomes records.
    pub how: How,
    /// Its outputs, the default first.
    pub outputs: Vec<Output>,
    /// Its rate.
    pub bucket: Option<Bucket>,
    /// Whether its topics acknowledge records.
    pub gate: Arc<Gate>,
}

impl Route {
    /// Gives what keeps the digits of an item's decimals.
    #[must_use]
    pub fn exact(&self) -> Exact<'static> {
        let schema = match &self.how {
            How::Direct => Some(self.outputs[0].layout.schema()),
            How::Mapped(mapped) => mapped.body.as_ref().map(|(schema, _)| *schema),
        };
        schema.map_or_else(Exact::default, |schema| Exact::of(schema, schema.root()))
    }

    /// Puts a route together; `mapping` is that of its program.
    ///
    /// # Errors
    /// The program cannot be run on the schema of the body.
    pub fn new(
        settings: &settings::Route,
        mapping: Option<Mapping>,
        outputs: Vec<Output>,
    ) -> anyhow::Result<Self> {
        let how = match mapping {
            None => How::Direct,
            Some(mapping) => {
                let body = match &settings.body {
                    None => None,
                    Some(file) => {
                        let schema = file.schema;
                        let plan = mapping.plan(0, schema)?;
                        Some((schema, plan))
                    }
                };
                How::Mapped(Mapped { mapping: Arc::new(mapping), body, idle: Mutex::default() })
            }
        };
        let bucket = settings.rate.map(|rate| Bucket::new(rate, Instant::now()));
        Ok(Self { settings: settings.clone(), how, outputs, bucket, gate: Arc::default() })
    }

    /// Says how strictly an item is held against its schema.
    #[must_use]
    pub fn rules(&self, from_text: bool) -> Rules {
        Rules { ignore_unknown: self.settings.ignore_unknown_fields, from_text }
    }
}
