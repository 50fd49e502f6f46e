#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""dev/model-table on the model and the page of this repo, with a table in C"""

import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

DEV = Path(__file__).resolve().parents[1]
CODE = "drivers/iommu/owner/state.c"
MODEL = "tools/iommu/owner-model"
PAGE = "Documentation/driver-api/iommu-owner-states.rst"
ROWS = ("KERNEL USER claim", "KERNEL RESERVED reserve", "USER RESERVED release",
        "RESERVED USER claim", "USER ENDING end", "RESERVED ENDING end", "ENDING KERNEL return",
        "ENDING QUARANTINE fail", "QUARANTINE KERNEL clear", "KERNEL QUARANTINE undo",
        "KERNEL BLOCKED block", "BLOCKED KERNEL trust", "BLOCKED USER claim",
        "BLOCKED RESERVED reserve", "BLOCKED QUARANTINE undo")


def table(rows):
    lines = ['\t[IOMMU_OWNER_STATE_{}][IOMMU_OWNER_STATE_{}] = "{}",\n'.format(*r.split())
             for r in rows]
    return "static const char * const transitions[NR][NR] = {\n" + "".join(lines) + "};\n"


class ModelTable(unittest.TestCase):
    def setUp(self):
        self.tree = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.tree)
        shutil.copytree(DEV.parent / MODEL, self.tree / MODEL)
        for path in (PAGE, CODE):
            (self.tree / path).parent.mkdir(parents=True)
        shutil.copy(DEV.parent / PAGE, self.tree / PAGE)
        (self.tree / CODE).write_text(table(ROWS))

    def run_table(self):
        p = subprocess.run([DEV / "model-table", self.tree], text=True, check=False,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return p.returncode, p.stdout

    def fails(self, *words):
        status, text = self.run_table()
        self.assertEqual(status, 1, text)
        for word in words:
            self.assertIn(word, text)

    def replace(self, path, old, new):
        text = (self.tree / path).read_text()
        self.assertIn(old, text)
        (self.tree / path).write_text(text.replace(old, new))

    def test_the_same(self):
        self.assertEqual(self.run_table(), (0, ""))

    def test_each_row_that_code_lacks(self):
        for row in ROWS:
            (self.tree / CODE).write_text(table(r for r in ROWS if r != row))
            self.fails("{} -> {} by {}: not in {}".format(*row.split(), CODE))

    def test_code_has_more(self):
        (self.tree / CODE).write_text(table((*ROWS, "RESERVED KERNEL hurry")))
        self.fails("RESERVED -> KERNEL by hurry: not in", MODEL, PAGE)

    def test_other_name(self):
        self.replace(CODE, '"return"', '"back"')
        self.fails("by back", "by return")

    def test_row_in_a_comment(self):
        self.replace(CODE, "\t[IOMMU_OWNER_STATE_ENDING][IOMMU_OWNER_STATE_KERNEL]",
                     "\t// [IOMMU_OWNER_STATE_ENDING][IOMMU_OWNER_STATE_KERNEL]")
        self.fails(f"by return: not in {CODE}")

    def test_no_table(self):
        (self.tree / CODE).write_text("int x;\n")
        self.fails(f"{CODE} has no transition")

    def test_no_code(self):
        (self.tree / CODE).unlink()
        self.fails(f"{CODE} is missing")

    def test_model_lacks(self):
        self.replace(f"{MODEL}/core.pml", "transition(g, KERNEL, QUARANTINE, undo)", "skip")
        self.fails(f"by undo: not in {MODEL}")

    def test_page_lacks(self):
        text = (self.tree / PAGE).read_text()
        lines = [l for l in text.splitlines() if '"undo"' not in l]
        (self.tree / PAGE).write_text("\n".join(lines) + "\n")
        self.fails(f"by undo: not in {PAGE}")

    def test_page_contradicts_itself(self):
        self.replace(PAGE, '"QUARANTINE", "undo"', '"KERNEL", "undo"')
        self.fails('KERNEL by "undo"')


if __name__ == "__main__":
    unittest.main()
