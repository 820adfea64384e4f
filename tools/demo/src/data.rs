//! The records that ship with the demo, as the bytes a form service would send.

use anyhow::{Context, Result};
use vrl::value::{ObjectMap, Value};

use nubium_funnel::settings::Settings;
use nubium_mapping::avro::{Encoder, Schema};

const REPORTS: &str = include_str!("../data/strike-reports.csv");
const FILES: [(&str, &str); 4] = [
    ("strikes.vrl", include_str!("../data/strikes.vrl")),
    ("report.avsc", include_str!("../data/report.avsc")),
    ("strike.avsc", include_str!("../data/strike.avsc")),
    ("damage.avsc", include_str!("../data/damage.avsc")),
];

/// One filled-in form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Report {
    /// Number of the row in the data set, as text; key and `guid` of the message.
    pub(crate) id: String,
    /// The form's fields as an Avro datum.
    pub(crate) datum: Vec<u8>,
}

/// Gives the settings of the demo's funnel.
///
/// # Errors
/// When the files of the demo are wrong, which a test rules out.
pub(crate) fn settings() -> Result<Settings> {
    let read = |name: &str| match FILES.iter().find(|(known, _)| *known == name) {
        Some((_, text)) => Ok((*text).to_owned()),
        None => Err(std::io::Error::from(std::io::ErrorKind::NotFound)),
    };
    let yaml = include_str!("../data/funnel.yaml");
    Settings::parse("funnel.yaml", yaml, &read)
        .map_err(|problems| anyhow::anyhow!("the demo's settings are wrong: {problems:?}"))
}

/// Gives every report, in the order of the data set, then all over again from the first, without
/// end.
///
/// # Errors
/// When the data set is not what the schema says.
pub(crate) fn reports(schema: &&'static Schema) -> Result<impl Iterator<Item = Report> + use<>> {
    let mut rows = csv::Reader::from_reader(REPORTS.as_bytes());
    let mut data = Vec::new();
    for (index, row) in rows.records().enumerate() {
        let row = row.with_context(|| format!("row {} of the data", index + 1))?;
        let id = format!("report-{:05}", index + 1);
        let value = form(&id, &row);
        let mut datum = Vec::new();
        Encoder::new(schema)
            .encode(schema.root(), &value, &mut datum)
            .with_context(|| format!("row {} of the data", index + 1))?;
        data.push((id, datum));
    }
    let rounds = (0_u32..).flat_map(move |round| {
        let round_of = move |(id, datum): &(String, Vec<u8>)| Report {
            id: if round == 0 { id.clone() } else { format!("{id}-{round}") },
            datum: datum.clone(),
        };
        data.iter().map(round_of).collect::<Vec<_>>()
    });
    Ok(rounds)
}

fn form(id: &str, row: &csv::StringRecord) -> Value {
    const TEXTS: [(usize, &str); 10] = [
        (0, "airport"),
        (1, "aircraft"),
        (2, "damage"),
        (3, "flight_date"),
        (4, "operator"),
        (5, "state"),
        (6, "phase"),
        (7, "wildlife_size"),
        (8, "species"),
        (9, "time_of_day"),
    ];
    const NUMBERS: [(usize, &str); 4] =
        [(10, "cost_other"), (11, "cost_repair"), (12, "cost_total"), (13, "speed_knots")];
    let cell = |index: usize| row.get(index).unwrap_or_default();
    let texts = TEXTS.iter().map(|(index, name)| ((*name).into(), Value::from(cell(*index))));
    let numbers = NUMBERS.iter().map(|(index, name)| {
        let number = cell(*index).parse().map_or(Value::Null, Value::Integer);
        ((*name).into(), number)
    });
    let mut form: ObjectMap = texts.chain(numbers).collect();
    form.insert("report_id".into(), Value::from(id));
    Value::Object(form)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use std::collections::BTreeMap;

    use super::*;
    use nubium_mapping::mapping::{Envelope, Mapper, Verdict};

    /// How many reports the data set has.
    const COUNT: usize = 5_000;

    struct Message(Report);

    impl Envelope for Message {
        fn topic(&self) -> &str {
            "strike-reports"
        }
        fn partition(&self) -> i32 {
            0
        }
        fn offset(&self) -> i64 {
            0
        }
        fn timestamp_ms(&self) -> Option<i64> {
            None
        }
        fn key(&self) -> Result<Option<&str>, String> {
            Ok(Some(&self.0.id))
        }
        fn headers(&self, each: &mut dyn FnMut(&str, Option<&[u8]>)) {
            each("guid", Some(self.0.id.as_bytes()));
        }
        fn datum(&self) -> &[u8] {
            &self.0.datum
        }
    }

    #[test]
    fn every_report_is_an_event_dropped_or_failed_for_a_reason() {
        let settings = settings().expect("settings");
        let mapping = Arc::new(settings.compile(&[]).unwrap_or_else(|e| panic!("{}", e[0])));
        let schema = settings.inputs[0].schema.as_ref().expect("schema").schema;
        let plan = mapping.plan(0, schema).expect("plan");
        let mut mapper = Mapper::new(Arc::clone(&mapping));
        let mut counts = BTreeMap::<String, usize>::new();
        for report in reports(&schema).expect("reports").take(COUNT) {
            let what = match mapper.map(&plan, &Message(report)) {
                Ok(Verdict::Drop(reason)) => format!("dropped: {}", reason.unwrap_or_default()),
                Ok(Verdict::Produce) => mapping.outputs()[mapper.made()[0].output].topic.clone(),
                Err(error) => format!("failed: {}", error.to_string().contains("struck in phase")),
            };
            *counts.entry(what).or_default() += 1;
        }
        let wanted = [
            ("dropped: military flight", 548),
            ("failed: true", 3),
            ("strikes", 3_941),
            ("strikes-damaging", 508),
        ];
        let counts: Vec<_> = counts.iter().map(|(what, count)| (what.as_str(), *count)).collect();
        assert_eq!(counts, wanted);
    }

    #[test]
    fn there_are_as_many_reports_as_are_asked_for_each_with_its_own_name() {
        let settings = settings().expect("settings");
        let schema = settings.inputs[0].schema.as_ref().expect("schema").schema;
        let all: Vec<_> = reports(&schema).expect("reports").take(COUNT * 2 + 1).collect();
        let names: std::collections::BTreeSet<_> = all.iter().map(|report| &report.id).collect();
        assert_eq!(names.len(), COUNT * 2 + 1);
        assert_eq!(all[COUNT].id, "report-00001-1");
        assert_ne!(all[0].datum, all[1].datum);
    }
}
