# SPDX-License-Identifier: GPL-2.0
"""What a resumed run leaves out, and what a run takes from earlier ones. Run by host.sh."""

import contextlib
import io
import json
import tempfile
import unittest
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

from .durations import BOOT, USUAL, Durations
from .known import Known
from .record import Record
from .results import Expectations, Result, Results


def plan(name="smoke-pci-1", case="smoke.ping"):
    return SimpleNamespace(name=name, kernel=SimpleNamespace(release="7.3.4", identity="7.3.4"),
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

    def test_not_what_a_run_of_another_kind_did(self):
        self.kept("ok")
        self.assertFalse(Record(self.folder, full=False).has(plan()))

    def test_not_with_other_sources(self):
        record = self.kept("ok")
        record.last["smoke-pci-1@rust"]["key"] = "of other sources"
        self.assertFalse(record.has(plan()))


class TakesWhatIsKnown(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name) / "verdicts"

    def plan(self, driver="c", case="smoke.ping", kernel="7.3.4"):
        variant = f"{case}/modern-split-mergeable-1q"
        return SimpleNamespace(kernel=SimpleNamespace(identity=kernel),
                               cases=[{"case": case, "driver": driver, "variant": variant, "id": f"{variant}@{driver}"}])

    def kept(self, plan, status):
        results = Results()
        with contextlib.redirect_stdout(io.StringIO()):
            verdict = results.add(Result(plan.cases[0]["variant"], plan.cases[0]["driver"], status))
        Known("tcg", self.path).keep(plan, [verdict])

    def left(self, plan, accelerator="tcg"):
        """Plans that are left to run, and what the others gave."""
        results = Results()
        with contextlib.redirect_stdout(io.StringIO()):
            left = Known(accelerator, self.path).take([plan], results)
        return len(left), [(result.id, result.status) for result in results.all]

    def test_of_the_c_driver(self):
        self.kept(self.plan(), "ok")
        self.assertEqual(self.left(self.plan()), (0, [("smoke.ping/modern-split-mergeable-1q@c", "ok")]))

    def test_not_of_ours(self):
        self.kept(self.plan("rust"), "ok")
        self.assertEqual(self.left(self.plan("rust")), (1, []))

    def test_not_on_another_kernel(self):
        self.kept(self.plan(), "ok")
        self.assertEqual(self.left(self.plan(kernel="debug-0123")), (1, []))

    def test_not_what_was_not_expected(self):
        self.kept(self.plan(), "fail")
        self.assertEqual(self.left(self.plan()), (1, []))

    def test_not_of_another_accelerator_nor_of_another_case(self):
        self.kept(self.plan(), "ok")
        self.assertEqual(self.left(self.plan(), "kvm"), (1, []))
        self.assertEqual(self.left(self.plan(case="smoke.udp")), (1, []))

    def test_expectations_are_looked_at_anew(self):
        self.kept(self.plan(), "ok")
        with mock.patch.object(Expectations, "find", lambda *_: "it fails"):
            self.assertEqual(self.left(self.plan())[1][0][1], "fail")


class ExpectsDurations(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name) / "seconds"

    def plan(self, cases, own_guest=False):
        return SimpleNamespace(name="smoke-pci-1", own_guest=own_guest, kernel=SimpleNamespace(name="stock", suffix=""),
                               cases=[{"id": f"smoke.{number}@rust"} for number in range(cases)])

    def test_of_more_cases_if_nothing_is_known(self):
        durations = Durations("tcg", self.path)
        self.assertGreater(durations.of(self.plan(3)), durations.of(self.plan(2)))
        self.assertGreater(durations.of(self.plan(2, own_guest=True)), durations.of(self.plan(2)))

    def test_as_they_were(self):
        before = Durations("tcg", self.path)
        verdicts = [Result(f"smoke.{number}", "rust", "ok", seconds=100.0) for number in range(2)]
        Durations("tcg", self.path).keep(self.plan(2), verdicts, 230)
        after = Durations("tcg", self.path)
        self.assertEqual(after.of(self.plan(2)), BOOT + 200)
        self.assertEqual(after.of(self.plan(3)), BOOT + 200 + USUAL)
        # What another run has kept meanwhile stays.
        before.keep(self.plan(3), [Result("smoke.2", "rust", "ok", seconds=50.0)], 75)
        self.assertEqual(Durations("tcg", self.path).of(self.plan(3)), BOOT + 250)


class Observes(unittest.TestCase):
    def test_a_case_that_was_ended_before_it_told(self):
        results = Results()
        for case, status, why in (("hostile.told", "ok", ""), ("hostile.ended", "fail", "not done within 60 s"),
                                  ("hostile.quiet", "ok", ""), ("smoke.ping", "fail", "no answer")):
            results.all.append(Result(case, "c", status, why, found=(status, why)))
        results.observe("hostile.told@c", "7.3.4", ["goes on"])
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "observations.json")
            results.write_observations(file)
            known = {case: entry["notes"] for case, entry in json.loads(file.read_text()).items()}
        self.assertEqual(known, {"hostile.told@c": ["goes on"], "hostile.ended@c": ["not done within 60 s"]})


if __name__ == "__main__":
    unittest.main()
