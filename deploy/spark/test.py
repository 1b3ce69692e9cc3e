"""Runs both jobs on this machine, on an export that it makes, and compares them with dynasplit alone.

.ci/spark calls it; it needs pyspark and a dynasplit (the first argument).
"""

import base64
import gzip
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
PLAN = os.path.join(HERE, "../../plans/online-learning.yaml")
SERVICES = ["CourseCatalog", "Content", "Progress", "Users"]
ITEMS = int(os.environ.get("DYNASPLIT_SPARK_ITEMS", "4000"))


def course(n):
    item = {"PK": {"S": f"COURSE#c{n}"}, "SK": {"S": "METADATA"}, "type": {"S": "Course"}, "title": {"S": f"Course {n}"}}
    return item | {"desc": {"S": "é \u2028 \"quoted\"\n"}, "category": {"S": "all"}, "updatedAt": {"S": "2026-11-28T14:00:00.000Z"}}


def progress(n):
    keys = {"PK": {"S": f"USER#u{n // 10}"}, "SK": {"S": f"PROGRESS#COURSE#c{n % 10}#CONTENT#{n}"}, "type": {"S": "Progress"}}
    return keys | {"course": {"S": "c"}, "pct": {"N": "12.50"}, "seen": {"NS": ["3", "1"]}, "updatedAt": {"S": "2026-11-28T14:00:00.000Z"}}


def profile(n):
    keys = {"PK": {"S": f"USER#u{n}"}, "SK": {"S": "PROFILE"}, "name": {"S": f"User {n}"}}
    return keys | {"updatedAt": {"S": "2026-11-28T14:00:00.000Z"}}


def session(n):
    return {"PK": {"S": f"USER#u{n}"}, "SK": {"S": "SESSION#1"}, "updatedAt": {"S": "2026-11-28T14:00:00.000Z"}}


def made(n):
    return [course, progress, progress, profile, session][n % 5](n)


def export(folder, lines, files=3):
    """Writes a full export, as DynamoDB does."""
    os.makedirs(f"{folder}/data")
    named = []
    for at in range(files + 1):  # The last one is empty.
        part = lines[at::files] if at < files else []
        packed = gzip.compress("".join(f"{line}\n" for line in part).encode())
        key = f"split/AWSDynamoDB/01/data/{at:016x}.json.gz"
        with open(f"{folder}/data/{at:016x}.json.gz", "wb") as file:
            file.write(packed)
        md5 = hashlib.md5(packed)
        sums = {"md5Checksum": base64.b64encode(md5.digest()).decode(), "etag": md5.hexdigest()}
        named.append({"itemCount": len(part), "dataFileS3Key": key} | sums)
    with open(f"{folder}/manifest-files.json", "w") as file:
        file.writelines(json.dumps(entry) + "\n" for entry in named)
    with open(f"{folder}/manifest-summary.json", "w") as file:
        json.dump({"exportType": "FULL_EXPORT", "itemCount": len(lines)}, file)
    return folder


def lines_below(folder):
    found = []
    for root, _, names in os.walk(folder):
        for name in names:
            if name.endswith(".gz") and not name.startswith("."):
                with gzip.open(os.path.join(root, name), "rt", newline="\n") as file:
                    found += [line.rstrip("\n") for line in file]
    return sorted(found)


def run(expected, job, *options):
    command = [sys.executable, os.path.join(HERE, job), *options]
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": HERE, "SPARK_LOCAL_IP": "127.0.0.1", "PYTHONDONTWRITEBYTECODE": "1"}, capture_output=True, text=True)
    print(done.stdout, end="")
    assert done.returncode == expected, f"{job} ended with {done.returncode}\n{done.stdout}\n{done.stderr[-4000:]}"
    return done.stdout


def main():
    dynasplit = os.path.abspath(sys.argv[1])
    work = tempfile.mkdtemp(prefix="dynasplit-spark-test-")
    try:
        all_of_it(dynasplit, work)
    finally:
        shutil.rmtree(work)
    print("passed")


