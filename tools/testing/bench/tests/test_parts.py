# SPDX-License-Identifier: GPL-2.0
"""What was measured is kept, found again, and how long the rest takes."""

import os
import struct
import tempfile
import unittest
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import sample
import collect
import counts
import probes
import store
from pace import Pace, clock
from runner import Bench
from scenarios import SCENARIOS

KALLSYMS = """ffffffff81000000 T first
ffffffff81000100 t twin
ffffffff81000200 t twin
ffffffffc0000000 t poll\t[virtio_net]
"""


class InFolder(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)


class Kept(InFolder):
    key = ("icount", "udp-rx", "abc", 3)

    def test_comes_back(self):
        counted = {(counts.Symbol("poll", "virtio_net", 0), 4): 7, (counts.USER, 0): 2}
        kept = store.Store(self.folder, "one")
        self.assertIsNone(kept.load(*self.key))
        kept.save({"done": 1, **store.pack(counted)}, *self.key)
        self.assertEqual(store.unpack(store.Store(self.folder, "one").load(*self.key)), counted)
        self.assertEqual(kept.missing("icount", "udp-rx", "abc", range(5)), [0, 1, 2, 4])

    def test_under_the_same_conditions_only(self):
        store.Store(self.folder, "one").save({}, *self.key)
        self.assertIsNone(store.Store(self.folder, "two").load(*self.key))
        self.assertIsNone(store.Store(self.folder, "one").load("icount", "udp-rx", "other", 3))

    def test_half_a_file_is_none(self):
        kept = store.Store(self.folder, "one")
        kept.save({"a": list(range(1000))}, *self.key)
        path = kept.path(*self.key)
        path.write_bytes(path.read_bytes()[:-20])
        self.assertIsNone(kept.load(*self.key))
        self.assertEqual(kept.missing("icount", "udp-rx", "abc", [3]), [3])

    def test_old_conditions_go(self):
        for n in range(store.KEPT + 2):
            store.Store(self.folder, f"{n}")
            # Time stamps of files are coarse.
            for path in self.folder.iterdir():
                os.utime(path, (int(path.name), int(path.name)))
        self.assertEqual(sorted(p.name for p in self.folder.iterdir()), ["2", "3", "4", "5"])

    def test_digest(self):
        file = self.folder / "file"
        file.write_text("a")
        one = store.digest(file, "x")
        self.assertEqual(one, store.digest(file, "x"))
        file.write_text("b")
        self.assertNotEqual(one, store.digest(file, "x"))


class Missing(InFolder):
    """Which repeats a run has to do, of those that it wants."""

    def bench(self, **arguments):
        bench = object.__new__(Bench)
        bench.args = SimpleNamespace(full=False, resume=False, no_rates=True, probes=[],
                                     scenarios=[SCENARIOS["xdp-drop"]], **arguments)
        bench.store = store.Store(self.folder, "one")
        bench.definition = lambda kind, scenario: "abc"
        return bench

    def test_all_of_them_unless_it_goes_on(self):
        bench = self.bench()
        scenario = SCENARIOS["xdp-drop"]
        bench.store.save({}, "icount", "xdp-drop", "abc", 1)
        self.assertEqual(bench.missing("icount"), {scenario: [0, 1, 2, 3, 4]})
        bench.args.resume = True
        self.assertEqual(bench.missing("icount"), {scenario: [0, 2, 3, 4]})
        bench.args.full = True
        self.assertEqual(bench.missing("icount")[scenario][-1], scenario.full_repeats - 1)
        self.assertEqual((bench.missing("tap"), bench.missing("rate")), ({}, {}))

    def test_a_definition_is_more_than_repeats(self):
        one = SCENARIOS["xdp-drop"]
        self.assertEqual(one.identity(), replace(one, repeats=99, full_repeats=99).identity())
        self.assertNotEqual(one.identity(), replace(one, warm="other").identity())


