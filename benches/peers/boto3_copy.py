"""The script that one would write: a parallel scan, and threads that write what they read.

boto3_copy.py ENDPOINT SOURCE TARGET (batch | conditional)

`batch` writes with BatchWriteItem, which takes no conditions: beside a live writer it overwrites what is newer, and brings
back what was deleted. `conditional` puts each item where there is none yet, which still brings back what was deleted.
The low-level client is used, which leaves items as they come: the resource's own types would cost more.
"""

import sys
from concurrent.futures import ThreadPoolExecutor

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

SEGMENTS = 16
THREADS = 16


def pages(client, table, segment):
    after = {}
    while True:
        page = client.scan(TableName=table, Segment=segment, TotalSegments=SEGMENTS, **after)
        yield page["Items"]
        if "LastEvaluatedKey" not in page:
            return
        after = {"ExclusiveStartKey": page["LastEvaluatedKey"]}


def put_batches(client, table, items):
    for start in range(0, len(items), 25):
        left = {table: [{"PutRequest": {"Item": item}} for item in items[start : start + 25]]}
        while left:
            left = client.batch_write_item(RequestItems=left)["UnprocessedItems"]


def put_conditionally(client, table, items):
    for item in items:
        try:
            client.put_item(TableName=table, Item=item, ConditionExpression="attribute_not_exists(pk)")
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise


def main():
    endpoint, source, target, writes = sys.argv[1:]
    write = {"batch": put_batches, "conditional": put_conditionally}[writes]
    config = Config(max_pool_connections=THREADS)
    client = boto3.client("dynamodb", endpoint_url=endpoint, config=config)

    def copy(segment):
        for items in pages(client, source, segment):
            write(client, target, items)

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(copy, range(SEGMENTS)))


main()
