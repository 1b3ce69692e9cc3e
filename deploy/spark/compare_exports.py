#!/usr/bin/env python3
"""Compares an export of the source with exports of the services' tables.

spark-submit --py-files dynasplit_spark.py compare_exports.py --plan plan.yaml \
    --source s3://my-bucket/split/AWSDynamoDB/01234567890123-a1b2c3d4 \
    --target orders=s3://my-bucket/orders/AWSDynamoDB/01234567890123-b2c3d4e5

An export is no snapshot: it says nothing of the last minute before its export time. If something writes while the exports are
made, items that change are listed, too; `dynasplit verify` reads them again. Exit code 3: there are differences.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from decimal import Decimal

from pyspark.sql import SparkSession

from dynasplit_spark import REFUSED, checked_count, data_files, lines_of, read_plan, shaped

TOOL = "dynasplit:"
TOMBSTONE = "dynasplit:tombstone"


def plain(value):
    """A value, without what may differ between two that are equal."""
    (kind, inner), = value.items()
    if kind == "N":
        return kind, number(inner)
    if kind == "NS":
        return kind, sorted(map(number, inner))
    if kind in ("SS", "BS"):
        return kind, sorted(inner)
    if kind == "L":
        return kind, [plain(each) for each in inner]
    if kind == "M":
        return kind, attributes(inner)
    return kind, inner


def number(text):
    sign, digits, exponent = Decimal(text).as_tuple()
    digits = "".join(map(str, digits)).lstrip("0")
    kept = digits.rstrip("0")
    return f"{'-' if sign and kept else ''}{kept or '0'}e{exponent + len(digits) - len(kept) if kept else 0}"


def attributes(item):
    return [(name, plain(value)) for name, value in sorted(item.items())]


def keyed(line, keys):
    """The key of an item, and the item without what dynasplit added; no item for a tombstone."""
    item = json.loads(line)["Item"]
    key = json.dumps([plain(item[name]) for name in keys])
    if TOMBSTONE in item:
        return key, None
    return key, json.dumps(attributes({name: value for name, value in item.items() if not name.startswith(TOOL)}))


def keys_of(dynasplit, plan_text, service):
    """The names of the key attributes of a service's table, as the plan has them."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as plan:
        plan.write(plan_text)
        plan.flush()
        command = [dynasplit, "tables", plan.name, "--format", "cloudformation", "--service", service]
        template = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    (table,) = (each for each in template["Resources"].values() if each["Type"] == "AWS::DynamoDB::Table")
    return [key["AttributeName"] for key in table["Properties"]["KeySchema"]]


def difference(pair):
    """How the two sides of a key differ, if they do."""
    expected, held = (list(side) for side in pair)
    if len(expected) > 1:
        return "collision"
    if expected and not held:
        return "missing"
    if held and not expected:
        return "extra"
    return None if set(expected) == set(held) else "different"


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--plan", required=True, help="the split plan: a file, or an object in S3")
    options.add_argument("--source", required=True, help="the folder of the manifest of the source's export")
    options.add_argument("--target", required=True, action="append", help="SERVICE=FOLDER, for each service")
    options.add_argument("--dynasplit", default="dynasplit", help="where the program is on each machine")
    options.add_argument("--limit", type=int, default=20, help="keys to name per service")
    options = options.parse_args()

    spark = SparkSession.builder.appName("dynasplit: compare exports").getOrCreate()
    plan_text = read_plan(spark, options.plan)
    files, count = data_files(spark, options.source)
    counted = spark.sparkContext.accumulator(0)
    source = shaped(lines_of(spark, files), options.dynasplit, plan_text, counted).cache()
    refused = source.filter(lambda row: row[0] == REFUSED).count()
    checked_count(counted, count)
    is_clean = refused == 0
    if refused:
        print(f"{refused} items of the source cannot be written for a service, or belong to none")
    for target in options.target:
        service, _, folder = target.partition("=")
        keys = keys_of(options.dynasplit, plan_text, service)
        expected = source.filter(lambda row, service=service: row[0] == service)
        expected = expected.map(lambda row, keys=keys: keyed(row[1], keys))
        held = lines_of(spark, data_files(spark, folder)[0]).map(lambda line, keys=keys: keyed(line, keys))
        held = held.filter(lambda pair: pair[1] is not None)
        joined = expected.cogroup(held).mapValues(difference)
        compared = joined.cache()
        found = compared.filter(lambda pair: pair[1] is not None)
        kinds = dict(found.map(lambda pair: (pair[1], 1)).reduceByKey(lambda one, two: one + two).collect())
        told = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())) or "no difference"
        print(f"{service}: {compared.count()} keys, {told}")
        for key, kind in found.take(options.limit):
            print(f"  {kind} {key}")
        is_clean &= not kinds
    spark.stop()
    sys.exit(0 if is_clean else 3)


if __name__ == "__main__":
    main()
