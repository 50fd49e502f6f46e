# SPDX-License-Identifier: GPL-2.0-only
"""The assembled git tree: base import, one commit per step, the worktree.

Everything is made as git objects first; only then do branch and files move.
Our own refs: owner/assembled is what the worktree was last made from, and
owner/target, while it exists, what an interrupted update was about to make.
"""

import hashlib
import json
import re
import shutil
import subprocess
from pathlib import Path

from . import steps as series
from .common import DATE, IDENT, TOP, Error, Git, build_dir, ksrc, remove, say, step, write

ASSEMBLED, TARGET, NEW = "refs/owner/assembled", "refs/owner/target", "refs/owner/new"
BRANCH, BASE = "refs/heads/owner", "refs/tags/base"
# What a build inside a plain tree leaves behind and git has no use for.
JUNK = ("*.o", "*.ko", "*.a", "*.cmd", "*.mod", "*.mod.c", "*.order", "*.symvers", "*.pyc",
        "/.config*", "/vmlinux*", "/.tmp_*", "/System.map", "/include/config",
        "/include/generated", "/arch/*/include/generated")


def linux_base():
    """linux.base as a dictionary."""
    lines = (line.partition("#")[0] for line in (TOP / "linux.base").read_text().splitlines())
    base = dict(map(str.strip, line.split("=", 1)) for line in lines if "=" in line)
    for key in ("package", "tarball", "version", "debian", "sha256"):
        if key not in base:
            raise Error(f"linux.base: no line '{key} = ...'")
    return base


def kernel_version(makefile):
    """VERSION.PATCHLEVEL.SUBLEVEL of a kernel's top Makefile."""
    found = dict(re.findall(r"^(VERSION|PATCHLEVEL|SUBLEVEL|EXTRAVERSION) *=[ \t]*(\S*)",
                            makefile, re.M))
    if "VERSION" not in found:
        return "unknown"
    return ".".join(found.get(k) or "0" for k in ("VERSION", "PATCHLEVEL", "SUBLEVEL")) \
        + found.get("EXTRAVERSION", "")


