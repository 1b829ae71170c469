"""tables_test.py GENERATOR WRITTEN.def: the tables in the tree are those that the generator writes today."""
import os
import subprocess
import sys

generator, written = sys.argv[1:]
table = os.path.join(os.environ.get("PAWL_TEST_DATA", ""), "models", "bert_norm_table.json")
if not os.path.exists(table):
    print(f"skipped: {table} is not there (PAWL_TEST_DATA)")
    sys.exit(77)
made = subprocess.run([sys.executable, "-B", generator, table], capture_output=True, text=True, check=True).stdout
with open(written, encoding="utf-8") as file:
    if file.read() != made:
        print(f"{written} differs: {generator} {table} > {written}")
        sys.exit(1)
