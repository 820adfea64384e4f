use proptest::prelude::*;

use super::parse;
use crate::limits::{Bound, PushError, PushLimits};
use crate::names::Names;
use crate::scrape::Format;
use crate::store::Mode;
use crate::testing::{body, key, limits, scrape_as, store};

fn problem(text: &str) -> String {
    match parse(text.as_bytes(), &limits()) {
        Err(PushError::Malformed(why)) => why,
        other => format!("{other:?}"),
    }
}

#[test]
fn says_what_is_wrong_and_in_which_line() {
    for (text, want) in [
        ("a{x=\"1\",x=\"2\"} 1\n", "1: duplicate label names for metric \"a\""),
        ("a{,} 1\n", "1: invalid label name for metric \"a\""),
        ("a{x=\"1\" y=\"2\"} 1\n", "1: unexpected end of label value \"1\""),
        ("\na{x=\"\\q\"} 1\n", "2: invalid escape sequence '\\q'"),
        ("a{x=1} 1\n", "1: expected '\"' at start of label value, found '1'"),
        ("a{x} 1\n", "1: expected '=' after label name, found '}'"),
        ("a{__name__=\"x\"} 1\n", "1: label name \"__name__\" is reserved"),
        ("a{x=\"1\n\"} 1\n", "1: label value \"1\" contains unescaped new-line"),
        ("a 1 x\n", "1: expected integer as timestamp, got \"x\""),
        ("a 1 \n", "1: expected integer as timestamp, got \"\""),
        ("a 1 5 x\n", "1: spurious string after timestamp: \" x\""),
        ("a 1\r\n", "1: expected float as value, got \"1\\r\""),
        ("a 1", "1: unexpected end of input stream"),
        ("a{x=\"\\", "1: unexpected end of input stream"),
        ("# c", "1: unexpected end of input stream"),
        ("1a 1\n", "1: invalid metric name"),
        ("{} 1\n", "1: invalid metric name"),
        ("# HELP a x\n# HELP a y\n", "2: second HELP line for metric name \"a\""),
        ("a 1\n# TYPE a gauge\n", "2: second TYPE line for metric name \"a\", or TYPE reported"),
        ("# TYPE a foo\n", "1: unknown metric type \"foo\""),
        ("# TYPE 1a gauge\n", "1: invalid metric name in comment"),
        ("# TYPE s summary\ns{quantile=\"a\"} 1\n", "2: expected float as value for 'quantile'"),
        ("# TYPE h histogram\nh_bucket{le=\"x\"} 1\n", "2: expected float as value for 'le'"),
        ("# TYPE h histogram\nh_count -1\n", "2: negative count for histogram \"h\""),
    ] {
        let want = format!("text format parsing error in line {want}");
        assert!(problem(text).starts_with(&want), "{text:?}: {}", problem(text));
    }
    let bad = parse(b"a 1\nb{x=\"\xff\"} 1\n", &limits());
    assert!(matches!(bad, Err(PushError::Malformed(why)) if why.contains("line 2")));
}

#[test]
fn limits_the_labels_of_a_series_while_it_reads() {
    let labels: Vec<_> = (0..11).map(|n| format!("l{n}=\"\"")).collect();
    let text = format!("a{{{}}} 1\n", labels.join(","));
    let refused = parse(text.as_bytes(), &limits());
    assert!(matches!(refused, Err(PushError::Refused(Bound::Labels, _))), "{refused:?}");
}

const ALL_KINDS: &str = "\
# HELP c_total Quote \" and \\\\ and \\n.\n# TYPE c_total counter\nc_total{x=\"1\"} 5\n\
# TYPE g gauge\ng 1\ng{x=\"\\\"\"} -1.5e-7\n\
# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_sum 3\nh_count 2\n\
# TYPE s summary\ns{quantile=\"0.5\"} 1\ns_sum 2\ns_count 3\n\
u NaN\n";

#[test]
fn writes_the_text_format() {
    let store = store();
    store.push(&key("job/j"), body(ALL_KINDS), Mode::Replace, None).expect("pushed");
    let text = String::from_utf8(scrape_as(&store, Format::Text)).expect("UTF-8");
    let pushed: String = text
        .lines()
        .filter(|line| !line.contains("push_"))
        .fold(String::new(), |all, line| all + line + "\n");
    assert_eq!(
        pushed,
        "# HELP c_total Quote \" and \\\\ and \\n.\n# TYPE c_total counter\n\
         c_total{instance=\"\",job=\"j\",x=\"1\"} 5\n\
         # TYPE g gauge\ng{instance=\"\",job=\"j\"} 1\n\
         g{instance=\"\",job=\"j\",x=\"\\\"\"} -1.5e-07\n\
         # TYPE h histogram\nh_bucket{instance=\"\",job=\"j\",le=\"1\"} 1\n\
         h_bucket{instance=\"\",job=\"j\",le=\"+Inf\"} 2\n\
         h_sum{instance=\"\",job=\"j\"} 3\nh_count{instance=\"\",job=\"j\"} 2\n\
         # TYPE s summary\ns{instance=\"\",job=\"j\",quantile=\"0.5\"} 1\n\
         s_sum{instance=\"\",job=\"j\"} 2\ns_count{instance=\"\",job=\"j\"} 3\n\
         # TYPE u untyped\nu{instance=\"\",job=\"j\"} NaN\n"
    );
}

