#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""dev/tree.py on a small tree: make tooltest"""

import difflib
import hashlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

DEV = Path(__file__).resolve().parents[1]
OWNER = "drivers/iommu/owner"
CODE = "drivers/iommu/iommu.c"
BASE = {
    "Makefile": "VERSION = 6\nPATCHLEVEL = 12\nSUBLEVEL = 117\nEXTRAVERSION =\n",
    ".gitignore": "*.o\n.*\n/*\n",
    "MAINTAINERS": "List\n====\n\nABC DRIVER\nM:\tA <a@a>\nF:\ta/\n\n"
                   "IOMMU SUBSYSTEM\nM:\tJ <j@j>\nF:\tdrivers/iommu/\n\n"
                   "XYZ\nM:\tX <x@x>\nF:\tx/\n\nTHE REST\nM:\tL <l@l>\nF:\t*\n",
    CODE: "".join(f"line {n}\n" for n in range(1, 101)),
    "drivers/vfio/group.c": "".join(f"vfio {n}\n" for n in range(1, 41)),
    "include/linux/iommu.h": "iommu\n",
}
MAKEFILE = ("# comment\niommu_owner-y += core.o\niommu_owner-$(CONFIG_X) += view.o\n"
            "obj-y += iommu_owner.o\nobj-$(CONFIG_T) += tests/\n")
SECTION = "IOMMU OWNERSHIP\nM:\tO <o@o>\nF:\tdrivers/iommu/owner/\n"


def put(top, files):
    for path, text in files.items():
        (top / path).parent.mkdir(parents=True, exist_ok=True)
        (top / path).write_text(text)


def files_of(top):
    """Everything below a directory, with modes and times."""
    return {str(p.relative_to(top)): (p.lstat().st_mode, p.lstat().st_mtime_ns, p.read_bytes())
            for p in sorted(top.rglob("*")) if p.is_file()}


