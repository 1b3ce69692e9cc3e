"""Shapes an export with nothing but Python: files of gzip to files of gzip for each service.

python shape_script.py FOLDER FILE...
"""

import gzip
import os
import sys

from online_learning import route

folder, files = sys.argv[1], sys.argv[2:]
open_files = {}
for name in files:
    with gzip.open(name, "rt", encoding="utf-8") as lines:
        for line in lines:
            for service, text in route(line):
                if service not in open_files:
                    os.makedirs(os.path.join(folder, service))
                    path = os.path.join(folder, service, "00001.json.gz")
                    open_files[service] = gzip.open(path, "wt", encoding="utf-8", compresslevel=1)
                open_files[service].write(text + "\n")
for file in open_files.values():
    file.close()
