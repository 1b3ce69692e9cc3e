"""What plans/online-learning.yaml does with an item, written by hand: one function for a script and for Spark."""

import json


def between(text, prefix):
    return text[len(prefix):] if text.startswith(prefix) else None


def route(line):
    """Each service that takes the item of a line, and its item."""
    item = json.loads(line)["Item"]
    partition, sort = item["PK"]["S"], item["SK"]["S"]
    kind = item.get("type", {}).get("S")
    course, user = between(partition, "COURSE#"), between(partition, "USER#")
    found = [("Users", item)]
    kept = {name: value for name, value in item.items() if name not in ("PK", "SK", "type")}
    if course is not None and sort == "METADATA" and kind == "Course":
        kept.pop("editor", None)
        if "desc" in kept:
            kept["description"] = kept.pop("desc")
        kept["courseId"] = {"S": course}
        found.append(("CourseCatalog", kept))
    elif course is not None and sort.startswith("MODULE#") and kind == "Content":
        module, content = between(sort, "MODULE#").split("#CONTENT#", 1)
        kept["courseId"] = {"S": course}
        kept["place"] = {"S": f"{module}#CONTENT#{content}"}
        found.append(("Content", kept))
    elif user is not None and sort.startswith("PROGRESS#") and kind == "Progress":
        of, content = between(sort, "PROGRESS#COURSE#").split("#CONTENT#", 1)
        for old, new in (("pct", "percent"), ("done", "completed")):
            if old in kept:
                kept[new] = kept.pop(old)
        kept["userId"] = {"S": user}
        kept["coursePlace"] = {"S": f"{of}#CONTENT#{content}"}
        found.append(("Progress", kept))
    return [(service, json.dumps({"Item": item}, separators=(",", ":"), ensure_ascii=False)) for service, item in found]
