# SPDX-License-Identifier: GPL-2.0-only
"""Edits made in the assembled tree go back to the files of this repo.

A hunk in a base file belongs to the hook that brought the lines it touches.
Such a hunk is applied to every version of the file from that hook on, by
following its lines through the versions, so no merge can go wrong. Before
anything is kept, the new series must give exactly the edited tree.
"""

import re

from . import steps as series
from .common import TOP, Error, say, write

CONTEXT = 3	# lines around a hunk that tell whose place it is


class File:
    """The versions of one base file through the series, and its edit.

    versions[0] is the base, the others belong to .owners[1:].
    """

    def __init__(self, tree, path, base, steps, extra):
        self.git, self.path = tree.git, path
        self.owners, self.entries = [None], [base]
        for s in steps:
            if s.diff and path in s.result:
                self.owners.append(s)
                self.entries.append(s.result[path])
            elif s is extra:
                self.owners.append(s)
                self.entries.append(self.entries[-1])
        self.lines = [self._lines(entry) for entry in self.entries]
        self.last = len(self.entries) - 1
        self._follow()

    def _lines(self, entry):
        return re.findall(b"[^\n]*\n|[^\n]+", self.git.content(entry[1])) if entry else []

    def hunks(self, old, new):
        """[(old line, count, new line, count)], counted from 0."""
        if old == new:
            return []
        text = self.git("diff", "-U0", "--text", old, new)
        found = []
        for m in re.finditer(r"^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@", text, re.M):
            a, b, c, d = (int(x) if x else 1 for x in m.groups())
            found.append((a - (b > 0), b, c - (d > 0), d))
        return found

    def _follow(self):
        """where[k][i]: the line of version k that is line i of the last one, or None.

        born[i]: the version that brought line i; cut[i]: versions that removed
        lines right beside it.
        """
        count = len(self.lines[-1])
        self.where = [None] * self.last + [list(range(count))]
        self.cut = [set() for _ in range(count)]
        for k in range(self.last, 0, -1):
            back, at = [], 0
            for a, b, c, d in self.hunks(self.entries[k - 1][1], self.entries[k][1]):
                back += range(at, a)
                back += [None] * d
                at = a + b
                if not d:
                    for i, line in enumerate(self.where[k]):
                        if line in (c - 1, c):
                            self.cut[i].add(k)
            back += range(at, at + len(self.lines[k]) - len(back))
            self.where[k - 1] = [None if line is None else back[line]
                                 for line in self.where[k]]
        self.born = [next(k for k in range(self.last + 1) if self.where[k][i] is not None)
                     for i in range(count)]

    def candidates(self, hunk):
        """Versions whose lines the hunk touches, else those that it stands beside."""
        a, b, _, _ = hunk
        touched = {self.born[i] for i in range(a, a + b)} - {0}
        if touched:
            return touched
        near = [*range(max(a - CONTEXT, 0), a), *range(a + b, min(a + b + CONTEXT,
                                                                  len(self.born)))]
        return {self.born[i] for i in near}.union(*(self.cut[i] for i in near)) - {0}

    def version(self, k, assigned, new):
        """Version k with the hunks that belong to it or to an earlier one."""
        deleted, inserted = set(), {}
        for owner, (a, b, c, d) in assigned:
            if owner > k:
                continue
            gone = [self.where[k][i] for i in range(a, a + b)]
            if None in gone:
                later = self.owners[self.born[a + gone.index(None)]]
                raise Error(f"{self.path}: line {a + gone.index(None) + 1} comes with "
                            f"patches/{later.name}, after patches/{self.owners[owner].name}")
            deleted.update(gone)
            before = self.where[k][a - 1] if a else -1
            after = self.where[k][a] if a < len(self.born) else len(self.lines[k])
            if gone:
                at = gone[0]
            elif before is None and after is None:
                raise Error(f"{self.path}: no place in patches/{self.owners[k].name} for what "
                            f"was added at line {c + 1}")
            elif before is None or (after is not None and a < len(self.born)
                                    and self.born[a] == owner and self.born[a - 1] != owner):
                at = after
            else:
                at = before + 1
            inserted.setdefault(at, []).extend(new[c:c + d])
        out = []
        for i in range(len(self.lines[k]) + 1):
            out += inserted.get(i, [])
            if i < len(self.lines[k]) and i not in deleted:
                out.append(self.lines[k][i])
        return b"".join(out)

    def sort(self, entry, extra, problems):
        """New entries for .owners[1:] after an edit, or None and a problem noted."""
        hint = f"; REFRESH_TO={extra.name} is not a hook step" if extra and extra.overlay else ""
        into = self.owners.index(extra) if extra and extra in self.owners else None

        def choose(found, what):
            if len(found) == 1:
                return found.pop()
            if into is not None:
                return into
            names = [self.owners[k].name for k in sorted(found or range(1, self.last + 1))]
            problems.append(f"{self.path}: {what}: " + (
                "may belong to " + ", ".join(names) if names else "no hook changes this file")
                + f"; say which with REFRESH_TO={hint}")
            return None

        if entry is None or self.entries[-1] is None:
            k = choose(set(range(1, self.last + 1)), "deleted" if entry is None else "came back")
            return k and [*self.entries[1:k], *[entry] * (self.last + 1 - k)]
        new, assigned = self._lines(entry), []
        for hunk in self.hunks(self.entries[-1][1], entry[1]):
            a, b, c, d = hunk
            what = f"hunk @@ -{a + (b > 0)},{b} +{c + (d > 0)},{d} @@"
            assigned.append((choose(self.candidates(hunk), what), hunk))
        modes = [e and e[0] for e in self.entries]
        if entry[0] != modes[-1]:
            k = choose(set(range(1, self.last + 1)), f"mode {entry[0]}")
            modes = [entry[0] if k and i >= k else m for i, m in enumerate(modes)]
        if any(k is None for k, _ in assigned) or modes[-1] != entry[0]:
            return None
        return [(modes[k], self.git.blob(self.version(k, assigned, new)))
                for k in range(1, self.last + 1)]


