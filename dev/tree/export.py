# SPDX-License-Identifier: GPL-2.0-only
"""From and to other trees: import commits, export mails, build prefixes."""

import os
import re
import shlex
import subprocess
import time
from pathlib import Path

from shared import CC, CC_ENV, JOBS

from . import steps as series
from .assemble import worktree
from .common import IDENT, TIED, TOP, Error, Git, remove, say, step, write


def patch_text(subject, body, diff):
    """A hook as it is kept: no index lines, which change with every base."""
    diff = re.sub(r"^index [0-9a-f]+\.\.[0-9a-f]+( \d+)?\n", "", diff, flags=re.M)
    return f"From: {IDENT}\nSubject: {subject}\n\n{body.strip()}\n---\n\n{diff}"


def slug(subject):
    return re.sub(r"[^A-Za-z0-9_.]+", "-", subject)[:52].strip("-.")


def import_commits(source, span):
    """Each commit that only changes files that exist becomes a hook step.

    A hook with the same subject is replaced, others go to the end of the series.
    """
    git = Git(Path(source).expanduser())
    commits = git("rev-list", "--reverse", "--no-merges", span if ".." in span
                  else f"{span}^..{span}", "--").split()
    steps = series.load()
    patches = TOP / "patches"
    numbers = [int(m[1]) for s in steps if (m := re.match(r"(\d+)-", s.name))]
    number = max(numbers, default=0)
    added = []
    for commit in commits:
        subject, _, body = git("log", "-1", "--format=%B", commit).strip().partition("\n")
        changes = git.changes(f"{commit}^", commit)
        new = [path for path, (old, *_) in changes.items() if not old]
        if new:
            say(f"skipped: {subject}: new file {new[0]}")
            continue
        same = [s.name for s in steps if s.subject == subject and s.diff]
        if not same:
            number += 1
            added.append(f"{number:04d}-{slug(subject)}.patch")
        name = same[0] if same else added[-1]
        diff = git("diff-tree", "-p", "--no-renames", f"{commit}^", commit) + "\n"
        write(patches / name, patch_text(subject, body, diff))
        say(f"patches/{name}")
    if added:
        path = patches / "series"
        old = path.read_text() if path.exists() else ""
        write(path, old + "".join(f"{name}\n" for name in added))


def mails(tree, part=None):
    """build/series: the mails of the series, proved to give our tree by git am.

    Those of one part go to build/series-PART and fit on the parts before it.
    """
    steps = series.load()
    if not steps:
        raise Error("patches/series is empty")
    # All of them: a part is what it is in the whole series.
    chosen = series.of_part(steps, part) if part else steps
    head = tree.commits(steps)
    base, below = tree.base, ""
    if part:
        head, first = chosen[-1].commit, steps.index(chosen[0])
        if first:
            base = steps[first - 1].commit
            below = "".join(f" + {name}" for name in series.parts(steps[:first]))
    dashed = f"-{part}" if part else ""
    out = tree.build / f"series{dashed}"
    if out.exists():
        remove(out)
    tree.git("format-patch", "-q", "--cover-letter", "-o", out, f"{base}..{head}")
    cover = out / "0000-cover-letter.patch"
    letter = TOP / f"patches/cover{dashed or '-letter'}.txt"
    subject, _, blurb = (letter.read_text() if letter.exists()
                         else chosen[0].subject).partition("\n")
    evidence = tree.build / f"evidence{dashed}.txt"
    tested = evidence.read_text().strip() if evidence.exists() else \
        f"None yet: run \"make {'parts' if part else 'test'}\" and export again."
    text = cover.read_text().replace("*** SUBJECT HERE ***", subject.strip())
    text = text.replace("*** BLURB HERE ***", f"{blurb.strip()}\n\nBase: Linux {tree.version}{below}"
                        f"\n\nTest evidence\n-------------\n{tested}".strip())
    cover.write_text(text)

    # A clone that shares the objects and checks out only what the series touches.
    proof = tree.build / "proof"
    if proof.exists():
        remove(proof)
    tree.git("clone", "-q", "--shared", "--no-checkout", tree.path, proof)
    git = Git(proof)
    try:
        git("sparse-checkout", "set", "--no-cone", "--stdin",
            data="".join(f"/{path}\n" for path in tree.git.changes(base, head)))
        git("checkout", "-q", "--detach", base)
        files = sorted(out.glob("*.patch"))[1:]
        step(f"git am of {len(files)} mails", "git-am", "git", "-C", proof, "am", "-q", *files)
        if git.id("HEAD^{tree}") != tree.git.id(head + "^{tree}"):
            raise Error("git am of the exported mails does not give the assembled tree")
        for s, commit in zip(chosen, git("rev-list", "--reverse", f"{base}..").split()):
            if git("log", "-1", "--format=%B", commit).strip() != s.message.strip():
                raise Error(f"patches/{s.name}: git am cuts the changelog")
    except BaseException:
        remove(out)
        raise
    finally:
        remove(proof)
    say(f"{out}: cover letter and {len(files)} mails; git am on Linux {tree.version}{below} gives "
        + (f"the assembled tree up to the part {part}" if part else "the assembled tree"))


