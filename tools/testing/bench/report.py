# SPDX-License-Identifier: GPL-2.0
"""All files of a report, made from its document, which is report.json."""

import json

import charts
import gate
import markdown
import page
import results


def read(path):
    """A document of this or an earlier version."""
    document = json.loads(path.read_text())
    for key, value in (("latency", []), ("memory", []), ("bypass", []), ("comparison", None), ("driver", ""),
                       ("machine", ""), ("qemu", ""), ("module", "")):
        document.setdefault(key, value)
    for result in document["scenarios"]:
        # By the bounds of today.
        result["bound"], result["gate"] = gate.limits(result), gate.failures(result)
        if result["gate"] and not result.get("costly"):
            result["costly"] = results.costly(result["by_symbol"], document["core_groups"])
        result.setdefault("costly", [])
    return document


def write(document, out):
    """Their names."""
    (out / "report.json").write_text(json.dumps(document, indent=1) + "\n")
    drawn = charts.draw(document)
    for name in charts.NAMES:
        (out / f"{name}.svg").unlink(missing_ok=True)
    for name, svg in drawn.items():
        (out / f"{name}.svg").write_text(charts.standalone(svg))
    (out / "report.md").write_text(markdown.render(document, drawn))
    (out / "report.html").write_text(page.render(document, drawn))
    return ["report.html", "report.md", "report.json", *(f"{name}.svg" for name in drawn)]
