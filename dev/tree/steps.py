# SPDX-License-Identifier: GPL-2.0-only
"""The series as it stands in this repo: parts, hook and overlay steps, their files."""

import os
import re
from pathlib import Path

from .common import TOP, Error, Git

# Below these directories every file of this repo goes into the kernel.
DIRS = ("Documentation", "arch", "drivers", "include", "kernel", "samples", "security",
        "tools", "virt")
# These Makefiles are filtered to what has arrived.
MAKEFILES = re.compile(r"drivers/iommu/owner/(\w+/)*Makefile")


class Step:
    """One file of patches/, one commit of the tree.

    A hook has a diff; an overlay step has the paths of files that arrive.
    """

    def __init__(self, name, part=None):
        self.name, self.part = name, part
        self.file = TOP / "patches" / name
        self.text = self.file.read_bytes().decode("utf-8", "surrogateescape")
        head, _, rest = self.text.partition("\n\n")
        head = re.sub(r"\n[ \t]+", " ", head)
        match = re.search(r"^Subject: *(.+)$", head, re.M)
        if not match:
            raise Error(f"patches/{name}: no Subject: line in front of the first empty line")
        self.subject = re.sub(r"^\[[^]]*PATCH[^]]*\] *", "", match[1]).strip()
        start = re.search(r"^diff --git ", rest, re.M)
        self.diff = rest[start.start():] if start else ""
        body = rest[:start.start()] if start else rest
        if start:
            body = re.split(r"^---$", body, 1, re.M)[0]
        elif re.search(r"^---$", body, re.M):
            raise Error(f"patches/{name}: a '---' line in an overlay step ends the mail")
        self.overlay = re.findall(r"^Overlay: *(\S+) *$", body, re.M)
        self.body = re.sub(r"^Overlay:.*\n?", "", body, flags=re.M).strip()
        self.message = f"{self.subject}\n\n{self.body}".strip() + "\n"
        self.paths = re.findall(r"^diff --git a/(\S+) b/\1$", self.diff, re.M)
        if bool(self.diff) == bool(self.overlay):
            raise Error(f"patches/{name}: a step has either a diff (hook) or "
                        "Overlay: lines, and not both")
        if re.search(r"^(new file mode|rename|copy) ", self.diff, re.M):
            raise Error(f"patches/{name}: a hook only changes files that the kernel has; "
                        "a new file stands at its kernel path and has an Overlay: line")


def parse(text):
    """[(step, part)] of patches/series, and what is wrong with its parts.

    A line "# part: NAME" begins a part; the part of a step is None if no line does.
    """
    found, bad, parts = [], [], []
    for line in text.splitlines():
        if match := re.match(r"#\s*part:\s*(.*?)\s*$", line):
            name = match[1]
            if not re.fullmatch(r"[a-z][a-z0-9-]*", name):
                bad.append(f"patches/series: {line.strip()}: not a name of a part")
            if name in parts:
                bad.append(f"patches/series begins the part {name} twice")
            parts.append(name)
        elif name := line.partition("#")[0].strip():
            found.append((name, parts[-1] if parts else None))
    used = {part for _, part in found}
    bad += [f"patches/series: the part {part} has no step" for part in parts if part not in used]
    if parts and None in used:
        bad.append(f"patches/series: {found[0][0]} stands before the first part")
    return found, bad


def load():
    """The steps in the order of patches/series."""
    series = TOP / "patches/series"
    found, bad = parse(series.read_text() if series.exists() else "")
    names = [name for name, _ in found]
    bad += [f"patches/series names {name} twice" for name in sorted(set(names))
            if names.count(name) > 1]
    bad += [f"patches/series names {name}, which does not exist" for name in names
            if not (TOP / "patches" / name).is_file()]
    bad += [f"patches/{path.name} is not in patches/series"
            for path in sorted((TOP / "patches").glob("*.patch")) if path.name not in names]
    if bad:
        raise Error("\n".join(bad))
    return [Step(name, part) for name, part in found]


def parts(steps):
    """The names of the parts, in their order."""
    return list(dict.fromkeys(s.part for s in steps if s.part))


def of_part(steps, name):
    """The steps of one part."""
    found = [s for s in steps if s.part == name]
    if not found:
        raise Error(f"no part {name} in patches/series; there are: "
                    + (", ".join(parts(steps)) or "none"))
    return found


