# What tutorials do: fetch each page, make objects of it, write them as gzipped lines.
import gzip
import json
import sys

import requests

session = requests.Session()
with gzip.open(sys.argv[2], "wt", encoding="utf-8") as out:
    for _ in range(int(sys.argv[3])):
        page = session.get(sys.argv[1]).json()
        for conversation in page["conversations"]:
            out.write(json.dumps(conversation) + "\n")
