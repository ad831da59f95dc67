# SPDX-License-Identifier: GPL-2.0
"""What a resumed run leaves out. Run by host.sh."""

import tempfile
import unittest
from pathlib import Path
from types import SimpleNamespace

from .record import Record
from .results import Result


def plan(name="smoke-pci-1", case="smoke.ping"):
    return SimpleNamespace(name=name, kernel=SimpleNamespace(release="7.3.4"),
                           cases=[{"case": case, "driver": "rust", "id": f"{case}/modern-split-mergeable-1q@rust"}])


class LeavesOut(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def kept(self, *statuses):
        """A later run's record after a guest with these verdicts."""
        verdicts = [Result(f"smoke.{number}", "rust", status) for number, status in enumerate(statuses)]
        Record(self.folder).keep(plan(), verdicts, 1)
        return Record(self.folder)

    def test_what_passed(self):
        self.assertTrue(self.kept("ok", "xfail", "skip").has(plan()))

    def test_not_what_failed(self):
        self.assertFalse(self.kept("ok", "fail").has(plan()))

    def test_not_what_was_never_run(self):
        self.assertFalse(self.kept("ok").has(plan("smoke-pci-2")))

    def test_not_other_cases(self):
        self.assertFalse(self.kept("ok").has(plan(case="smoke.streams")))

    def test_the_last_run_counts(self):
        self.kept("ok")
        self.assertFalse(self.kept("fail").has(plan()))
        self.assertTrue(self.kept("ok").has(plan()))

    def test_not_with_other_sources(self):
        record = self.kept("ok")
        record.last["smoke-pci-1@rust"]["key"] = "of other sources"
        self.assertFalse(record.has(plan()))


if __name__ == "__main__":
    unittest.main()