class TreeTest(unittest.TestCase):
    def setUp(self):
        self.tmp = Path(tempfile.mkdtemp(prefix="tree-test-"))
        self.addCleanup(shutil.rmtree, self.tmp)
        self.repo = self.tmp / "repo"
        (self.repo / "dev").mkdir(parents=True)
        shutil.copytree(DEV / "tree", self.repo / "dev/tree",
                        ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("tree.py", "step", "settings", "shared.py"):
            shutil.copy(DEV / name, self.repo / "dev" / name)
        put(self.repo, {".gitignore": "/build/\n__pycache__/\n", "patches/series": ""})
        self.sh("git", "init", "-q", cwd=self.repo)
        self.kernel = self.tmp / "kernel"
        put(self.kernel, BASE)
        self.tarball()
        self.linux = self.repo / "build/linux"
        self.now = dict(BASE)

    def tarball(self):
        tar = self.tmp / "linux.tar.xz"
        self.sh("tar", "-cJf", tar, "-C", self.tmp, "kernel")
        put(self.repo, {"linux.base": f"package = none\ntarball = {tar}\nversion = 6.12.117\n"
                        "debian = 6.12.117-1\nsha256 = "
                        + hashlib.sha256(tar.read_bytes()).hexdigest() + "\n"})

    def sh(self, *command, cwd=None):
        return subprocess.run(command, cwd=cwd, check=True, capture_output=True,
                              text=True).stdout.strip()

    def tree(self, *args, fails=None, **env):
        """dev/tree.py; with fails=TEXT it has to fail and say so."""
        done = subprocess.run([self.repo / "dev/tree.py", *args], text=True,
                              capture_output=True, stdin=subprocess.DEVNULL,
                              env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **env})
        if fails is None:
            self.assertEqual(done.returncode, 0, done.stderr)
        else:
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertRegex(done.stderr, fails)
            self.assertNotIn("Traceback", done.stderr)
        return done.stdout + done.stderr

    def git(self, *args, tree=None):
        return self.sh("git", *args, cwd=tree or self.linux)

    def add_to_series(self, name):
        with (self.repo / "patches/series").open("a") as file:
            file.write(name + "\n")

    def hook(self, name, path, *edits):
        """A hook that replaces lines: (old, new) pairs."""
        old = new = self.now[path]
        for before, after in edits:
            self.assertIn(before, new)
            new = new.replace(before, after, 1)
        self.now[path] = new
        diff = "".join(difflib.unified_diff(old.splitlines(True), new.splitlines(True),
                                            f"a/{path}", f"b/{path}"))
        put(self.repo, {f"patches/{name}": f"Subject: iommu: {name}\n\nWhy {name}.\n---\n\n"
                        f"diff --git a/{path} b/{path}\n{diff}"})
        self.add_to_series(name)

    def overlay(self, name, files):
        put(self.repo, files)
        put(self.repo, {f"patches/{name}": f"Subject: iommu: {name}\n\nWhy {name}.\n\n"
                        + "".join(f"Overlay: {path}\n" for path in files)})
        self.add_to_series(name)

    def sample(self):
        """Two hooks in one file with an overlay step between, a third elsewhere."""
        self.hook("1-core.patch", CODE, ("line 10\n", "line 10\nhook one\nhook one more\n"))
        self.overlay("2-files.patch", {f"{OWNER}/core.c": "core\n", f"{OWNER}/owner.h": "h\n"})
        self.hook("3-more.patch", CODE, ("hook one\n", "hook one\nhook three\n"),
                  ("line 60\n", "line sixty\n"))
        self.hook("4-vfio.patch", "drivers/vfio/group.c", ("vfio 20\n", "vfio twenty\n"))

    def edit(self, path, old, new, top=None):
        path = (top or self.linux) / path
        text = path.read_text()
        self.assertIn(old, text)
        path.write_text(text.replace(old, new, 1))

    def series(self):
        return {p: c for p, (_, _, c) in files_of(self.repo / "patches").items()}

    def refused(self, fails, command="refresh", **env):
        """The command fails and changes nothing, in the repo and in the tree."""
        def state():
            tree = {p: (m, c) for top in (self.repo / "patches", self.repo / "drivers", self.linux)
                    for p, (m, _, c) in files_of(top).items() if not p.startswith(".git/")}
            return tree, self.git("rev-parse", "owner")

        before = state()
        out = self.tree(command, fails=fails, **env)
        self.assertEqual(before, state())
        return out

    def refreshed(self, **env):
        """refresh works, keeps the files, and the series gives them again from scratch."""
        edited = {p: c for p, (_, _, c) in files_of(self.linux).items()
                  if not p.startswith(".git/")}
        out = self.tree("refresh", **env)
        self.assertEqual(self.git("status", "--porcelain"), "")
        shutil.rmtree(self.repo / "build")
        self.tree("assemble")
        self.assertEqual(edited, {p: c for p, (_, _, c) in files_of(self.linux).items()
                                  if not p.startswith(".git/")})
        return out

    # assemble

    def test_commits_and_ids(self):
        self.sample()
        self.tree("assemble")
        self.assertEqual(self.git("log", "--reverse", "--format=%s", "base..owner"),
                         "iommu: 1-core.patch\niommu: 2-files.patch\n"
                         "iommu: 3-more.patch\niommu: 4-vfio.patch")
        self.assertEqual(self.git("log", "-1", "--format=%b", "owner~2"), "Why 2-files.patch.")
        self.assertEqual((self.linux / CODE).read_text(), self.now[CODE])
        self.assertEqual(self.git("show", "base:.gitignore"), BASE[".gitignore"].strip())
        first = self.git("rev-parse", "owner")
        shutil.rmtree(self.repo / "build")
        self.tree("assemble")
        self.assertEqual(self.git("rev-parse", "owner"), first)

    def test_only_differing_files_are_written(self):
        self.sample()
        self.tree("assemble")
        before = files_of(self.linux)
        put(self.repo, {f"{OWNER}/core.c": "changed\n"})
        self.tree("assemble")
        after = files_of(self.linux)
        changed = {p for p in before if not p.startswith(".git/") and before[p] != after[p]}
        self.assertEqual(changed, {f"{OWNER}/core.c"})

    def test_modes_are_kept(self):
        self.overlay("1.patch", {"tools/testing/run.sh": "#!/bin/sh\n", "tools/a": "a\n"})
        (self.repo / "tools/testing/run.sh").chmod(0o755)
        self.tree("assemble")
        self.assertTrue(os.access(self.linux / "tools/testing/run.sh", os.X_OK))
        self.assertFalse(os.access(self.linux / "tools/a", os.X_OK))

    def test_hook_that_does_not_fit(self):
        self.sample()
        self.tree("assemble")
        self.edit("patches/3-more.patch", "-line 60", "-line 6o", self.repo)
        out = self.refused("patches/3-more.patch does not apply", "assemble")
        self.assertIn(f"{CODE}: hunk @@ -", out)
        self.assertNotIn("@@ -8,", out)
        self.assertIn("expected: Linux 6.12.117", out)
        self.assertIn("found: Linux 6.12.117", out)

    def test_hook_for_a_missing_file(self):
        self.hook("1.patch", CODE, ("line 5\n", "line five\n"))
        self.edit("patches/1.patch", CODE, "drivers/none.c", self.repo)
        text = (self.repo / "patches/1.patch").read_text()
        put(self.repo, {"patches/1.patch": text.replace(CODE, "drivers/none.c")})
        self.tree("assemble", fails="drivers/none.c: changed by patches/1.patch, but not in")

    def test_series_errors(self):
        self.sample()
        self.add_to_series("4-vfio.patch")
        self.add_to_series("5-none.patch")
        put(self.repo, {"patches/6-extra.patch": "Subject: x\n\nOverlay: x\n"})
        out = self.tree("assemble", fails="names 4-vfio.patch twice")
        self.assertIn("names 5-none.patch, which does not exist", out)
        self.assertIn("6-extra.patch is not in patches/series", out)

    def test_bad_steps(self):
        put(self.repo, {"patches/1.patch": "no subject\n\nOverlay: drivers/a.c\n"})
        self.add_to_series("1.patch")
        self.tree("check", fails="no Subject: line")
        put(self.repo, {"patches/1.patch": "Subject: x\n\nb\n---\nOverlay: drivers/a.c\n"})
        self.tree("check", fails="'---' line in an overlay step")
        put(self.repo, {"patches/1.patch": "Subject: x\n\nneither\n"})
        self.tree("check", fails="either a diff")

    def test_overlay_file_without_step(self):
        self.sample()
        put(self.repo, {f"{OWNER}/view.c": "view\n"})
        self.tree("assemble", fails=f"{OWNER}/view.c: no step of the series names it")
        self.assertFalse((self.linux / CODE).exists() and "hook" in
                         (self.linux / CODE).read_text())

    def test_overlay_file_missing_or_twice(self):
        self.sample()
        self.overlay("5.patch", {f"{OWNER}/core.c": "core\n"})
        (self.repo / OWNER / "owner.h").unlink()
        out = self.tree("assemble", fails="owner.h: named by patches/2-files.patch, but not")
        self.assertIn("core.c: arrives twice", out)

    def test_overlay_file_that_base_has(self):
        self.overlay("1.patch", {CODE: "mine\n"})
        self.tree("assemble", fails=f"{CODE}: the base tree already has it")

    def test_makefile_lines_come_with_their_source(self):
        self.overlay("1.patch", {f"{OWNER}/Makefile": MAKEFILE})
        self.overlay("2.patch", {f"{OWNER}/core.c": "c\n"})
        self.overlay("3.patch", {f"{OWNER}/view.c": "c\n"})
        self.overlay("4.patch", {f"{OWNER}/tests/Makefile": "obj-$(CONFIG_T) += a_kunit.o\n"})
        self.overlay("5.patch", {f"{OWNER}/tests/a_kunit.c": "c\n"})
        self.tree("assemble")
        lines = MAKEFILE.splitlines()
        for back, want in ((4, lines[:1]), (3, [lines[0], lines[1], lines[3]]),
                           (2, lines[:4]), (1, lines), (0, lines)):
            self.assertEqual(self.git("show", f"owner~{back}:{OWNER}/Makefile").splitlines(),
                             want, back)
        self.assertEqual(self.git("show", f"owner~1:{OWNER}/tests/Makefile"), "")
        (self.repo / OWNER / "view.c").unlink()
        (self.repo / "patches/3.patch").unlink()
        self.edit("patches/series", "3.patch\n", "", self.repo)
        self.tree("assemble", fails=r"source no step brings:\n.*view.o")

    def test_maintainers(self):
        self.overlay("1.patch", {"MAINTAINERS": SECTION})
        self.tree("assemble")
        text = (self.linux / "MAINTAINERS").read_text()
        self.assertEqual(text.replace(SECTION + "\n", ""), BASE["MAINTAINERS"])
        self.assertIn(f"F:\ta/\n\n{SECTION}\nIOMMU SUBSYSTEM", text)
        self.edit("MAINTAINERS", "M:\tO <o@o>\n", "M:\tO <o@o>\nS:\tMaintained\n")
        self.refreshed()
        self.assertEqual((self.repo / "MAINTAINERS").read_text(),
                         SECTION.replace("<o@o>\n", "<o@o>\nS:\tMaintained\n"))
        self.edit("MAINTAINERS", "X <x@x>", "Y <x@x>")
        self.refused("a section that is not ours")

    def test_local_edits_are_refused_and_discarded(self):
        self.sample()
        self.tree("assemble")
        self.edit("drivers/vfio/group.c", "vfio 1\n", "mine\n")
        put(self.linux, {"drivers/new.c": "new\n", "drivers/built.o": "o\n"})
        put(self.repo, {f"{OWNER}/core.c": "changed\n"})
        out = self.refused("changes that are in no step", "assemble")
        self.assertIn("drivers/new.c", out)
        self.assertNotIn("built.o", out)
        self.tree("discard")
        self.assertFalse((self.linux / "drivers/new.c").exists())
        self.tree("assemble")
        self.assertEqual((self.linux / OWNER / "core.c").read_text(), "changed\n")
        self.assertNotIn("mine", (self.linux / "drivers/vfio/group.c").read_text())

    def test_edits_are_left_alone_while_nothing_comes_in(self):
        self.sample()
        self.tree("assemble")
        self.edit("drivers/vfio/group.c", "vfio 1\n", "mine\n")
        self.assertIn("1 edited files", self.tree("assemble"))
        self.assertIn("mine", (self.linux / "drivers/vfio/group.c").read_text())

    def test_commits_on_top_are_refused(self):
        self.sample()
        self.tree("assemble")
        self.edit(CODE, "hook one more\n", "hook one again\n")
        self.git("-c", "user.name=u", "-c", "user.email=u@u", "commit", "-qam", "mine")
        core = (self.repo / OWNER / "core.c").read_text()
        put(self.repo, {f"{OWNER}/core.c": core + "changed\n"})
        self.tree("assemble", fails="changes that are in no step")
        put(self.repo, {f"{OWNER}/core.c": core})
        self.refreshed()
        self.assertIn(b"+hook one again", self.series()["1-core.patch"])

    def test_interrupted_update(self):
        """Killed while files are written: the next call finishes."""
        self.sample()
        self.tree("assemble")
        old = self.git("rev-parse", "owner")
        put(self.repo, {f"{OWNER}/core.c": "changed\n"})
        self.tree("check")
        # What a kill leaves: target set, a lock, a file half written.
        self.tree("assemble")
        new = self.git("rev-parse", "owner")
        for ref, value in (("refs/owner/assembled", old), ("refs/heads/owner", old),
                           ("refs/owner/target", new)):
            self.git("update-ref", ref, value)
        self.git("read-tree", old)
        put(self.linux, {f"{OWNER}/core.c": "chan"})
        (self.linux / ".git/index.lock").touch()
        (self.linux / ".git/refs/heads/owner.lock").touch()
        self.tree("assemble")
        self.assertEqual((self.linux / OWNER / "core.c").read_text(), "changed\n")
        self.assertEqual(self.git("rev-parse", "owner"), new)
        self.assertEqual(self.git("status", "--porcelain"), "")

    def test_interrupted_import(self):
        self.sample()
        put(self.repo, {"build/linux.new/Makefile": "half\n", "build/linux.new/.git/HEAD": ""})
        self.tree("assemble")
        self.assertFalse((self.repo / "build/linux.new").exists())
        self.assertEqual((self.linux / "Makefile").read_text(), BASE["Makefile"])

    def test_killed_at_any_time(self):
        """Kill it after a growing time; at the end a call works and gives the same."""
        self.sample()
        self.tree("assemble")
        want = self.git("rev-parse", "owner")
        shutil.rmtree(self.repo / "build")
        for n in range(25):
            child = subprocess.Popen([self.repo / "dev/tree.py", "assemble"],
                                     stderr=subprocess.DEVNULL, start_new_session=True)
            time.sleep(0.03 * n)
            try:
                os.killpg(child.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            child.wait()
        self.tree("assemble")
        self.assertEqual(self.git("rev-parse", "owner"), want)
        self.assertEqual(self.git("status", "--porcelain"), "")

    def test_new_package(self):
        """Another tarball: imported again, with a warning."""
        self.sample()
        self.tree("assemble")
        put(self.kernel, {"Makefile": BASE["Makefile"].replace("117", "118")})
        base = (self.repo / "linux.base").read_text()
        self.tarball()
        put(self.repo, {"linux.base": base})
        out = self.tree("assemble")
        self.assertIn("warning: the base is Linux 6.12.118", out)
        self.assertIn("118", (self.linux / "Makefile").read_text())
        self.assertIn("hook one", (self.linux / CODE).read_text())

    # refresh

    def test_refresh_overlay_file(self):
        self.sample()
        self.tree("assemble")
        before = self.series()
        self.edit(f"{OWNER}/core.c", "core\n", "core\nmore\n")
        (self.linux / OWNER / "owner.h").chmod(0o755)
        self.refreshed()
        self.assertEqual((self.repo / OWNER / "core.c").read_text(), "core\nmore\n")
        self.assertTrue(os.access(self.repo / OWNER / "owner.h", os.X_OK))
        self.assertEqual(self.series(), before)

    def test_refresh_filtered_makefile(self):
        self.overlay("1.patch", {f"{OWNER}/Makefile": MAKEFILE})
        self.overlay("2.patch", {f"{OWNER}/core.c": "c\n", f"{OWNER}/view.c": "c\n",
                                 f"{OWNER}/tests/Makefile": "# none\n"})
        self.tree("assemble")
        self.edit(f"{OWNER}/Makefile", "# comment\n", "# other\n")
        self.refreshed()
        self.assertEqual((self.repo / OWNER / "Makefile").read_text(),
                         MAKEFILE.replace("comment", "other"))

    def test_refresh_hook_below_a_later_one(self):
        """Lines of step 1, right beside lines that step 3 adds."""
        self.sample()
        self.tree("assemble")
        before = self.series()
        self.edit(CODE, "hook one\n", "hook 1\n")
        self.edit(CODE, "line sixty\n", "line 60 and more\n")
        self.refreshed()
        after = self.series()
        self.assertIn(b"+hook 1\n+hook one more\n", after["1-core.patch"])
        self.assertIn(b" hook 1\n+hook three\n hook one more\n", after["3-more.patch"])
        self.assertIn(b"+line 60 and more\n", after["3-more.patch"])
        self.assertIn(b"Subject: iommu: 1-core.patch\n\nWhy 1-core.patch.\n---\n",
                      after["1-core.patch"])
        for same in ("2-files.patch", "4-vfio.patch", "series"):
            self.assertEqual(before[same], after[same])

    def test_refresh_insertion_and_removal(self):
        self.sample()
        self.tree("assemble")
        self.edit(CODE, "line sixty\n", "line sixty\nadded after\n")
        self.edit(CODE, "hook one more\n", "")
        self.edit("drivers/vfio/group.c", "vfio 21\n", "vfio 21\nnear\n")
        self.refreshed()
        after = self.series()
        self.assertIn(b"+line sixty\n+added after\n", after["3-more.patch"])
        self.assertNotIn(b"hook one more", after["1-core.patch"] + after["3-more.patch"])
        self.assertIn(b"+near\n", after["4-vfio.patch"])

    def test_refresh_near_removed_lines(self):
        """A hook that only removes lines still owns the place."""
        self.hook("1.patch", CODE, ("line 30\n", ""))
        self.tree("assemble")
        self.edit(CODE, "line 31\n", "line thirty-one\n")
        self.refreshed()
        self.assertIn(b"+line thirty-one\n", self.series()["1.patch"])

    def test_refresh_keeps_diffstat_and_notes(self):
        self.sample()
        self.edit("patches/4-vfio.patch", "---\n\n", "---\nA note.\n\n drivers/vfio/group.c | 2 +-\n"
                  " 1 file changed, 1 insertion(+), 1 deletion(-)\n\n", self.repo)
        self.tree("assemble")
        self.edit("drivers/vfio/group.c", "vfio twenty\n", "vfio twenty\nand\n")
        self.refreshed()
        text = self.series()["4-vfio.patch"].decode()
        self.assertIn("---\nA note.\n\n drivers/vfio/group.c | 3 ++-\n"
                      " 1 file changed, 2 insertions(+), 1 deletion(-)\n\ndiff --git", text)

    def test_refresh_ambiguous(self):
        self.sample()
        self.tree("assemble")
        self.edit(CODE, "hook one\nhook three\n", "both\n")
        self.edit("drivers/vfio/group.c", "vfio 1\n", "far\n")
        out = self.refused(f"{CODE}: hunk @@ -11,2 .11,1 @@: may belong to 1-core.patch, "
                           "3-more.patch; say which with REFRESH_TO")
        self.assertIn("drivers/vfio/group.c: hunk @@ -1,1 +1,1 @@: may belong to 4-vfio.patch",
                      out)
        out = self.refused("comes with patches/3-more.patch, after", REFRESH_TO="1-core")
        self.refused("no such step", REFRESH_TO="nothing")
        self.refused("REFRESH_TO=patch: fits 1-core.patch, 2-files", REFRESH_TO="patch")
        self.refreshed(REFRESH_TO="3-more")
        self.assertIn(b"+both\n", self.series()["3-more.patch"])
        self.assertIn(b"+far\n", self.series()["3-more.patch"])

    def test_refresh_new_file(self):
        self.sample()
        self.tree("assemble")
        put(self.linux, {f"{OWNER}/view.c": "view\n"})
        self.refused("view.c: new; say with which overlay step")
        self.refused("view.c: new; say with which overlay step", REFRESH_TO="1-core")
        self.refreshed(REFRESH_TO="2-files")
        self.assertEqual((self.repo / OWNER / "view.c").read_text(), "view\n")
        self.assertTrue(self.series()["2-files.patch"].endswith(
            f"Overlay: {OWNER}/owner.h\nOverlay: {OWNER}/view.c\n".encode()))

    def test_refresh_removed_overlay_file(self):
        self.sample()
        self.tree("assemble")
        (self.linux / OWNER / "owner.h").unlink()
        self.refreshed()
        self.assertFalse((self.repo / OWNER / "owner.h").exists())
        self.assertNotIn(b"owner.h", self.series()["2-files.patch"])

    def test_refresh_that_undoes_a_hook(self):
        self.sample()
        self.tree("assemble")
        self.edit("drivers/vfio/group.c", "vfio twenty\n", "vfio 20\n")
        self.edit(f"{OWNER}/core.c", "core\n", "edited\n")
        self.refused("patches/4-vfio.patch: changes nothing")

    def test_refresh_with_changes_on_both_sides(self):
        self.sample()
        self.tree("assemble")
        put(self.repo, {f"{OWNER}/core.c": "repo\n"})
        self.edit(f"{OWNER}/owner.h", "h\n", "edited\n")
        self.tree("refresh")
        self.assertEqual((self.linux / OWNER / "core.c").read_text(), "repo\n")
        self.assertEqual((self.repo / OWNER / "owner.h").read_text(), "edited\n")
        put(self.repo, {f"{OWNER}/core.c": "repo again\n"})
        self.edit(f"{OWNER}/core.c", "repo\n", "tree\n")
        self.refused("in this repo since the last assemble and in the tree")

    # the other trees

    def test_mails(self):
        self.sample()
        self.overlay("5.patch", {"MAINTAINERS": SECTION, f"{OWNER}/x.c": "c\n"})
        put(self.repo, {"patches/cover-letter.txt": "The title\n\nThe reason.\n",
                        "build/evidence.txt": "All of 7 passed.\n"})
        out = self.tree("series")
        self.assertIn("git am on Linux 6.12.117 gives the assembled tree", out)
        mails = sorted(p.name for p in (self.repo / "build/series").iterdir())
        self.assertEqual(len(mails), 6)
        cover = (self.repo / "build/series" / mails[0]).read_text()
        for text in ("Subject: [PATCH 0/5] The title\n", "The reason.", "All of 7 passed.",
                     "6 files changed"):
            self.assertIn(text, cover)
        self.assertFalse((self.repo / "build/proof").exists())

    def test_mails_that_git_am_reads_differently(self):
        """A line that looks like the start of a patch ends the changelog."""
        self.sample()
        self.edit("patches/2-files.patch", "Why", "Index: all\n\nWhy", self.repo)
        self.tree("series", fails="patches/2-files.patch: git am cuts the changelog")
        self.assertFalse((self.repo / "build/series").exists())

    def parts(self):
        """The sample in two parts, the second one from its third step on."""
        self.sample()
        self.edit("patches/series", "1-core", "# two lines\n#part: first\n1-core", self.repo)
        self.edit("patches/series", "3-more", "# part: second-half\n3-more", self.repo)

    def test_parts(self):
        self.parts()
        self.assertEqual(self.tree("part"), "first\nsecond-half\n")
        path = Path(self.tree("part", "first").split("\n")[0])
        self.assertIn("hook one\nhook one more\n", (path / CODE).read_text())
        self.assertEqual((path / "drivers/vfio/group.c").read_text(), BASE["drivers/vfio/group.c"])
        path = Path(self.tree("part", "second-half").split("\n")[0])
        self.assertEqual((path / CODE).read_text(), self.now[CODE])
        self.tree("part", "third", fails="no part third in .*; there are: first, second-half")

    def test_no_parts(self):
        self.sample()
        self.assertEqual(self.tree("part").strip(), "")
        self.tree("series", PART="first", fails="no part first in .*; there are: none")
        self.assertFalse((self.repo / "build/series-first").exists())

    def test_parts_are_the_whole_series(self):
        """What marks the parts changes nothing in the tree."""
        self.sample()
        self.tree("assemble")
        before = self.git("rev-parse", "owner")
        put(self.repo, {"patches/series": "# part: all\n"
                        + (self.repo / "patches/series").read_text()})
        self.tree("assemble")
        self.assertEqual(self.git("rev-parse", "owner"), before)

    def test_part_errors(self):
        self.parts()
        self.edit("patches/series", "#part: first\n", "", self.repo)
        self.tree("assemble", fails="1-core.patch stands before the first part")
        self.edit("patches/series", "1-core", "# part: second-half\n1-core", self.repo)
        self.tree("assemble", fails="begins the part second-half twice")
        self.edit("patches/series", "# part: second-half", "# part: none\n# part: A b", self.repo)
        out = self.tree("assemble", fails="the part none has no step")
        self.assertIn("# part: A b: not a name of a part", out)

    def test_mails_of_a_part(self):
        self.parts()
        put(self.repo, {"patches/cover-letter.txt": "All of it\n\nThe reason.\n",
                        "patches/cover-second-half.txt": "The half\n\nWhat it stands on.\n",
                        "build/evidence.txt": "All of 7 passed.\n"})
        out = self.tree("series", PART="second-half")
        self.assertIn("117 + first gives the assembled tree up to the part second-half",
                      out)
        mails = sorted(p.name for p in (self.repo / "build/series-second-half").iterdir())
        self.assertEqual(mails, ["0000-cover-letter.patch", "0001-iommu-3-more.patch.patch",
                                 "0002-iommu-4-vfio.patch.patch"])
        cover = (self.repo / "build/series-second-half" / mails[0]).read_text()
        for text in ("Subject: [PATCH 0/2] The half\n", "What it stands on.", "2 files changed",
                     "Base: Linux 6.12.117 + first\n", 'run "make parts"'):
            self.assertIn(text, cover)
        self.assertNotIn("All of", cover)
        self.assertFalse((self.repo / "build/series").exists())
        self.tree("series", PART="first")
        mails = sorted((self.repo / "build/series-first").iterdir())
        self.assertEqual(len(mails), 3)
        self.assertIn("Base: Linux 6.12.117\n", mails[0].read_text())
        self.tree("series", PART="")
        self.assertEqual(len(list((self.repo / "build/series").iterdir())), 5)

    def test_stock(self):
        self.sample()
        self.tree("assemble")
        path = Path(self.tree("stock").split("\n")[0])
        self.assertEqual((path / CODE).read_text(), BASE[CODE])
        self.tree("stock")

    def test_ksrc_plain(self):
        self.sample()
        put(self.kernel, {"drivers/x.o": "junk\n", ".config": "CONFIG_X=y\n"})
        before = files_of(self.kernel)
        out = self.tree("assemble", KSRC=str(self.kernel))
        self.assertIn(f"kernel tree: {self.kernel} (Linux 6.12.117)", out)
        self.assertEqual(files_of(self.kernel), before)
        linux = Path(self.tree("path", KSRC=str(self.kernel)).strip())
        self.assertIn("ksrc-", str(linux))
        self.assertEqual((linux / CODE).read_text(), self.now[CODE])
        self.assertFalse((linux / ".config").exists())
        self.assertFalse((self.repo / "build/linux").exists())
        put(self.kernel, {"drivers/y.c": "new\n"})
        self.tree("assemble", KSRC=str(self.kernel))
        self.assertTrue((linux / "drivers/y.c").exists())

    def test_ksrc_git(self):
        self.sample()
        for args in (["init", "-q"], ["add", "-f", "."], ["-c", "user.name=u", "-c",
                     "user.email=u@u", "commit", "-qm", "x"]):
            self.git(*args, tree=self.kernel)
        self.edit(CODE, "line 1\n", "uncommitted\n", self.kernel)
        before = files_of(self.kernel)
        out = self.tree("assemble", KSRC=str(self.kernel))
        self.assertIn("uncommitted changes; its HEAD is used", out)
        self.assertEqual(files_of(self.kernel), before)
        linux = Path(self.tree("path", KSRC=str(self.kernel)).strip())
        self.assertEqual((linux / CODE).read_text(), self.now[CODE])

    def test_ksrc_that_does_not_fit(self):
        self.sample()
        put(self.kernel, {CODE: "other\n", "Makefile": BASE["Makefile"].replace("12", "6", 1)})
        out = self.tree("assemble", KSRC=str(self.kernel), fails="1-core.patch does not apply")
        self.assertIn("expected: Linux 6.12.117 (linux.base); found: Linux 6.6.117", out)
        self.tree("assemble", KSRC="/nonexistent", fails="not the top of a Linux source tree")

    def test_import(self):
        self.sample()
        self.tree("assemble")
        for old, new, subject in (("vfio 5\n", "vfio five\n", "vfio: Five"),
                                  ("vfio 6\n", "vfio six\n", "vfio: Six")):
            self.edit("drivers/vfio/group.c", old, new)
            self.git("-c", "user.name=u", "-c", "user.email=u@u", "commit", "-qam",
                     f"{subject}\n\nBecause.")
        self.tree("import", "--from", str(self.linux), "owner~2..owner")
        self.assertEqual((self.repo / "patches/series").read_text().split()[-2:],
                         ["0005-vfio-Five.patch", "0006-vfio-Six.patch"])
        self.tree("assemble")
        self.assertIn("vfio five\nvfio six\n", (self.linux / "drivers/vfio/group.c").read_text())
        series = self.series()
        self.tree("import", "--from", str(self.linux), "owner~2..owner")
        self.assertEqual(self.series(), series)


class PartsTest(unittest.TestCase):
    """The parts of our series have a cover letter each, and tests that exist."""

    def rows(self, name, columns):
        lines = (DEV / "test.d" / name).read_text().splitlines()
        rows = [line.split("\t") for line in lines if line and not line.startswith("#")]
        self.assertEqual({len(row) for row in rows}, {columns})
        return rows

    def test_table(self):
        series = (DEV.parent / "patches/series").read_text()
        parts = re.findall(r"^# part: (.+)$", series, re.M)
        rows = self.rows("parts.tsv", 2)
        self.assertEqual([row[0] for row in rows], parts)
        makefile = (DEV.parent / "tools/testing/selftests/iommu/owner/Makefile").read_text()
        known = {"-", "kunit", *re.findall(r"\b\w+_test\b", makefile)}
        for column, _, _, programs in self.rows("matrix.tsv", 4):
            known |= {f"matrix.{column}",
                      *(f"matrix.{column}:{program}" for program in programs.split())}
        for part, what in rows:
            self.assertLessEqual(set(what.split()), known, part)
            cover = (DEV.parent / f"patches/cover-{part}.txt").read_text()
            self.assertRegex(cover, r"^\S.+\n\n\S")


class StepTest(unittest.TestCase):
    def run_step(self, *command):
        with tempfile.TemporaryDirectory() as build:
            done = subprocess.run([DEV / "step", "a name", "log", "--", *command], text=True,
                                  capture_output=True, env={**os.environ, "BUILD": build})
            return done, (Path(build) / "logs/log.log").read_text()

    def test_status_and_log(self):
        done, log = self.run_step("sh", "-c", "seq 100; exit 7")
        self.assertEqual(done.returncode, 7)
        self.assertEqual(log.split("\n")[99], "100")
        self.assertIn("    71\n", done.stderr)
        self.assertNotIn("    70\n", done.stderr)
        self.assertIn("log.log", done.stderr)
        done, log = self.run_step("/nonexistent")
        self.assertEqual(done.returncode, 127)
        self.assertIn("/nonexistent", done.stderr)
        done, _ = self.run_step("echo", "quiet")
        self.assertEqual((done.returncode, done.stdout), (0, ""))
        self.assertNotIn("quiet", done.stderr)

    def stop(self, command, number, status):
        with tempfile.TemporaryDirectory() as build:
            mark = Path(build) / "pid"
            child = subprocess.Popen([DEV / "step", "n", "log", "--", "sh", "-c",
                                      command.format(mark=mark)],
                                     stderr=subprocess.DEVNULL, env={**os.environ, "BUILD": build})
            while not mark.exists() or not mark.read_text().strip():
                time.sleep(0.02)
            child.send_signal(number)
            self.assertEqual(child.wait(30), status)
            cmdline = Path("/proc") / mark.read_text().strip() / "cmdline"
            for _ in range(100):
                if not cmdline.exists() or not cmdline.read_bytes():
                    return
                time.sleep(0.1)
            self.fail("the command is still running")

    def test_stop_kills_the_group(self):
        self.stop("sleep 100 & echo $! > {mark}; wait", signal.SIGTERM, 128 + signal.SIGTERM)
        self.stop("trap '' TERM; echo $$ > {mark}; sleep 3; sleep 100", signal.SIGINT,
                  128 + signal.SIGINT)

    def test_killed(self):
        self.stop("echo $$ > {mark}; exec sleep 100", signal.SIGKILL, -signal.SIGKILL)


if __name__ == "__main__":
    unittest.main()