#[test]
fn writes_openmetrics() {
    let store = store();
    store.push(&key("job/j"), body(ALL_KINDS), Mode::Replace, None).expect("pushed");
    let text = String::from_utf8(scrape_as(&store, Format::OpenMetrics)).expect("UTF-8");
    for line in [
        "# HELP c Quote \\\" and \\\\ and \\n.\n# TYPE c counter\nc_total{",
        "h_bucket{instance=\"\",job=\"j\",le=\"1.0\"} 1\n",
        "# TYPE u unknown\n",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    assert!(text.ends_with("\n# EOF\n"));
}

#[test]
fn openmetrics_has_no_name_twice() {
    let store = store();
    let text = "# TYPE x_total counter\nx_total 1\n# TYPE x gauge\nx 1\n\
                # TYPE h histogram\nh_count 1\n# TYPE h_created gauge\nh_created 5\n\
                # TYPE alone_created gauge\nalone_created 5\n";
    store.push(&key("job/j"), body(text), Mode::Replace, None).expect("pushed");
    let text = String::from_utf8(scrape_as(&store, Format::OpenMetrics)).expect("UTF-8");
    assert!(text.contains("# TYPE x gauge\n") && text.contains("# TYPE x_total unknown\n"));
    assert!(!text.contains("h_created") && text.contains("\nalone_created{"), "{text}");
    assert!(scrape_as(&store, Format::Text).windows(9).any(|it| it == b"h_created"));
}

#[test]
fn protobuf_out_is_protobuf_in() {
    let (first, second) = (store(), store());
    first.push(&key("job/j"), body(ALL_KINDS), Mode::Replace, None).expect("pushed");
    let bytes = scrape_as(&first, Format::Protobuf);
    let again = crate::proto::parse(&bytes, &limits()).expect("readable");
    second.push(&key("job/j"), again, Mode::Replace, None).expect("pushed");
    let samples = |store| {
        let text = String::from_utf8(scrape_as(store, Format::Text)).expect("UTF-8");
        text.lines().filter(|line| !line.contains("push_")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(samples(&first), samples(&second));
}

#[test]
fn many_series_are_refused_while_they_are_read() {
    let text = "a 1\n".repeat(1001);
    let refused = parse(text.as_bytes(), &limits());
    assert!(matches!(refused, Err(PushError::Refused(Bound::Series, _))), "{refused:?}");
    // A family of empty metrics, and one of a metric with empty labels.
    for (inner, series) in [([4 << 3 | 2, 0].repeat(1001), true), (empty_labels(), false)] {
        let mut body = vec![u8::try_from(inner.len() & 0x7f).expect("7 bits") | 0x80];
        body.push(u8::try_from(inner.len() >> 7).expect("a short body"));
        body.extend_from_slice(&inner);
        let refused = crate::proto::parse(&body, &limits());
        let is_series = matches!(refused, Err(PushError::Refused(Bound::Series, _)));
        assert!(refused.is_err() && is_series == series, "{refused:?}");
    }
}

fn empty_labels() -> Vec<u8> {
    let labels = [1 << 3 | 2, 0].repeat(5000);
    let mut metric = vec![4 << 3 | 2, (10_000 & 0x7f) as u8 | 0x80, (10_000 >> 7) as u8];
    metric.extend_from_slice(&labels);
    metric
}

#[test]
fn native_histograms_pass_through() {
    use prost::Message as _;

    use crate::proto::{BucketSpan, Histogram, Metric, MetricFamily};

    let histogram = Histogram {
        sample_count: Some(3),
        sample_sum: Some(12.5),
        schema: Some(3),
        zero_threshold: Some(1e-128),
        zero_count: Some(1),
        positive_span: vec![BucketSpan { offset: Some(-12), length: Some(2) }],
        positive_delta: vec![1, -1],
        ..Histogram::default()
    };
    let family = MetricFamily {
        name: Some("native".into()),
        kind: Some(4),
        metric: vec![Metric { histogram: Some(Box::new(histogram.clone())), ..Metric::default() }],
        ..MetricFamily::default()
    };
    let store = store();
    let body =
        crate::proto::parse(&family.encode_length_delimited_to_vec(), &limits()).expect("readable");
    store.push(&key("job/j"), body, Mode::Replace, None).expect("pushed");
    let out = scrape_as(&store, Format::Protobuf);
    let out = MetricFamily::decode_length_delimited(out.as_slice()).expect("readable");
    assert_eq!(out.metric[0].histogram.as_deref(), Some(&histogram));
    let text = String::from_utf8(scrape_as(&store, Format::Text)).expect("UTF-8");
    assert!(text.contains("native_count{instance=\"\",job=\"j\"} 3\n"), "{text}");
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in "[a{}=\",\\\\#HELPTY \\n\\t0-9]{0,60}") {
        let _ = parse(text.as_bytes(), &limits());
        let _ = parse(text.as_bytes(), &PushLimits { names: Names::Utf8, ..limits() });
    }

    #[test]
    fn no_bytes_make_a_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&bytes, &limits());
        let _ = crate::proto::parse(&bytes, &limits());
    }
}