def find(steps, name):
    """A step by its file name or a part that no other step has."""
    found = [s for s in steps if s.name in (name, name + ".patch", Path(name).name)]
    found = found or [s for s in steps if name in s.name]
    if len(found) != 1:
        raise Error(f"REFRESH_TO={name}: " + (
            "fits " + ", ".join(s.name for s in found) if found else "no such step"))
    return found[0]


def overlay_files():
    """Kernel paths of all new files in this repo, MAINTAINERS among them."""
    if (TOP / ".git").exists():
        listed = Git(TOP)("ls-files", "-z", "-c", "-o", "--exclude-standard", "--",
                          "MAINTAINERS", *DIRS).split("\0")
    else:
        listed = [str(path.relative_to(TOP)) for top in DIRS for path in (TOP / top).rglob("*")]
        listed.append("MAINTAINERS")
    return sorted({path for path in listed
                   if path and ((TOP / path).is_symlink() or (TOP / path).is_file())})


def mode(path):
    if (TOP / path).is_symlink():
        return "120000"
    return "100755" if os.access(TOP / path, os.X_OK) else "100644"


def content(path):
    if (TOP / path).is_symlink():
        return os.fsencode(os.readlink(TOP / path))
    return (TOP / path).read_bytes()


def check_overlay(steps, in_base):
    """Every new file arrives exactly once, and is new."""
    files = set(overlay_files())
    bad, step_of = [], {}
    for step in steps:
        for path in step.overlay:
            if path in step_of:
                bad.append(f"{path}: arrives twice, with patches/{step_of[path]} and "
                           f"patches/{step.name}")
            elif path not in files:
                bad.append(f"{path}: named by patches/{step.name}, but not in this repo")
            step_of[path] = step.name
    for path in sorted(files | set(step_of)):
        if path not in step_of:
            bad.append(f"{path}: no step of the series names it")
        if path in in_base and path != "MAINTAINERS":
            bad.append(f"{path}: the base tree already has it")
    for step in steps:
        for path in step.paths:
            if path not in in_base:
                bad.append(f"{path}: changed by patches/{step.name}, but not in the base tree")
    if bad:
        raise Error("\n".join(bad))


def filter_makefile(path, text, arrived):
    """The Makefile without the lines whose source has not arrived.

    One object per line; a composite object stays as long as it has a part.
    """
    folder = os.path.dirname(path)
    line_re = re.compile(r"([\w-]+)-(?:y|m|\$\(\w+\))\s*[+:]?=\s*(\S+)\s*$")
    lines = text.splitlines(keepends=True)
    found = [line_re.match(line) for line in lines]
    composites = {m[1].replace("-", "_") for m in found if m and m[1] != "obj"}

    def source_arrived(target):
        if target.endswith("/"):
            return f"{folder}/{target}Makefile" in arrived
        stem = os.path.normpath(f"{folder}/{target}").removesuffix(".o")
        return stem + ".c" in arrived or stem + ".S" in arrived

    parts = {m[1].replace("-", "_") for m in found
             if m and m[1] != "obj" and source_arrived(m[2])}
    kept = []
    for line, m in zip(lines, found):
        if m and (m[2].endswith(".o") or m[2].endswith("/")):
            name = m[2].removesuffix(".o").replace("-", "_")
            if name in composites and m[1] == "obj":
                if name not in parts:
                    continue
            elif not source_arrived(m[2]):
                continue
        kept.append(line)
    return "".join(kept)


def sections(text):
    """MAINTAINERS in paragraphs; a section is one whose second line is a tag."""
    return re.split(r"\n\n+", text.strip("\n"))


def title(paragraph):
    lines = paragraph.split("\n")
    return lines[0] if len(lines) > 1 and re.match(r"[A-Z]:\t", lines[1]) else None


def insert_maintainers(text, ours):
    """Each of our sections after the one that precedes it in the alphabet."""
    for section in sections(ours):
        if not title(section):
            raise Error(f"MAINTAINERS: not a section: {section.splitlines()[0]}")
        before = max((t for t in map(title, sections(text)) if t and t < title(section)),
                     default=None)
        if before is None:
            raise Error("the MAINTAINERS of the base tree has no sections")
        start = text.index(f"\n{before}\n") + 1
        end = text.find("\n\n", start)
        if end < 0:
            end = len(text.rstrip("\n"))
        text = f"{text[:end]}\n\n{section}{text[end:] or chr(10)}"
    return text
