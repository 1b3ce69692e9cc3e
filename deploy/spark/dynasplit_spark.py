"""What both jobs share: the files of an export, and the items that `dynasplit shape` makes of them.

Spark distributes the work. dynasplit routes and transforms the items, so the rules are those of the live split.
"""

import json
import os
import shutil
import subprocess
import tempfile
import threading

REFUSED = "(refused)"


def data_files(spark, export):
    """The data files that the manifest of a full export names, and how many items they have."""
    export = export.rstrip("/")
    read = lambda name: [row.value for row in spark.read.text(f"{export}/{name}").collect()]
    summary = json.loads("".join(read("manifest-summary.json")))
    if summary.get("exportType", "FULL_EXPORT") != "FULL_EXPORT":
        raise SystemExit(f"{export} is no full export, so it does not contain every item")
    files, items = [], 0
    for line in filter(None, map(str.strip, read("manifest-files.json"))):
        entry = json.loads(line)
        items += entry["itemCount"]
        if entry["itemCount"]:
            # The key is relative to the bucket, and an export may have been copied: the file is beside its manifest.
            files.append(f"{export}/data/{entry['dataFileS3Key'].rsplit('/', 1)[1]}")
    if items != summary["itemCount"]:
        raise SystemExit(f"the files of {export} have {items} items, and the export has {summary['itemCount']}")
    return files, items


def lines_of(spark, files):
    """The lines of these files. Spark unpacks each file in one task."""
    return spark.sparkContext.textFile(",".join(files)) if files else spark.sparkContext.emptyRDD()


def shaped(lines, dynasplit, plan_text, counted):
    """(service, line) for each item that a service gets, and (REFUSED, line) for each that cannot be written.

    `counted` is an accumulator of the items that were read.
    """

    def partition(part):
        folder = tempfile.mkdtemp(prefix="dynasplit-")
        try:
            yield from shape(part, folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def shape(part, folder):
        plan, to = os.path.join(folder, "plan.yaml"), os.path.join(folder, "shaped")
        with open(plan, "w") as file:
            file.write(plan_text)
        command = [dynasplit, "shape", plan, "-", "--to", to, "--threads", "1", "--compression", "none", "--output", "json"]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        said = {}
        read = lambda name: said.update({name: getattr(process, name).read()})
        readers = [threading.Thread(target=read, args=(name,)) for name in ("stdout", "stderr")]
        for reader in readers:
            reader.start()
        try:
            for line in part:
                process.stdin.write(line.encode() + b"\n")
            process.stdin.close()
        except BrokenPipeError:
            pass  # It says why.
        for reader in readers:
            reader.join()
        # 3: some items cannot be written. They are in a folder of their own.
        if process.wait() not in (0, 3):
            raise RuntimeError(f"dynasplit shape failed ({process.returncode}): {said['stderr'].decode()}")
        counted.add(json.loads(said["stdout"])["items"])
        tables = os.path.join(to, "tables")
        for service in sorted(os.listdir(tables)) if os.path.isdir(tables) else []:
            yield from items(os.path.join(tables, service), service)
        yield from items(os.path.join(to, "refused"), REFUSED)

    def items(folder, service):
        for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
            with open(os.path.join(folder, name), encoding="utf-8", newline="\n") as file:
                for line in file:
                    yield service, line.rstrip("\n")

    return lines.mapPartitions(partition)


def read_plan(spark, path):
    """The text of the plan, from this machine or from S3."""
    if os.path.exists(path):
        with open(path) as file:
            return file.read()
    return "\n".join(row.value for row in spark.read.text(path, wholetext=True).collect())


def checked_count(counted, expected):
    """Refuses the result if not every item was read."""
    # A task that Spark ran twice counts twice.
    if counted.value < expected:
        raise SystemExit(f"{counted.value} items were read, and the export has {expected}")
