//! Messages as other clients write them: without headers, without a key, with keys and headers of
//! any bytes. They pass wherever they can, and go to the failure topic where not.

use anyhow::{Context, Result, ensure};
use nubium_core::headers::made_guid;

use crate::funnel::Funnel;

#[test]
fn what_another_client_writes_without_headers_passes_through_the_funnel() -> Result<()> {
    let mut funnel = Funnel::new("any-message", &[], &[])?;
    let (key, note) = (funnel.key("k"), funnel.note(" a "));
    let other: &[u8] = b"\xff\xfe";
    let number: &[u8] = &[0, 0, 0, 0, 0, 0, 0, 5];
    let keys = [Some(&key[..]), None, Some(&b"plain text"[..]), Some(number)];
    for key in keys {
        funnel.write(key, Some(&note), &[])?;
    }
    let own = [("guid", Some(&b"own"[..])), ("twice", Some(other)), ("twice", None)];
    funnel.write(Some(&key), Some(&note), &own)?;
    let empty: &[u8] = b"";
    funnel.write(Some(&key), Some(&note), &[("guid", None), ("last_updated_by", Some(empty))])?;
    funnel.write(Some(&key), Some(&note), &[("guid", Some(other))])?;
    let app = funnel.start(&[])?;
    funnel.drained(&app)?;
    let out = funnel.read(&funnel.output)?;
    ensure!(out.len() == 7, "{out:?}");
    for ((record, key), offset) in out.iter().zip(keys).zip(0..) {
        assert_eq!(record.key.as_deref(), key);
        assert_eq!(record.header("guid"), Some(&*made_guid(&funnel.input, 0, offset)));
        assert_eq!(record.header("last_updated_by"), Some(&*funnel.app));
    }
    assert_eq!(out[4].header("guid"), Some("own"));
    let twice = out[4].headers.iter().filter(|(name, _)| name == "twice");
    let twice: Vec<_> = twice.map(|(_, value)| value.as_deref()).collect();
    assert_eq!(twice, [Some(other), None]);
    assert_eq!(out[5].header("guid"), Some(&*made_guid(&funnel.input, 0, 5)));
    assert_eq!(out[5].header("last_updated_by"), Some(&*funnel.app));
    let kept = out[6].headers.iter().find(|(name, _)| name == "guid").context("no guid")?;
    assert_eq!(kept.1.as_deref(), Some(other), "it is there, whatever it says");
    ensure!(funnel.read(&funnel.failure)?.is_empty());
    Ok(())
}

#[test]
fn what_cannot_pass_goes_to_the_failure_topic_under_the_policy_stop() -> Result<()> {
    let mut funnel = Funnel::new("no-message", &[], &[])?;
    let note = funnel.note("a");
    let broken: [&[u8]; 3] = [b"", b"plain text", &[0, 0, 0, 0]];
    funnel.write(None, Some(&note), &[])?;
    for value in broken {
        funnel.write(Some(b"k"), Some(value), &[])?;
    }
    let twice = [("twice", Some(&b"\xff"[..])); 2];
    funnel.write(Some(b"k"), None, &twice)?;
    funnel.write(None, Some(&note), &[])?;
    let app = funnel.start(&[])?;
    funnel.drained(&app)?;
    ensure!(funnel.read(&funnel.output)?.len() == 2);
    let failed = funnel.read(&funnel.failure)?;
    let values: Vec<_> = failed.iter().map(|record| record.value.as_deref()).collect();
    assert_eq!(values, [Some(broken[0]), Some(broken[1]), Some(broken[2]), None]);
    for (record, offset) in failed.iter().zip(1..) {
        assert_eq!(record.key.as_deref(), Some(&b"k"[..]));
        assert_eq!(record.header("guid"), Some(&*made_guid(&funnel.input, 0, offset)));
        ensure!(record.header("exception").is_some(), "{record:?}");
    }
    let twice = failed[3].headers.iter().filter(|(name, _)| name == "twice").count();
    assert_eq!(twice, 2);
    Ok(())
}
