"""The apps under test on the published nubium-utils 2.5: what `ledger-app` and `table-app` do.

`app.py plain` copies every input to the output; `app.py table` counts inputs by key as well.
"""

import os
import sys
import json

from nubium_utils.confluent_utils.transaction_utils import GtfoApp, GtfoTableApp

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
    transaction.produce({"topic": OUTPUT, "key": transaction.key(), "value": value})


def count(transaction):
    if transaction.value()["fate"] == "drop":
        transaction.delete_table_entry()
        return
    entry = transaction.read_table_entry() or {"count": 0, "sum": 0}
    entry["count"] += 1
    entry["sum"] += transaction.value()["seq"]
    transaction.update_table_entry(entry)
    copy(transaction)


def route(transaction):
    """Retries and failures as the original routes them."""
    if transaction.value()["fate"] == "retry":
        transaction.produce_retry()
    elif transaction.value()["fate"] == "failure":
        transaction.produce_failure(ValueError("broken"))
    else:
        copy(transaction)


def main():
    health = os.environ["HEALTH_DIRECTORY"]
    if sys.argv[1] == "table":
        app = GtfoTableApp(count, INPUT, produce_topic_schema_dict=SCHEMAS)
    else:
        for name in ["NU_PRODUCE_RETRY_TOPICS", "NU_PRODUCE_FAILURE_TOPICS"]:
            if os.environ.get(name):
                SCHEMAS[os.environ[name]] = json.loads(os.environ["LEDGER_INPUT_SCHEMA"])
        app = GtfoApp(route, INPUT.split(","), produce_topic_schema_dict=SCHEMAS)
    app.run(health_path=health)


if __name__ == "__main__":
    import logging

    logging.basicConfig(level=logging.DEBUG, format="%(asctime)s %(levelname)s %(message)s")
    main()