class Collected(InFolder):
    def setUp(self):
        super().setUp()
        for side in ("c", "rust"):
            (self.folder / f"kallsyms.{side}").write_text(KALLSYMS)
        self.kept, self.void = [], []
        self.collector = collect.CountCollector(
            lambda name: ("rx", ("source", "main")), lambda *what: self.kept.append(what),
            lambda *what: self.void.append(what),
            lambda name, part, numbers: None if numbers[0] == 64 else f"{numbers[0]} of 64",
            out=self.folder, pack=store.pack)
        self.number = 0

    def line(self, text, count=0):
        if text.startswith("part"):
            self.number += 1
            pairs = struct.pack("<QQQQ", 0xffffffffc0000004, count, 0, 1)
            (self.folder / f"dump-{self.number:04}.bin").write_bytes(pairs)
        self.collector.take(text.split())

    def side(self, side, repeat=0, done=64):
        self.line(f"nic {side} 10 virtio_net 101 256 256")
        self.line(f"part udp-rx {side} {repeat} warm 16 5")
        self.line(f"part udp-rx {side} {repeat} source {done} 5", 3)
        self.line(f"part udp-rx {side} {repeat} main 64 5", 9)

    def test_a_repeat_is_kept_when_both_sides_are_there(self):
        self.side("c")
        self.assertEqual(self.kept, [])
        self.side("rust")
        (name, repeat, sides), = self.kept
        self.assertEqual((name, repeat), ("udp-rx", 0))
        self.assertEqual(sides["c"]["nic"]["rings"], [256, 256])
        found = store.unpack(sides["rust"]["parts"]["main"])
        self.assertEqual(found[counts.Symbol("poll", "virtio_net", 0), 4], 9)
        self.assertEqual(list(self.folder.glob("dump-*")), [])

    def test_what_was_lost_voids_that_repeat_alone(self):
        self.side("c", done=63)
        self.side("rust")
        self.assertEqual(self.void, [("udp-rx", 0, "c source: 63 of 64")])
        self.side("c", repeat=1)
        self.side("rust", repeat=1)
        self.assertEqual([repeat for _, repeat, _ in self.kept], [1])
        self.assertEqual(list(self.folder.glob("dump-*")), [])

    def test_the_flaws_of_each_kind(self):
        self.assertIsNone(SCENARIOS["xdp-drop"].flaw(*self.whole(SCENARIOS["xdp-drop"])))
        self.assertIn("delivered", SCENARIOS["xdp-drop"].flaw(*self.whole(SCENARIOS["xdp-drop"], less=1)))
        bypass = probes.PROBES["bypass-rxdrop"]
        self.assertIsNone(bypass.flaw("main", [4096, 100, 128]))
        self.assertIn("4095 of 4096", bypass.flaw("main", [4095, 100, 128]))
        self.assertIn("bursts", bypass.flaw("main", [4096, 100, 60]))
        self.assertIsNone(probes.PROBES["memory"].flaw("main", list(range(16))))

    def whole(self, scenario, less=0):
        part, amount, _ = scenario.parts[-1]
        return part, [amount - less, 5]

    def test_names_that_are_had_twice(self):
        table = counts.SymbolTable(self.folder / "kallsyms.c")
        self.assertEqual(table.find(0xffffffff81000104), (counts.Symbol("twin", "vmlinux", 0), 4))
        self.assertEqual(table.find(0xffffffff81000204), (counts.Symbol("twin", "vmlinux", 1), 4))
        self.assertEqual(table.find(0), (counts.USER, 0))
        self.assertEqual(table.find(1), (counts.UNKNOWN, 0))


class TimeLeft(InFolder):
    def test_from_earlier_runs(self):
        pace = Pace(self.folder / "seconds.json")
        pace.plan("icount", "udp-rx", 2)
        pace.plan("icount", "udp-tx", 0)
        guess = pace.left()
        self.assertGreater(guess, 0)
        pace.done("icount", "boot", 10.0)
        pace.done("icount", "udp-rx", 4.0)
        self.assertEqual(pace.left(), 4.0)
        self.assertEqual(pace.left(since=1.0), 3.0)
        pace.save()
        later = Pace(self.folder / "seconds.json")
        later.plan("icount", "udp-rx", 5)
        # One that nobody has run yet takes what those like it do.
        later.plan("icount", "xdp-drop", 1)
        self.assertEqual(later.left(), 10.0 + 6 * 4.0)
        later.skip("icount")
        self.assertEqual(later.left(), 0)

    def test_a_broken_file_is_no_reason_to_stop(self):
        (self.folder / "seconds.json").write_text("{")
        self.assertEqual(Pace(self.folder / "seconds.json").seconds, {})

    def test_clock(self):
        self.assertEqual((clock(5), clock(61.4), clock(3600)), ("0:05", "1:01", "60:00"))


class Plans(unittest.TestCase):
    def test_probes(self):
        drivers = {"c": "virtio_net", "rust": "virtio_net_rs"}
        plan = probes.make_plan(list(probes.PROBES.values()), drivers, lambda p: [0, 4])
        parts = [line.split() for line in plan.lines if line.startswith("part ")]
        self.assertEqual(len(parts), plan.parts)
        measured = [p[1:4] for p in parts if p[4] == "main"]
        self.assertEqual(len(measured), 2 * 2 * len(probes.PROBES))
        # C and Rust in turn.
        self.assertEqual([p[1] for p in measured[:4]], ["c", "rust", "c", "rust"])

    def test_memory_is_a_difference(self):
        found = sample.memory()
        self.assertEqual(found["c"]["bound"], {"all": 200, "slab": 100, "percpu": 0, "page_pool": 0})
        self.assertEqual(found["c"]["one"]["all"], 400 + 1041)
        self.assertEqual(found["rust"]["per_queue"]["page_pool"], 781)
        self.assertEqual(found["ratio"]["one"], round((400 + 781) / (400 + 1041), 4))

    def test_bypass(self):
        found = sample.bypass()
        self.assertEqual((found["total"], found["beside"]), (101, "xsk-zc-rxdrop"))
        self.assertAlmostEqual(found["spread"], 2 / 101, 4)

    def test_latency(self):
        found = sample.latency("latency-udp", 0.9)
        self.assertEqual(found["c"]["p50"], 9009)
        self.assertEqual(found["ratio"]["p50"], 0.9)
        self.assertEqual(found["gap"], 50000)
        self.assertLess(found["c"]["spread"]["p50"], 0.003)


if __name__ == "__main__":
    unittest.main()