def new_tree(git, head, changed):
    """Tree id of a commit with other changes on top."""
    index = git.tree / ".git/owner-apply"
    git("read-tree", head, index=index)
    lines = "".join(f"{new:06o} {blob}\t{path}\0" for path, (_, new, _, blob) in changed.items())
    git("update-index", "-z", "--index-info", data=lines, index=index)
    tree = git("write-tree", index=index)
    index.unlink()
    return tree


def regenerate(git, s, parent):
    """The text of a hook with a new diff; its header and changelog are kept."""
    text = s.text[:s.text.index("\ndiff --git ") + 1]
    stat = re.compile(r"^ \S.* \|.*\n|^ \d+ files? changed.*\n", re.M)
    head, line, notes = text.partition("\n---\n")
    if stat.search(notes):
        new = git("diff", "--stat=80", "--no-renames", parent, s.commit) + "\n"
        first = stat.search(notes).start()
        notes = stat.sub("", notes[:first]) + new + stat.sub("", notes[first:])
    diff = git("diff-tree", "-p", "--no-renames", parent, s.commit) + "\n"
    diff = re.sub(r"^index [0-9a-f]+\.\.[0-9a-f]+( \d+)?\n", "", diff, flags=re.M)
    return head + line + notes + diff


def same_change(old, new):
    """Whether two diffs differ in line numbers at most."""
    noise = re.compile(r"^index .*\n|(?<=^@@ -)\d+(,\d+ \+)\d+(,\d+ @@).*", re.M)
    old, new = (noise.sub(r"\1\2", text).strip() for text in (old, new))
    return old == new


class Repo:
    """Files of this repo, put back unless keep() was called."""

    def __init__(self):
        self.old = {}

    def write(self, path, content, executable=None):
        path = TOP / path
        if path not in self.old:
            self.old[path] = (path.read_bytes(), path.stat().st_mode) if path.exists() else None
        write(path, content)
        if executable is not None and content is not None:
            path.chmod(0o755 if executable else 0o644)

    def restore(self):
        for path, old in self.old.items():
            write(path, old and old[0])
            if old:
                path.chmod(old[1])


