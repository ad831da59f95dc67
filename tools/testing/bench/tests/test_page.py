# SPDX-License-Identifier: GPL-2.0
"""The page: of one piece, and what is above its bound comes first."""

import json
import re
import tempfile
import unittest
from pathlib import Path

import sample
import charts
import compare
import page
import page_check
import report
import rst
import terminal


class Reports(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.document = sample.document(failing=True)
        cls.document["comparison"] = compare.compare(sample.document(), cls.document)
        cls.folder = tempfile.TemporaryDirectory()
        cls.out = Path(cls.folder.name)
        cls.written = report.write(cls.document, cls.out)
        cls.html = (cls.out / "report.html").read_text()
        cls.page = page_check.check(cls.html)
        cls.text = " ".join(" ".join(cls.page.text).split())

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def test_all_files_are_there(self):
        self.assertEqual(sorted(self.written), sorted(f.name for f in self.out.iterdir()))
        self.assertEqual(json.loads((self.out / "report.json").read_text()), json.loads(json.dumps(self.document)))

    def test_of_one_piece(self):
        self.assertEqual(self.page.faults, [])
        self.assertNotRegex(self.html, r"https?://")
        self.assertEqual(self.page.tags["svg"], len(charts.NAMES))
        self.assertNotIn("img", self.page.tags)

    def test_failing_first_and_in_red(self):
        order = [self.html.index(f'id="{name}"') for name in ("failures", "all", "each")]
        self.assertEqual(order, sorted(order))
        rows = re.findall(r'<tr( class="failed")?><td data-value="([^"]+)"', self.html)
        self.assertEqual(rows[0], (' class="failed"', "xsk-zc-rxdrop"))
        self.assertEqual([css for css, _ in rows[1:]], [""] * (len(sample.NAMES) - 1))
        details = re.findall(r'<details id="s-([^"]+)" class="([^"]*)"', self.html)
        self.assertEqual(details[0], ("xsk-zc-rxdrop", "failed"))
        self.assertEqual(len(details), len(sample.NAMES))
        failure = self.html[order[0]:order[1]]
        self.assertIn("virtqueue_kick", failure)
        self.assertIn("at most 0.950", failure)
        grown = [float(n.replace("−", "-").replace(",", "")) for n in re.findall(
            r'data-value="([-\d.]+)">[+−]?[\d,.]+</td></tr>', failure.partition("Symbols that cost")[2])]
        self.assertEqual(grown, sorted(grown, reverse=True))
        self.assertGreater(len(grown), 1)

    def test_nothing_in_common_is_not_compared(self):
        comparison = {"with": "2026-01-01", "same_module": False, "rows": [], "notes": []}
        document = sample.document() | {"comparison": comparison}
        self.assertNotIn("2026-01-01", page.render(document, {}))
        self.assertNotIn("2026-01-01", rst.render(document))

    def test_published_with_the_symbols_that_cost(self):
        page = rst.render(sample.document(failing=True) | {"seconds": 3723})
        self.assertIn("in 62:03.", page)
        self.assertLess(page.index("xsk-zc-rxdrop: "), page.index("``virtqueue_kick``"))

    def test_what_is_missing_is_said_first(self):
        document = sample.document() | {"void": ["tcp-rx, repeat 1: a part was lost"],
                                        "repeats": {"now": 7, "before": 5}}
        with tempfile.TemporaryDirectory() as folder:
            report.write(document, Path(folder))
            html = (Path(folder) / "report.html").read_text()
        self.assertLess(html.index("tcp-rx, repeat 1: a part was lost"), html.index('id="all"'))
        self.assertIn("void, and left out</span>", html)
        page = rst.render(document)
        self.assertLess(page.index("tcp-rx, repeat 1"), page.index("within their bounds"))
        self.assertIn("7 repeats were measured by this run, 5 by earlier ones", page)

    def test_passing_report_has_no_red(self):
        with tempfile.TemporaryDirectory() as folder:
            report.write(sample.document(), Path(folder))
            html = (Path(folder) / "report.html").read_text()
        self.assertEqual(page_check.check(html).faults, [])
        self.assertNotIn('class="failed"', html)
        self.assertNotIn('id="failures"', html)

    def test_says_what_it_has(self):
        for text in ("v0.1-7-g1234567", "Latency at a fixed load", "each further queue pair",
                     "Compared with the earlier report", "1 of 9 scenarios above their bounds"):
            self.assertIn(text, self.text)

    def test_escapes(self):
        self.assertIn("page_pool_alloc_frag&lt;netmem&gt;&amp;", self.html)
        self.assertNotIn("frag<netmem>", self.html)

    def test_markdown(self):
        text = (self.out / "report.md").read_text()
        rows = [line for line in text.splitlines() if line.startswith("| ")]
        self.assertTrue(rows[2].startswith("| xsk-zc-rxdrop "), rows[2])
        self.assertTrue(rows[2].endswith(" FAIL |"))
        self.assertEqual(re.findall(r"!\[[^]]*\]\(([^)]+)\)", text),
                         [name for name in self.written if name.endswith(".svg")])

    def test_terminal(self):
        lines = terminal.summary(self.document).splitlines()
        self.assertTrue(lines[2].startswith("xsk-zc-rxdrop"))
        self.assertIn("worse", "\n".join(lines))
        last = terminal.failures(self.document)
        self.assertIn("ABOVE ITS BOUND xsk-zc-rxdrop: core", last[0])
        self.assertIn("+400.0  virtqueue_kick", last[2])
        self.assertEqual(terminal.failures(sample.document()), [])

    def test_few_things_are_enough(self):
        one = sample.document(names=("udp-tx",)) | {"latency": [], "memory": [], "bypass": []}
        nothing = sample.document(names=()) | {"memory": [], "bypass": []}
        for document in (one, nothing):
            with tempfile.TemporaryDirectory() as folder:
                report.write(document, Path(folder))
                found = page_check.check((Path(folder) / "report.html").read_text())
                self.assertEqual(found.faults, [])
                self.assertEqual(json.loads((Path(folder) / "report.json").read_text())["date"], document["date"])

    def test_reports_of_before_are_read(self):
        old = {k: v for k, v in self.document.items()
               if k not in ("latency", "memory", "bypass", "comparison", "driver", "machine", "qemu", "module")}
        old["scenarios"] = [{k: v for k, v in r.items() if k not in ("bound", "costly")} for r in old["scenarios"]]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "old.json"
            path.write_text(json.dumps(old))
            report.write(report.read(path), Path(folder))
            self.assertEqual(page_check.check((Path(folder) / "report.html").read_text()).faults, [])


class Checker(unittest.TestCase):
    """It finds what it is for."""

    def faults(self, body):
        return page_check.check(f"<!DOCTYPE html><html><body>{body}</body></html>").faults

    def test_good(self):
        self.assertEqual(self.faults('<p id="a">x<br></p><a href="#a">y</a><a href="../x.rst">z</a>'
                                     '<svg><path d="M0 0"/><use xlink:href="#a"/></svg>'), [])

    def test_bad(self):
        for body in ('<p>x', '<p></div>', '<img src="x.png">', '<script src="//x/y.js"></script>',
                     '<link rel="stylesheet" href="x.css">', '<a href="https://example.org">x</a>',
                     '<p id="a"></p><p id="a"></p>', '<a href="#nowhere">x</a>', '<p onclick="x()"></p>',
                     '<style>@import "x"</style>', '<style>p { background: url(x.png) }</style>',
                     '<script>fetch("x")</script>', '<p style="background: url(x)"></p>', '<p/>',
                     '<iframe></iframe>', '<p class="a" class="b"></p>'):
            self.assertTrue(self.faults(body), body)


if __name__ == "__main__":
    unittest.main()