class Tree:
    """build/linux, or its counterpart for KSRC."""

    def __init__(self):
        self.build = build_dir()
        self.path = self.build / "linux"
        self.git = Git(self.path)
        self.base = None	# commit ids
        self.version = None

    # The base

    def ensure_base(self):
        """Import the base tree unless that was done."""
        for name in ("linux.new", "unpack.new"):
            if (self.build / name).exists():
                remove(self.build / name)
        if self.path.exists():
            if not (self.path / ".git").is_dir():
                raise Error(f"{self.path} is not a tree that was made here: move it away")
            for leftover in (self.path / ".git").rglob("*.lock"):
                leftover.unlink()
        if ksrc():
            self._import_ksrc(ksrc())
        else:
            self._import_package()
        self.base = self.git.id(BASE)
        self.version = kernel_version(self.git("show", f"{BASE}:Makefile"))

    def _note(self, **values):
        """What the base was made from, beside the git objects."""
        path = self.path / ".git/owner-base.json"
        if values:
            write(path, json.dumps(values))
        return json.loads(path.read_text()) if path.exists() else {}

    def _import_package(self):
        want = linux_base()
        tarball = Path(want["tarball"])
        if not tarball.exists():
            raise Error(f"{tarball} is missing: install {want['package']} (make setup)")
        stat = tarball.stat()
        stamp = f"{tarball} {stat.st_size} {stat.st_mtime_ns}"
        note = self._note() if self.path.exists() else {}
        if note.get("stamp") != stamp or not self.git.id(BASE):
            first = not self.path.exists()
            new = self.build / ("linux.new" if first else "unpack.new")
            new.mkdir(parents=True)
            step(f"unpack {tarball.name}", "unpack", "tar", "-x", "--strip-components=1",
                 "-C", new, "-f", tarball)
            target = Git(new) if first else self.git
            index = self._import_files(target, new)
            if first:
                shutil.move(index, new / ".git/index")
                self._first_refs(target)
                new.rename(self.path)
            else:
                remove(new)
            with tarball.open("rb") as file:
                note = self._note(stamp=stamp,
                                  sha256=hashlib.file_digest(file, "sha256").hexdigest())
        if note["sha256"] != want["sha256"]:
            found = kernel_version(self.git("show", f"{BASE}:Makefile"))
            package = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", want["package"]],
                                     capture_output=True, text=True).stdout or "no package"
            say(f"warning: the base is Linux {found} ({package}), "
                f"linux.base expects {want['version']} ({want['debian']})")

    def _import_ksrc(self, source):
        want = linux_base()["version"]
        if not self.path.exists():
            new = self.build / "linux.new"
            new.mkdir(parents=True)
            self._init(Git(new))
            new.rename(self.path)
        if (source / ".git").exists():
            head = Git(source).id("HEAD^{tree}")
            if not head:
                raise Error(f"KSRC={source}: the git tree has no commit")
            if Git(source)("--no-optional-locks", "status", "--porcelain", "-uno"):
                say(f"warning: {source} has uncommitted changes; its HEAD is used")
            if self.git.id(BASE + "^{tree}") != head:
                step(f"fetch HEAD of {source}", "import", "git", "-C", self.path, "fetch",
                     "--depth=1", "--no-tags", "--update-shallow",
                     "--upload-pack=git -c safe.directory=* -c pack.window=0 "
                     "-c pack.compression=1 upload-pack", source, "HEAD")
                self._set_base(self.git, head)
        else:
            shutil.move(self._import_files(self.git, source, keep=True),
                        self.path / ".git/owner-import")
        if not self.git.id(BRANCH):
            self._first_refs(self.git)
        found = kernel_version(self.git("show", f"{BASE}:Makefile"))
        say(f"kernel tree: {source} (Linux {found})"
            + (f"; linux.base expects {want}" if found != want else ""))

    @staticmethod
    def _init(git):
        git("init", "-q", "-b", "owner")
        for key, value in (("gc.auto", "0"), ("maintenance.auto", "false"),
                           ("core.autocrlf", "false"), ("core.filemode", "true"),
                           ("user.name", IDENT.split(" <")[0]),
                           ("user.email", IDENT[:-1].split("<")[1])):
            git("config", key, value)

    def _import_files(self, git, source, keep=False):
        """Make the base commit of a directory's files; returns the index used.

        The distribution's .gitignore hides everything, hence --force.
        """
        if not (git.tree / ".git").exists():
            self._init(git)
        gitdir = git.tree / ".git"
        index = gitdir / "owner-import.new"
        index.unlink(missing_ok=True)
        if keep and (gitdir / "owner-import").exists():
            shutil.copy2(gitdir / "owner-import", index)
        step(f"import {source}", "import", "git", "-c", "core.looseCompression=1",
             f"--git-dir={gitdir}", f"--work-tree={source}", "-C", source, "add", "-A",
             "--force", "--", ".", *(f":(exclude,glob){j[1:] if j[0] == '/' else '**/' + j}"
                                     for j in JUNK), index=index)
        self._set_base(git, git("write-tree", index=index))
        return index

    @staticmethod
    def _set_base(git, tree):
        if git.id(BASE + "^{tree}") == tree:
            return
        version = kernel_version(git("show", f"{tree}:Makefile"))
        commit = git("commit-tree", tree, data=f"Linux {version}\n")
        git("update-ref", BASE, commit)

    @staticmethod
    def _first_refs(git):
        base = git.id(BASE)
        git("update-ref", BRANCH, base)
        git("update-ref", ASSEMBLED, base)

    # The commits

    def commits(self, steps, results=None):
        """One commit per step on the base; nothing visible changes.

        Sets .result ({path: (mode, blob) or None}) and .commit of the steps.
        Results of hooks may be given: refresh makes new ones.
        """
        touched = {path for s in steps for path in s.paths + s.overlay}
        in_base = self.git.files(self.base, touched | set(series.overlay_files()))
        series.check_overlay(steps, in_base)
        ours = [path for s in steps for path in s.overlay if path != "MAINTAINERS"]
        plain = [path for path in ours if series.mode(path) != "120000"]
        blobs = dict(zip(plain, self.git("hash-object", "-w", "--no-filters", "--stdin-paths",
                                         data="".join(f"{TOP / p}\n" for p in plain)).split("\n")))
        blobs.update({p: self.git.blob(series.content(p)) for p in ours if p not in blobs})
        now, arrived = dict(in_base), set()
        for s in steps:
            if s.diff:
                s.result = results[s.name] if results else self._apply(s, now)
            else:
                arrived.update(s.overlay)
                s.result = {path: (series.mode(path), blobs[path])
                            for path in s.overlay if path != "MAINTAINERS"}
                if "MAINTAINERS" in s.overlay:
                    mode, blob = now["MAINTAINERS"]
                    text = series.insert_maintainers(self._text(blob),
                                                     series.content("MAINTAINERS").decode())
                    s.result["MAINTAINERS"] = (mode, self.git.blob(text))
                for path in filter(series.MAKEFILES.fullmatch, arrived):
                    full = series.content(path).decode()
                    text = series.filter_makefile(path, full, arrived)
                    blob = blobs[path] if text == full else self.git.blob(text)
                    if now.get(path) != (series.mode(path), blob):
                        s.result[path] = (series.mode(path), blob)
                    else:
                        s.result.pop(path, None)
            if all(now.get(path) == entry for path, entry in s.result.items()):
                raise Error(f"patches/{s.name}: changes nothing")
            now.update(s.result)
        for path in ours:
            if now[path] != (series.mode(path), blobs[path]):
                gone = set(series.content(path).splitlines()) - \
                    set(self.git.content(now[path][1]).splitlines())
                raise Error(f"{path}: lines whose source no step brings:\n"
                            + b"\n".join(sorted(gone)).decode())
        self._write_commits(steps)
        return steps[-1].commit if steps else self.base

    def _text(self, blob):
        return self.git.content(blob).decode("utf-8", "surrogateescape")

    def _apply(self, s, now):
        """The result of a hook, by git apply on an index of only its files."""
        index = self.path / ".git/owner-apply"
        index.unlink(missing_ok=True)
        entries = "".join(f"{now[p][0]} {now[p][1]}\t{p}\n" for p in s.paths if now.get(p))
        self.git("update-index", "--add", "--index-info", data=entries, index=index)
        done = self.git.run("apply", "--cached", "--whitespace=nowarn", "-", data=s.diff,
                            index=index)
        if done.returncode:
            raise Error(self._misfit(s, done.stderr.decode(errors="replace")))
        result = dict.fromkeys(s.paths)
        for line in self.git("ls-files", "-s", "-z", index=index).split("\0"):
            if line:
                meta, path = line.split("\t", 1)
                result[path] = tuple(meta.split(" ")[:2])
        index.unlink()
        return result

    def _misfit(self, s, errors):
        """Which patch, which file, which hunk, which version."""
        text = [f"patches/{s.name} does not apply:"]
        for path, line in re.findall(r"^error: patch failed: (.*):(\d+)$", errors, re.M):
            part = s.diff[s.diff.index(f"diff --git a/{path} b/{path}\n"):]
            hunk = re.search(rf"^@@ -{line}[, ].*$", part, re.M)
            text.append(f"  {path}: hunk {hunk[0] if hunk else 'at line ' + line}")
        if len(text) == 1:
            text += [f"  {line.removeprefix('error: ')}" for line in errors.splitlines()]
        text.append(f"expected: Linux {linux_base()['version']} (linux.base); found: Linux "
                    f"{self.version} ({ksrc() or linux_base()['tarball']})")
        text.append("Nothing was changed.")
        return "\n".join(text)

    def _write_commits(self, steps):
        """All commits by one git fast-import."""
        if not steps:
            return
        marks = self.path / ".git/owner-marks"
        out = [f"reset {NEW}\nfrom {self.base}\n\n"]
        for number, s in enumerate(steps, 1):
            date = f"{DATE + 60 * number} +0000"
            size = len(s.message.encode("utf-8", "surrogateescape"))
            out.append(f"commit {NEW}\nmark :{number}\nauthor {IDENT} {date}\n"
                       f"committer {IDENT} {date}\ndata {size}\n{s.message}\n")
            for path, entry in sorted(s.result.items()):
                out.append(f"M {entry[0]} {entry[1]} {path}\n" if entry else f"D {path}\n")
        out.append("done\n")
        # Loose objects: those that exist already are not written again.
        self.git("-c", "fastimport.unpackLimit=1000000", "fast-import", "--quiet", "--force",
                 "--done", f"--export-marks={marks}", data="".join(out))
        ids = dict(line.split() for line in marks.read_text().splitlines())
        for number, s in enumerate(steps, 1):
            s.commit = ids[f":{number}"]
        marks.unlink()
        self.git("update-ref", "-d", NEW)

    # The worktree

    def _index(self):
        return self.path / ".git/index"

    def edited(self):
        """(tree id of the files as they are now, index of that tree)."""
        index = self.path / ".git/owner-edited"
        index.unlink(missing_ok=True)
        if self._index().exists():
            # With its time, which tells git whose files may have changed unseen.
            shutil.copy2(self._index(), index)
        else:
            self.git("read-tree", BASE, index=index)
        self.git("add", "-u", "--", ".", index=index)
        # The distribution's .gitignore ends in "/*": undone for its directories.
        tops = [d for d in self.git("ls-tree", "-d", "--name-only", BASE).split("\n")
                if (self.path / d).is_dir()]
        new = self.git("ls-files", "-o", "-z", "-x", "!/*", "--exclude-per-directory=.gitignore",
                       "--", *tops, index=index) if tops else ""
        if new:
            self.git("update-index", "--add", "-z", "--stdin", data=new, index=index)
        return self.git("write-tree", index=index), index

    def edits(self, index_tree=None):
        """Paths in the worktree that differ from what was assembled."""
        tree, _ = index_tree or self.edited()
        changed = self.git.changes(ASSEMBLED, tree)
        target = self.git.id(TARGET)
        if target:
            # An update was interrupted: its files are neither old nor new.
            for path in self.git.changes(ASSEMBLED, target):
                changed.pop(path, None)
        return changed

    def update(self, commit, index=None):
        """Move branch and worktree; files that do not differ keep their times."""
        if index:
            index.replace(self._index())
        self.git("update-ref", TARGET, commit)
        count = len(self.git.changes(ASSEMBLED, commit))
        fresh = not self._index().exists()
        args = ["read-tree", "--reset", "-u", commit]
        if fresh:
            step(f"check out {self.path}", "checkout", "git", "-C", self.path, *args)
        else:
            self.git(*args)
        self.git("update-ref", "-m", "assemble", BRANCH, commit)
        self.git("symbolic-ref", "HEAD", BRANCH)
        self.git("update-ref", ASSEMBLED, commit)
        self.git("update-ref", "-d", TARGET)
        (self.path / ".git/owner-edited").unlink(missing_ok=True)
        return count

    def assemble(self):
        self.ensure_base()
        steps = series.load()
        commit = self.commits(steps)
        if not self._index().exists():
            # First check-out of a user's tree, perhaps an interrupted one.
            self.update(commit)
        else:
            edited, index = self.edited()
            edits = self.edits((edited, index))
            ahead = self.git.id("HEAD") != self.git.id(ASSEMBLED)
            same = edited == self.git.id(commit + "^{tree}")
            if edits and not same and commit == self.git.id(ASSEMBLED):
                # Nothing to bring in: what was edited in place can be built.
                index.unlink()
                say(f"{self.path}: with {len(edits)} edited files that are in no step yet")
                return
            if edits and not same:
                raise Error(f"{self.path} has changes that are in no step:\n"
                            + "".join(f"  {path}\n" for path in sorted(edits)[:20])
                            + (f"  and {len(edits) - 20} more\n" if len(edits) > 20 else "")
                            + "make refresh takes them, make discard throws them away")
            if commit != self.git.id(ASSEMBLED) or ahead or self.git.id(TARGET) or same:
                self.update(commit, index if same else None)
            else:
                index.unlink()
        say(f"{self.path}: {len(steps)} steps on Linux {self.version}, "
            f"{self.git('rev-parse', '--short', commit)}")

    def discard(self):
        self.ensure_base()
        if not self._index().exists():
            say("nothing to discard")
            return
        edited, index = self.edited()
        edits = self.edits((edited, index))
        for path in sorted(edits):
            say(f"discarded: {path}")
        ahead = self.git("rev-list", f"{ASSEMBLED}..HEAD").split()
        if ahead:
            say(f"discarded: {len(ahead)} commits, the last one {ahead[0]}")
        self.update(self.git.id(TARGET) or self.git.id(ASSEMBLED), index)


def worktree(tree, name, commit):
    """A second worktree at a commit; only files that differ are written."""
    path = tree.build / name
    git = Git(path)
    if not (path / ".git").exists():
        if path.exists():
            remove(path)
        tree.git("worktree", "prune")
        tree.git("worktree", "add", "-q", "--no-checkout", "--detach", path, commit)
    for leftover in (tree.path / ".git/worktrees").glob(f"{name}*/*.lock"):
        leftover.unlink()
    if not (git.dir() / "index").exists():
        step(f"check out {path}", "checkout", "git", "-C", path, "read-tree", "--reset", "-u",
             commit)
    else:
        git("read-tree", "--reset", "-u", commit)
    git("update-ref", "--no-deref", "HEAD", commit)
    return path
