#!/usr/bin/env python3
"""Shapes a full export of the source into one folder per service, which DynamoDB imports.

spark-submit --py-files dynasplit_spark.py shape_export.py --plan plan.yaml \
    --export s3://my-bucket/split/AWSDynamoDB/01234567890123-a1b2c3d4 --to s3://my-bucket/shaped

Exit code 3: some items cannot be written. They are below service=(refused).
"""

import argparse
import sys

from pyspark.sql import SparkSession

from dynasplit_spark import REFUSED, checked_count, data_files, lines_of, read_plan, shaped


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--plan", required=True, help="the split plan: a file, or an object in S3")
    options.add_argument("--export", required=True, help="the folder of the export's manifest")
    options.add_argument("--to", required=True, help="a folder that does not exist")
    options.add_argument("--dynasplit", default="dynasplit", help="where the program is on each machine")
    options.add_argument("--items-per-file", type=int, default=200_000, help="most items of a file")
    options = options.parse_args()

    spark = SparkSession.builder.appName("dynasplit: shape an export").getOrCreate()
    files, expected = data_files(spark, options.export)
    counted = spark.sparkContext.accumulator(0)
    rows = shaped(lines_of(spark, files), options.dynasplit, read_plan(spark, options.plan), counted)
    frame = spark.createDataFrame(rows, "service string, value string")
    writer = frame.write.partitionBy("service").option("compression", "gzip")
    # It fails if the folder exists: an import takes every object of a folder.
    writer.option("maxRecordsPerFile", options.items_per_file).mode("errorifexists").text(options.to)
    checked_count(counted, expected)
    written = spark.read.option("basePath", options.to).text(f"{options.to}/*") if expected else None
    counts = {row["service"]: row["count"] for row in written.groupBy("service").count().collect()} if written else {}
    for service, count in sorted(counts.items()):
        print(f"{service}: {count} items in {options.to}/service={service}/")
    spark.stop()
    sys.exit(3 if REFUSED in counts else 0)


if __name__ == "__main__":
    main()
