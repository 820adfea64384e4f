"""The apps under test on the published nubium-utils 4.2, whose Kafka part is fluvii: what
`ledger-app` and `table-app` do.

`app4.py plain` copies every input to the output; `app4.py table` counts inputs by key as well.
"""

import json
import logging
import os
import sys

from nubium_utils.fluvii_extensions.apps import NubiumAppFactory, NubiumTableAppFactory

INPUT = os.environ["LEDGER_INPUTS"]
OUTPUT = os.environ["LEDGER_OUTPUT"]
SCHEMAS = {OUTPUT: json.loads(os.environ["LEDGER_OUTPUT_SCHEMA"])}


def copy(transaction):
    value = {
        "source_topic": transaction.topic(),
        "source_partition": transaction.partition(),
        "source_offset": transaction.offset(),
        "seq": transaction.value()["seq"],
    }
    headers = {"last_updated_by": os.environ["FLUVII_APP_NAME"]}
    transaction.produce({"topic": OUTPUT, "key": transaction.key(), "value": value, "headers": headers})


def count(transaction):
    if transaction.value()["fate"] == "drop":
        transaction.delete_table_entry()
        return
    entry = transaction.read_table_entry() or {"count": 0, "sum": 0}
    entry["count"] += 1
    entry["sum"] += transaction.value()["seq"]
    transaction.update_table_entry(entry)
    copy(transaction)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    if sys.argv[1] == "table":
        NubiumTableAppFactory(count, INPUT, produce_topic_schema_dict=SCHEMAS).run()
    else:
        NubiumAppFactory(copy, INPUT.split(","), produce_topic_schema_dict=SCHEMAS).run()