class Sorted:
    """Where each change of the edited tree goes in this repo, and what is unclear."""

    def __init__(self, tree, steps, head, extra):
        self.tree, self.git, self.steps, self.head, self.extra = tree, tree.git, steps, head, extra
        self.results = {s.name: dict(s.result) for s in steps if s.diff}
        self.overlay, self.texts, self.problems = {}, {}, []

    def sort(self, changed):
        in_base = self.git.files(self.tree.base, set(changed))
        step_of = {path: s for s in self.steps for path in s.overlay}
        for path, (_, mode, _, blob) in sorted(changed.items()):
            if path in step_of:
                self.ours(path, step_of[path], mode, blob)
            elif path in in_base:
                self.theirs(path, in_base[path], mode, blob)
            else:
                self.new(path, mode, blob)
        if self.problems:
            raise Error("\n".join(self.problems) + "\nNothing was changed.")

    def ours(self, path, s, mode, blob):
        """A file that an overlay step brings."""
        content = self.git.content(blob) if mode else None
        if path == "MAINTAINERS":
            self.overlay[path] = (maintainers(self.git, self.head, content), False)
            return
        self.overlay[path] = (content, mode == 0o100755)
        if not mode:
            self.texts[s] = re.sub(rf"^Overlay: *{re.escape(path)} *\n?", "",
                                   self.texts.get(s, s.text), flags=re.M)

    def theirs(self, path, base, mode, blob):
        """A file of the base, which hooks change."""
        extra = self.extra if self.extra and self.extra.diff else None
        file = File(self.tree, path, base, self.steps, extra)
        entry = (f"{mode:06o}", blob) if mode else None
        for s, new in zip(file.owners[1:], file.sort(entry, self.extra, self.problems) or []):
            self.results[s.name][path] = new

    def new(self, path, mode, blob):
        if path.split("/")[0] not in series.DIRS:
            self.problems.append(f"{path}: new, outside of {' '.join(series.DIRS)}")
        elif not self.extra or not self.extra.overlay:
            self.problems.append(
                f"{path}: new; say with which overlay step it arrives: REFRESH_TO=")
        else:
            self.overlay[path] = (self.git.content(blob), mode == 0o100755)
            self.texts[self.extra] = \
                self.texts.get(self.extra, self.extra.text).rstrip() + f"\nOverlay: {path}\n"


def edits(tree, head, index_tree):
    """What was edited in the tree and is not in this repo yet."""
    git = tree.git
    changed = tree.edits(index_tree)
    # The repo may have changed since the last assemble, but not at the same place.
    mine = git.files(head, set(changed))
    changed = {path: c for path, c in changed.items()
               if mine.get(path, ("000000", "0" * 40)) != (f"{c[1]:06o}", c[3])}
    both = sorted(set(git.changes("refs/owner/assembled", head)) & set(changed))
    if both:
        raise Error("changed in this repo since the last assemble and in the tree as well:\n"
                    + "\n".join(both))
    for path, (_, mode, _, _) in changed.items():
        if mode and mode not in (0o100644, 0o100755):
            raise Error(f"{path}: neither a plain nor an executable file")
    return changed


def rewrite(tree, repo, found, want):
    """Bring files and hooks of this repo up to date; returns the commit they give."""
    for path, (content, executable) in found.overlay.items():
        repo.write(path, content, executable)
    for s, text in found.texts.items():
        repo.write(f"patches/{s.name}", text)
    old = {s.name: s for s in found.steps}
    steps = series.load()
    tree.commits(steps, found.results)
    # Only line numbers moved: such a hook stays as it is, if it still fits so.
    for keep in (True, False):
        parent = tree.base
        for s in steps:
            if s.diff and s.result != old[s.name].result:
                text = regenerate(tree.git, s, parent)
                if not keep or not same_change(s.diff, text[text.index("\ndiff --git ") + 1:]):
                    repo.write(f"patches/{s.name}", text)
            parent = s.commit
        try:
            commit = tree.commits(series.load())
        except Error:
            if not keep:
                raise
            continue
        if tree.git.id(commit + "^{tree}") == want:
            return commit
    raise Error("the refreshed series does not give the edited tree")


def refresh(tree, to):
    tree.ensure_base()
    steps = series.load()
    head = tree.commits(steps)
    edited, index = tree.edited()
    changed = edits(tree, head, (edited, index))
    found = Sorted(tree, steps, head, series.find(steps, to) if to else None)
    if not changed:
        say("nothing to refresh")
        return
    found.sort(changed)
    repo = Repo()
    try:
        commit = rewrite(tree, repo, found, new_tree(tree.git, head, changed))
    except BaseException as error:
        repo.restore()
        if isinstance(error, Error):
            raise Error(f"{error}\nNothing was changed.") from error
        raise
    tree.update(commit, index)
    for path in repo.old:
        say(f"refreshed: {path.relative_to(TOP)}")


def maintainers(git, head, content):
    """Our sections of an edited MAINTAINERS, for /MAINTAINERS."""
    text = content.decode("utf-8", "surrogateescape") if content else ""
    ours = series.sections(series.content("MAINTAINERS").decode())
    others = [s for s in series.sections(git("show", f"{head}:MAINTAINERS")) if s not in ours]
    now = series.sections(text)
    mine = [s for s in now if s not in others]
    if [s for s in now if s in others] != others or \
            {series.title(s) for s in mine} & {series.title(s) for s in others} - {None}:
        raise Error("MAINTAINERS: a section that is not ours changed")
    return "\n\n".join(mine) + "\n"
