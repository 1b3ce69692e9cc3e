"""The same on Spark, on one core of this machine.

python shape_spark.py FOLDER FILE...
"""

import os
import sys

from pyspark.sql import SparkSession

from online_learning import route

folder, files = sys.argv[1], sys.argv[2:]
spark = (
    SparkSession.builder.master("local[1]")
    .appName("shape")
    .config("spark.ui.enabled", "false")
    .config("spark.driver.bindAddress", "127.0.0.1")
    .config("spark.driver.host", "127.0.0.1")
    .config("spark.hadoop.zlib.compress.level", "BEST_SPEED")
    .getOrCreate()
)
spark.sparkContext.setLogLevel("ERROR")
spark.sparkContext.addPyFile(os.path.join(os.path.dirname(os.path.abspath(__file__)), "online_learning.py"))
rows = spark.sparkContext.textFile(",".join(files)).flatMap(route)
frame = spark.createDataFrame(rows, "service string, value string")
frame.write.partitionBy("service").option("compression", "gzip").text(os.path.join(folder, "tables"))
spark.stop()
