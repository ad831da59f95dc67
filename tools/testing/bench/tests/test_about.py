# SPDX-License-Identifier: GPL-2.0
"""Names of scenarios: in words, and which belong together."""

import unittest

import sample
import about
import bench
from probes import PROBES
from scenarios import SCENARIOS


class Names(unittest.TestCase):
    def test_each_has_words(self):
        for name in (*SCENARIOS, *PROBES, *sample.NAMES):
            self.assertIn(name.partition("@")[0], about.WORDS, name)

    def test_reasons_are_of_scenarios(self):
        self.assertLessEqual(set(about.WHY), set(SCENARIOS))

    def test_variants(self):
        self.assertEqual(about.of("udp-tx"), "datagrams sent from a socket")
        self.assertTrue(about.of("pktgen-tx@4q").endswith(", 4 queues in turn"))
        self.assertTrue(about.of("pktgen-tx@1q").endswith(", one queue"))
        self.assertTrue(about.of("xdp-drop@512").endswith(", frames of 512 bytes"))
        self.assertEqual(about.of("new@9000@odd"), "frames of 9000 bytes, odd")

    def test_families(self):
        names = ["a", "a@1500", "a@512", "b@512", "c@2q", "c@1q", "d", "a@sg", "a@9000@sg", "a@9000@c-copy"]
        self.assertEqual(about.families(names, about.SIZE, 64),
                         {"a": [(64, "a"), (512, "a@512"), (1500, "a@1500"), (9000, "a@9000@c-copy")]})
        self.assertEqual(about.families(names, about.QUEUES), {"c": [(1, "c@1q"), (2, "c@2q")]})
        self.assertEqual(about.leading(names), ["a", "b@512", "c@2q", "c@1q", "d"])

    def test_by_name_only(self):
        self.assertIn("latency-udp", bench.choose("latency-*"))
        self.assertNotIn("latency-xdp-tx", bench.choose("latency-*") + bench.choose("all"))
        self.assertEqual(bench.choose("latency-xdp-tx"), ["latency-xdp-tx"])
        self.assertEqual(bench.choose("nothing"), [])
        self.assertLessEqual({*SCENARIOS, "memory"}, set(bench.choose("all")))


if __name__ == "__main__":
    unittest.main()
