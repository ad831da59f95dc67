# SPDX-License-Identifier: GPL-2.0
"""Comparison of two reports: what is worse is said, and nothing else is."""

import contextlib
import copy
import io
import json
import tempfile
import unittest
from pathlib import Path

import sample
import compare


def scaled(document, name, what, factor, sides=("rust",)):
    changed = copy.deepcopy(document)
    for r in changed["scenarios"]:
        if r["name"] == name:
            for side in sides:
                r[side][what] *= factor
    return changed


def verdicts(old, new):
    return {(r["name"], r["what"]): r["verdict"] for r in compare.compare(old, new)["rows"]
            if r["verdict"] != "same"}


class Comparison(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.old = sample.document()

    def test_the_same_is_the_same(self):
        self.assertEqual(verdicts(self.old, self.old), {})
        rows = compare.compare(self.old, self.old)["rows"]
        self.assertEqual(len(rows), 2 * len(sample.NAMES) + 2 * 2 + 2)

    def test_growth_above_the_spread_is_worse(self):
        # Total has a spread of 4 instructions in about 1,000; core has none.
        new = scaled(self.old, "udp-rx", "total", 1.01)
        self.assertEqual(verdicts(self.old, new), {("udp-rx", "total"): "worse"})
        new = scaled(self.old, "udp-rx", "core", 1.002)
        self.assertEqual(verdicts(self.old, new), {("udp-rx", "core"): "worse"})
        self.assertEqual(verdicts(new, self.old), {("udp-rx", "core"): "better"})

    def test_growth_within_the_spread_is_not(self):
        self.assertEqual(verdicts(self.old, scaled(self.old, "udp-rx", "total", 1.003)), {})
        self.assertEqual(verdicts(self.old, scaled(self.old, "udp-rx", "core", 1.0005)), {})

    def test_the_larger_spread_of_both_holds(self):
        new = scaled(self.old, "udp-rx", "total", 1.03)
        for r in new["scenarios"]:
            r["rust"]["spread"]["total"] = 0.05
        self.assertEqual(verdicts(self.old, new), {})

    def test_what_moved_with_c_is_no_regression(self):
        new = scaled(self.old, "udp-rx", "core", 1.1, ("c", "rust"))
        self.assertEqual(verdicts(self.old, new), {("udp-rx", "core"): "both"})

    def test_what_grew_alone_is_worse_however_much_c_varies(self):
        new = scaled(self.old, "udp-rx", "core", 1.05)
        for r in new["scenarios"]:
            r["c"]["spread"]["core"] = 0.1
        self.assertEqual(verdicts(self.old, new), {("udp-rx", "core"): "worse"})

    def test_what_a_run_that_was_broken_off_has_measured_is_compared(self):
        new = scaled(dict(self.old, module="another", date="later"), "udp-rx", "core", 1.1)
        for r in new["scenarios"]:
            r["fresh"] = False
        self.assertEqual(verdicts(self.old, new), {("udp-rx", "core"): "worse"})
        with tempfile.TemporaryDirectory() as folder:
            compare.remember(Path(folder), self.old)
            compare.remember(Path(folder), new)
            dates = {r["date"] for r in compare.latest(Path(folder))["scenarios"]}
        self.assertEqual(dates, {"later"})

    def test_latency_and_memory(self):
        new = copy.deepcopy(self.old)
        new["latency"][0]["rust"]["p99"] *= 1.05
        new["memory"][0]["rust"]["four"]["all"] *= 1.1
        self.assertEqual(verdicts(self.old, new), {
            ("latency-udp", "p99"): "worse", ("memory", "four queues"): "worse"})

    def test_what_was_not_measured_again_is_not_compared(self):
        new = scaled(self.old, "udp-rx", "core", 1.1)
        for r in new["scenarios"]:
            r["fresh"] = r["name"] != "udp-rx"
        self.assertEqual(verdicts(self.old, new), {})
        self.assertIn("not measured again, and so not compared: udp-rx", compare.compare(self.old, new)["notes"])

    def test_what_was_not_measured_again_is_remembered_as_it_was(self):
        with tempfile.TemporaryDirectory() as folder:
            compare.remember(Path(folder), dict(self.old, date="then"))
            new = copy.deepcopy(dict(self.old, date="now"))
            new["scenarios"][0]["fresh"] = False
            compare.remember(Path(folder), new)
            dates = [r["date"] for r in compare.latest(Path(folder))["scenarios"]]
        self.assertEqual((dates[0], set(dates[1:])), ("then", {"now"}))

    def test_reports_without_what_came_later(self):
        old = {key: self.old[key] for key in ("kernel", "date", "scenarios")}
        self.assertEqual(verdicts(old, self.old), {})

    def test_other_conditions_are_noted(self):
        new = dict(self.old, kernel="7.4.0")
        self.assertIn("kernel: 7.3.4 before, 7.4.0 now", compare.compare(self.old, new)["notes"])
        self.assertTrue(compare.compare(self.old, self.old)["same_module"])
        self.assertFalse(compare.compare(self.old, dict(self.old, module="other"))["same_module"])

    def test_another_unit_is_not_compared(self):
        new = copy.deepcopy(self.old)
        new["scenarios"][0]["unit"] = "MiB"
        comparison = compare.compare(self.old, new)
        self.assertNotIn(new["scenarios"][0]["name"], {r["name"] for r in comparison["rows"]})
        self.assertTrue(comparison["notes"])


class Files(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.old = sample.document(names=("udp-rx", "xdp-drop"))

    def put(self, name, text):
        (self.folder / name).write_text(text if isinstance(text, str) else json.dumps(text))
        return self.folder / name

    def status(self, *paths, **kwargs):
        self.said = io.StringIO()
        with contextlib.redirect_stdout(self.said), contextlib.redirect_stderr(self.said):
            return compare.main(*paths, **kwargs)

    def test_status(self):
        old = self.put("old.json", self.old)
        worse = self.put("worse.json", scaled(self.old, "xdp-drop", "core", 1.05))
        self.assertEqual(self.status(old, old), 0)
        self.assertEqual(self.status(old, worse), 1)
        self.assertIn("xdp-drop core", self.said.getvalue())
        self.assertEqual(self.status(worse, old), 0)
        self.assertEqual(self.status(old, default=worse), 1)

    def test_status_where_there_is_nothing_to_compare(self):
        old = self.put("old.json", self.old)
        other = self.put("other.json", sample.document(names=("udp-tx",)) | {"latency": [], "memory": []})
        self.assertEqual(self.status(old, other), 2)
        for text in ("", "[]", "{}", "null", '{"scenarios": 1'):
            self.assertEqual(self.status(self.put("broken.json", text), old), 2, text)
        self.assertEqual(self.status(self.folder / "none.json", old), 2)

    def test_the_c_driver_on_both_sides_is_not_compared(self):
        old = self.put("old.json", self.old)
        same = self.put("same.json", self.old | {"same_driver": True})
        self.assertEqual(self.status(old, same), 2)
        self.assertIn("both sides", self.said.getvalue())

    def test_the_latest_of_each_scenario_is_kept(self):
        self.assertIsNone(compare.latest(self.folder))
        compare.remember(self.folder, self.old)
        later = sample.document(names=("udp-tx",)) | {"date": "2026-02-02 00:00 UTC", "module": "other"}
        compare.remember(self.folder, later)
        found = compare.latest(self.folder)
        self.assertEqual({r["name"]: r["date"] for r in found["scenarios"]}, {
            "udp-rx": self.old["date"], "xdp-drop": self.old["date"], "udp-tx": later["date"]})
        again = compare.compare(found, self.old)
        self.assertTrue(all(r["same_module"] for r in again["rows"] if r["name"] == "udp-rx"))
        self.assertEqual(again["with"], f"{self.old['date']} to {later['date']}")


if __name__ == "__main__":
    unittest.main()
