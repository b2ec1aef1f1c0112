"""Checks what contrib/bench/bench.py --quick wrote: bench.py RESULTS. Ours must have been measured everywhere."""

import json
import sys

# The rows that no machine may lack.
OURS = ("vrun", "vbuild", "no sandbox", "outside", "the kernel's share", "python3 -m venv")
# Instructions in user space, at most: half as much again as when this was written.
INSTRUCTIONS = {"vrun --explain: all that is read and decided": 3_000_000, "vbuild --without-pip": 1_100_000}
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
            if "missing" in row and row["name"].startswith(OURS):
                wrong.append(f"{key}: {row['name']} is missing: {row['missing']}")
            elif "missing" not in row:
                wrong += [f"{key}: {row['name']} has no {column}" for column in table["columns"] if not row.get(column)
                          and column not in ("failed", "share", "processor")]
    counted = {row["name"]: row.get("instructions", 0) for row in tables.get("instructions", {}).get("rows", [])}
    wrong += [f"{name}: {counted.get(name)} instructions, more than {most}" for name, most in INSTRUCTIONS.items()
              if not 0 < counted.get(name, 0) <= most]
    print("\n".join(wrong) if wrong else f"bench: {len(tables)} tables are whole")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
