"""The results as they are kept: JSON, and the tables and the chart of docs/performance.md."""

import html
import json
import os
import platform
import re
import time

from measure import cell
from tools import ROOT

SCHEMA = "vrun.bench/1"
DOCUMENT = os.path.join(ROOT, "docs/performance.md")
CHART = os.path.join(ROOT, "docs/performance.svg")
BEGIN, END = "<!-- ./dev bench --write-docs writes from here -->", "<!-- to here -->"
# What the chart shows, of those tables that were measured.
CHARTED = ["start-user", "python-user", "build-disk", "build-pip-disk"]


def processor():
    try:
        with open("/proc/cpuinfo") as file:
            found = re.search(r"^model name\s*: (.*)$", file.read(), re.M)
    except OSError:
        found = None
    return found[1] if found else platform.machine()


def machine():
    return {"kernel": platform.release().split("-")[0], "machine": platform.machine(), "processor": processor(),
            "processors": os.cpu_count(), "load": os.getloadavg()[0], "day": time.strftime("%Y-%m-%d")}


def write_json(path, tables, facts):
    """`vrun.bench/1`: each table as it is printed, and each single time."""
    with open(path, "w") as file:
        json.dump({"schema": SCHEMA, "machine": facts, "tables": [table._asdict() for table in tables]}, file, indent=1)


def markdown(table):
    lines = [f"### {table.title[0].upper()}{table.title[1:]}", ""]
    headings = [heading for heading, _ in table.columns.values()]
    lines.append("| " + " | ".join(["", *headings]) + " |")
    lines.append("|" + "---|" + "---:|" * len(headings))
    for row in table.rows:
        if "missing" in row:
            cells = [f"missing: {row['missing']}", *[""] * (len(headings) - 1)][:max(1, len(headings))]
        else:
            cells = [cell(row, key, form) for key, (_, form) in table.columns.items()]
        lines.append("| " + " | ".join([row["name"], *cells]) + " |")
    if table.note:
        lines += ["", table.note]
    return "\n".join(lines)


def write_documents(tables, facts):
    """Rewrites what lies between the two marks of docs/performance.md, and the chart."""
    with open(DOCUMENT) as file:
        before, begin, rest = file.read().partition(BEGIN)
        _, end, after = rest.partition(END)
    if not begin or not end:
        raise RuntimeError(f"{DOCUMENT} has not the two marks that the tables go between")
    with open(CHART, "w") as file:
        file.write(chart([table for key in CHARTED for table in tables if table.key == key]))
    text = (f"\nMeasured on {facts['day']}, Linux {facts['kernel']}, {facts['processors']} × {facts['processor']}, with "
            f"{facts['load']:.1f} others running when it began. Missing tools are named.\n\n"
            f"![Median times, shorter is better](performance.svg)\n\n")
    with open(DOCUMENT, "w") as file:
        file.write(before + begin + text + "\n\n".join(map(markdown, tables)) + "\n\n" + end + after)


WIDTH, LEFT, RIGHT, BAR, GAP, HEAD = 760, 230, 90, 16, 6, 34


def chart(tables):
    """Bars of the medians with the middle half of the times as a line, as SVG."""
    parts, top = [], 10
    for table in tables:
        rows = [row for row in table.rows if "missing" not in row]
        longest = max([row["third"] for row in rows], default=1)
        parts.append(f'<text x="10" y="{top + 16}" class="title">{html.escape(table.title)}, ms</text>')
        top += HEAD
        for row in rows:
            scale = (WIDTH - LEFT - RIGHT) / longest
            width, first, third = (row[key] * scale for key in ("median", "first", "third"))
            kind = "ours" if row["name"].startswith(("vrun", "vbuild")) else "other"
            middle = top + BAR / 2
            parts.append(f'<text x="{LEFT - 8}" y="{top + 13}" class="name">{html.escape(row["name"])}</text>'
                         f'<rect x="{LEFT}" y="{top}" width="{max(width, 1):.1f}" height="{BAR}" class="{kind}"/>'
                         f'<path d="M{LEFT + first:.1f} {middle}H{LEFT + third:.1f}" class="spread"/>'
                         f'<text x="{LEFT + third + 6:.1f}" y="{top + 13}">{row["median"]:.2f}</text>')
            top += BAR + GAP
        top += 14
    style = ("text{font:12px sans-serif;fill:#222}.title{font-weight:bold}.name{text-anchor:end}.ours{fill:#2a7ab8}.other{fill:#b9c2c9}"
             ".spread{stroke:#222;stroke-width:2}")
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top}" width="{WIDTH}" height="{top}">\n<style>{style}</style>\n'
            f'<rect width="{WIDTH}" height="{top}" fill="#fff"/>\n' + "\n".join(parts) + "\n</svg>\n")
