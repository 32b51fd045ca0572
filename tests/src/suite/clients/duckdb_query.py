"""Runs SQL on records with DuckDB.

Standard input: a JSON object with the path of a file of JSON lines, the types of its
columns by name, and queries. Standard output: the rows of each query.
"""

import json
import sys

import duckdb

request = json.load(sys.stdin)
connection = duckdb.connect()
columns = ", ".join(
    '"{}" {}'.format(name, kind) for name, kind in request["columns"].items()
)
connection.execute("CREATE TABLE records ({})".format(columns))
places = ", ".join("?" for _ in request["columns"])
with open(request["records"], encoding="utf-8") as lines:
    rows = [[json.loads(line).get(name) for name in request["columns"]] for line in lines]
connection.executemany("INSERT INTO records VALUES ({})".format(places), rows)
answers = [connection.execute(query).fetchall() for query in request["queries"]]
json.dump(answers, sys.stdout, default=str)
