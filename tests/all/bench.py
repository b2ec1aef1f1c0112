"""Checks what contrib/bench/bench.py --quick wrote: bench.py RESULTS. Ours must have been measured everywhere."""

import json
import sys

# The rows that no machine may lack.
OURS = ("vrun", "vbuild", "no sandbox", "outside", "the kernel's share", "python3 -m venv")
MAY_LACK = {"vrun --explain: all that is read and decided", "vbuild --without-pip"}  # of these, instructions: valgrind
TABLES = {"start-user", "python-user", "steps-user", "calls", "frequent-calls", "instructions", "memory", "build-memory",
          "build-pip-memory", "build-disk", "build-pip-disk", "work-calls", "work-processes", "work-imports", "work-suite",
          "transfer", "many-user", "growth"}


def main():
    with open(sys.argv[1]) as file:
        results = json.load(file)
    wrong = [] if results["schema"] == "vrun.bench/1" else [f"schema {results['schema']}"]
    tables = {table["key"]: table for table in results["tables"]}
    wrong += [f"no table {key}" for key in sorted(TABLES - set(tables))]
    for key, table in tables.items():
        for row in table["rows"]:
            ours = row["name"].startswith(OURS) and not (key == "instructions" and row["name"] in MAY_LACK)
            if "missing" in row and ours:
                wrong.append(f"{key}: {row['name']} is missing: {row['missing']}")
            elif "missing" not in row:
                wrong += [f"{key}: {row['name']} has no {column}" for column in table["columns"] if not row.get(column)
                          and column not in ("failed", "share", "processor")]
    print("\n".join(wrong) if wrong else f"bench: {len(tables)} tables are whole")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