def part_tree(tree, name):
    """A worktree at the end of a part."""
    steps = series.load()
    chosen = series.of_part(steps, name)
    tree.commits(steps)
    return worktree(tree, "prefix", chosen[-1].commit)


def targets(paths):
    """What kbuild makes of the files that a series touches: their folders.

    All of KVM would take as long as all others together: of it only those files.
    """
    found = set()
    for path in paths:
        if path.startswith("virt/kvm/") and path.endswith(".c"):
            found.add(f"arch/x86/kvm/../../../{path[:-2]}.o")	# built from there
        elif path.split("/")[0] in ("drivers", "kernel", "security", "samples"):
            found.add(os.path.dirname(path) + "/")
    return sorted(f for f in found if not any(f != g and f.startswith(g) for g in found))


def builds(path):
    """Whether a file can make a difference to a build."""
    return not path.startswith(("Documentation/", "tools/", "MAINTAINERS"))


def changes(tree, steps):
    """The files that each step changes."""
    parents = [tree.base, *(s.commit for s in steps)]
    return [tree.git.changes(parent, s.commit) for parent, s in zip(parents, steps)]


def prefixes(tree, quick, until=None):
    """Build every prefix of the series, with our options on and off; False if time ran out."""
    steps = series.load()
    head = tree.commits(steps)
    wanted = targets(tree.git.changes(tree.base, head)) if quick else []
    # Without the debugging of the test kernel, which takes longer to compile.
    flavours = ("quick-on", "plain") if quick else ("test", "off")
    done = 0
    build = [(number, s, paths) for number, s, paths in
             zip(range(1, len(steps) + 1), steps, changes(tree, steps)) if any(map(builds, paths))]
    for number, s, changed in build:
        if until and time.time() > until:
            say(f"no time left: {done} of {len(build)} prefixes build")
            return False
        source = worktree(tree, "prefix", s.commit)
        commands = []
        # To configure takes longer than to compile what a step changes.
        fresh = not done or any("Kconfig" in path for path in changed)
        for name, flavour in zip(("on", "off"), flavours):
            out = tree.build / "out" / f"prefix-{name}"
            if fresh:
                configure(source, out, flavour)
            # What is off is off in the headers. All that calls it is there in the end.
            if quick and name == "off" and number < build[-1][0] and \
                    not any(path.startswith("include/") for path in changed):
                continue
            goals = [t for t in wanted if (source / t).exists() or t.endswith(".o")] or \
                ["vmlinux", "modules"]
            commands.append(shlex.join(map(str, [*TIED, *make(source, out), *goals])))
        # The second finds in the compiler cache what the options do not change.
        if step(f"prefix {number}/{len(steps)}: {s.subject}", "prefix", "sh", "-c",
                " && ".join(commands), may_fail=True):
            raise Error(f"the series does not build up to patches/{s.name}, "
                        f"in prefix-on or prefix-off in {tree.build}/out")
        done += 1
    say(f"{done} prefixes build, our options on and off"
        + (f" (objects of {' '.join(wanted)})" if quick else ""))
    return True


def configure(source, out, flavour):
    """.config of a prefix. Options of ours that have not arrived are no error."""
    done = subprocess.run([TOP / "dev/build", "--config-only", flavour, "--src", source,
                           "--out", out], stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    missing = [line for line in done.stdout.splitlines()
               if not re.search(r"CONFIG_IOMMU_OWNER\w*=|is not what configs/ asks for", line)]
    if done.returncode and (missing or not (out / ".config").exists()):
        raise Error(f"no configuration for {out}:\n{done.stdout.strip()}")


def make(source, out):
    """As dev/build calls it."""
    return ["env", *(f"{k}={v}" for k, v in CC_ENV.items()), "nice", "make", "-s", f"-j{JOBS}",
            "-C", source, f"O={out}", "ARCH=x86_64", f"CC={CC}"]
