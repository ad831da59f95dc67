# SPDX-License-Identifier: GPL-2.0
"""Bounds: which scenario has which, and what is above them."""

import unittest

import sample
import gate
from scenarios import QUICK, SCENARIOS


def result(name, core, total, spread=0.0, own=200):
    return {"name": name, "ratio": {"core": core, "total": total}, "spread": spread,
            "rust": {"driver": "virtio_net_rs", "by_module": {"virtio_net_rs": own}}}


class Bounds(unittest.TestCase):
    def test_table(self):
        wanted = {
            "xdp-drop": (0.85, None), "xdp-drop@1500": (0.85, None), "xdp-tx": (0.85, None),
            "xdp-pass": (1.00, None), "xdp-redirect": (1.00, None),
            "xsk-zc-rxdrop": (0.95, None), "xsk-zc-l2fwd": (0.80, None),
            "xsk-zc-txonly": (0.65, 0.60), "xsk-zc-txonly@sg": (0.65, 0.60),
            "udp-rx": (1.05, None), "tcp-tx": (1.05, None), "pktgen-tx@4q": (1.05, None),
        }
        for name, bound in wanted.items():
            found = gate.bound_of(name)
            self.assertEqual((found.core, found.total), bound, name)

    def test_every_scenario_has_one(self):
        for name in SCENARIOS:
            self.assertGreater(gate.bound_of(name).core, 0)
        self.assertLessEqual(set(QUICK), set(SCENARIOS))

    def test_at_the_bound_passes_and_above_fails(self):
        self.assertEqual(gate.failures(result("xdp-drop", 0.85, 1.0)), [])
        self.assertEqual(len(gate.failures(result("xdp-drop", 0.8501, 1.0))), 1)
        self.assertEqual(len(gate.failures(result("xdp-drop", 0.86, 1.1))), 2)

    def test_total_gets_the_spread_up_to_a_percent(self):
        self.assertEqual(gate.failures(result("udp-rx", 1.0, 1.004, 0.005)), [])
        self.assertEqual(len(gate.failures(result("udp-rx", 1.0, 1.006, 0.005))), 1)
        self.assertEqual(len(gate.failures(result("tcp-rx", 1.0, 1.011, 0.3))), 1)

    def test_total_with_a_bound_of_its_own_gets_none(self):
        self.assertEqual(len(gate.failures(result("xsk-zc-txonly", 0.5, 0.605, 0.05))), 1)
        self.assertEqual(gate.failures(result("xsk-zc-txonly", 0.5, 0.6, 0.05)), [])

    def test_the_drivers_own_code(self):
        self.assertEqual(gate.failures(result("xdp-drop", 0.8, 1.0, own=300)), [])
        self.assertEqual(len(gate.failures(result("xdp-drop", 0.8, 1.0, own=301))), 1)
        self.assertEqual(gate.failures(result("udp-rx", 0.8, 1.0, own=999)), [])

    def test_failing_first(self):
        results = [result("udp-rx", 0.9, 0.9), result("udp-tx", 1.06, 1.0),
                   result("xdp-drop", 1.0, 1.0), result("xdp-tx", 0.5, 0.5)]
        for r in results:
            r["gate"] = gate.failures(r)
        names = [r["name"] for r in gate.failing_first(results)]
        self.assertEqual(names, ["xdp-drop", "udp-tx", "udp-rx", "xdp-tx"])


class Results(unittest.TestCase):
    def test_core_and_total(self):
        found = sample.scenario("udp-rx")
        # Of COSTS: the driver, the rings with the kick, the page pool.
        self.assertEqual(found["c"]["core"], 500 + 240 + 20 + 60)
        self.assertEqual(found["rust"]["core"], 260 + 225 + 20 + 50)
        self.assertEqual(found["c"]["total"], 1230 + 20 + 50 + 2)
        self.assertEqual(found["c"]["by_module"]["virtio_net"], 500)
        self.assertEqual((found["gate"], found["costly"]), ([], []))

    def test_costly_symbols_of_a_failure(self):
        found = sample.scenario("xsk-zc-rxdrop", more=400)
        self.assertEqual(len(found["gate"]), 2)
        listed = [row["symbol"] for row in found["costly"]]
        # The driver's own function, then what grew in core; nothing that shrank.
        self.assertIn("receive", listed[0])
        self.assertEqual(listed[1:], ["virtqueue_kick", "virtqueue_get_buf_ctx_split"])


if __name__ == "__main__":
    unittest.main()