def all_of_it(dynasplit, work):
    lines = [json.dumps({"Item": made(n)}, ensure_ascii=False) for n in range(ITEMS)]
    random.Random(1).shuffle(lines)
    source = export(f"{work}/source", lines)
    options = ["--plan", PLAN, "--dynasplit", dynasplit]

    run(0, "shape_export.py", *options, "--export", source, "--to", f"{work}/shaped", "--items-per-file", "500")
    subprocess.run([dynasplit, "shape", PLAN, f"{source}/data", "--to", f"{work}/alone", "--compression", "gzip"], check=True, capture_output=True)
    for service in SERVICES:
        ours, theirs = lines_below(f"{work}/alone/tables/{service}"), lines_below(f"{work}/shaped/service={service}")
        assert ours == theirs, f"{service}: {len(theirs)} items, and dynasplit alone makes {len(ours)}"
        assert ours or service == "Content", service

    # The folder exists: nothing is added to it.
    run(1, "shape_export.py", *options, "--export", source, "--to", f"{work}/shaped")

    # What a target holds: numbers in another form, versions, and tombstones.
    targets = {}
    for service in SERVICES:
        held = []
        for line in lines_below(f"{work}/alone/tables/{service}"):
            item = json.loads(line)["Item"]
            item["dynasplit:version"] = {"S": "1"}
            if "percent" in item:
                item["percent"] = {"N": "12.5"}
            if "seen" in item:
                item["seen"] = {"NS": ["1", "3.0"]}
            held.append(item)
        targets[service] = held
    gone = dict(targets["Users"][0]) | {"PK": {"S": "USER#gone"}, "dynasplit:tombstone": {"S": "1"}}
    targets["Users"].append(gone)

    def compared(expected, name):
        folders = []
        for service, held in targets.items():
            to = export(f"{work}/{name}-{service}", [json.dumps({"Item": item}) for item in held])
            folders += ["--target", f"{service}={to}"]
        return run(expected, "compare_exports.py", *options, "--source", source, *folders)

    told = compared(0, "clean")
    assert told.count("no difference") == 4, told
    lost = targets["Progress"].pop()
    targets["Progress"][0]["percent"] = {"N": "99"}
    targets["CourseCatalog"].append(targets["CourseCatalog"][0] | {"courseId": {"S": "nobody"}})
    told = compared(3, "wrong")
    assert "1 different, 1 missing" in told and "1 extra" in told, told
    assert lost["userId"]["S"] in told, told

    # An item that no table can hold is neither lost nor written.
    bad = json.dumps({"Item": course("odd") | {"category": {"N": "1"}}})  # A key of an index, with another type.
    odd = export(f"{work}/odd", lines[:50] + [bad])
    told = run(3, "shape_export.py", *options, "--export", odd, "--to", f"{work}/odd-shaped")
    assert "(refused): 1 items" in told, told
    (refused,) = lines_below(f"{work}/odd-shaped/service=(refused)")
    assert json.loads(refused)["Item"]["PK"]["S"] == "COURSE#codd"

    # A line that is no item fails the job, and the folder is not complete.
    broken = export(f"{work}/broken", lines[:50] + ["not JSON"])
    run(1, "shape_export.py", *options, "--export", broken, "--to", f"{work}/broken-shaped")
    assert not os.path.exists(f"{work}/broken-shaped/_SUCCESS")

    # A manifest that lacks a file.
    short = export(f"{work}/short", lines[:50])
    with open(f"{short}/manifest-files.json") as file:
        kept = file.readlines()[1:]
    with open(f"{short}/manifest-files.json", "w") as file:
        file.writelines(kept)
    run(1, "shape_export.py", *options, "--export", short, "--to", f"{work}/short-shaped")


if __name__ == "__main__":
    main()
