# SPDX-License-Identifier: GPL-2.0-only
"""What all commands share: errors, git, directories, the lock."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import shared

TOP = Path(shared.TOP)
IDENT = "iommu-owner developers <iommu-owner@localhost>"
DATE = 1704067200	# of the base commit; each step is one minute later
# No child goes on when we are killed: the next call finds a quiet directory.
TIED = ("setpriv", "--pdeathsig", "TERM")


class Error(Exception):
    """Bad input: the message is all that the user sees."""


def say(text):
    print(text, file=sys.stderr, flush=True)


def git_env(index=None):
    """The user's git settings must not change what we make."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    name, mail = IDENT[:-1].split(" <")
    env.update(GIT_CONFIG_GLOBAL=os.devnull, GIT_CONFIG_NOSYSTEM="1", LC_ALL="C",
               GIT_AUTHOR_NAME=name, GIT_AUTHOR_EMAIL=mail, GIT_AUTHOR_DATE=f"{DATE} +0000",
               GIT_COMMITTER_NAME=name, GIT_COMMITTER_EMAIL=mail,
               GIT_COMMITTER_DATE=f"{DATE} +0000")
    if index:
        env["GIT_INDEX_FILE"] = str(index)
    return env


class Git:
    """git in one tree. Text is bytes-safe str."""

    def __init__(self, tree):
        self.tree = Path(tree)

    def run(self, *args, data=None, index=None):
        if isinstance(data, str):
            data = data.encode("utf-8", "surrogateescape")
        return subprocess.run([*TIED, "git", "-c", "safe.directory=*", "-C", self.tree, *args],
                              input=data if data is not None else b"",
                              capture_output=True, env=git_env(index))

    def raw(self, *args, **kwargs):
        done = self.run(*args, **kwargs)
        if done.returncode:
            raise Error(f"git {' '.join(map(str, args))}, in {self.tree}:\n"
                        + done.stderr.decode(errors="replace").strip())
        return done.stdout

    def __call__(self, *args, **kwargs):
        return self.raw(*args, **kwargs).decode("utf-8", "surrogateescape").rstrip("\n")

    def id(self, name):
        """Object id of a name, None when there is no such object."""
        done = self.run("rev-parse", "-q", "--verify", name)
        return done.stdout.decode().strip() if done.returncode == 0 else None

    def blob(self, content):
        return self("hash-object", "-w", "--no-filters", "--stdin", data=content)

    def content(self, blob):
        return self.raw("cat-file", "blob", blob)

    def dir(self):
        return Path(self("rev-parse", "--absolute-git-dir"))

    def changes(self, old, new):
        """{path: (old mode, new mode, old blob, new blob)}; a mode of 0 is no file."""
        fields = self("diff-tree", "-r", "-z", "--no-renames", old, new).split("\0")
        found = {}
        for meta, path in zip(fields[0::2], fields[1::2]):
            mode1, mode2, blob1, blob2, _ = meta[1:].split(" ")
            found[path] = (int(mode1, 8), int(mode2, 8), blob1, blob2)
        return found

    def files(self, commit, paths):
        """{path: (mode, blob)} of those paths that are files of the commit."""
        if not paths:
            return {}
        found = {}
        for line in self("--literal-pathspecs", "ls-tree", "-r", "-z", commit, "--",
                         *sorted(paths)).split("\0"):
            if line:
                meta, path = line.split("\t", 1)
                mode, _, blob = meta.split(" ")
                if path in paths:
                    found[path] = (mode, blob)
        return found


def ksrc():
    """The user's own tree, if one was chosen."""
    name = os.environ.get("KSRC")
    if not name:
        return None
    path = Path(name).expanduser().resolve()
    if not (path / "Makefile").is_file() or not (path / "MAINTAINERS").is_file():
        raise Error(f"KSRC={name}: not the top of a Linux source tree")
    if path.is_relative_to(TOP / "build"):
        raise Error(f"KSRC={name}: lies in our build directory")
    return path


def build_dir():
    """Each base tree has its own directory for everything that is made from it."""
    own = ksrc()
    if not own:
        return TOP / "build"
    return TOP / "build" / ("ksrc-" + hashlib.sha1(str(own).encode()).hexdigest()[:8])


def lock(name=".lock"):
    """Held until the process ends."""
    path = build_dir() / name
    path.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(path, os.O_CREAT | os.O_RDWR, 0o666)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say(f"waiting for another command that holds {path}")
        fcntl.flock(fd, fcntl.LOCK_EX)
    return fd


def step(name, log, *command, index=None, may_fail=False):
    """A long command, with a progress line and a log."""
    env = git_env(index)
    env["BUILD"] = str(build_dir())
    status = subprocess.run([*TIED, TOP / "dev/step", name, log, "--", *command], env=env).returncode
    if status and not may_fail:
        raise Error(f"{name}: failed")
    return status


def remove(path):
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write(path, content):
    """Whole or not at all. Content None removes the file."""
    if content is None:
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    new.write_bytes(content if isinstance(content, bytes)
                    else content.encode("utf-8", "surrogateescape"))
    if path.exists():
        shutil.copymode(path, new)
    new.replace(path)
