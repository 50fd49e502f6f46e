# SPDX-License-Identifier: GPL-2.0-only
"""What the commands in Python share: dev/settings, logs, lines that say what runs."""

import os
import subprocess
import sys
import threading
import time

TICK = 60	# seconds between the lines of Progress without a terminal


def settings(arch=None):
    """dev/settings as a dictionary, for the usual architecture or another one."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "settings")
    env = dict(os.environ, ARCH=arch) if arch else None
    text = subprocess.run(["bash", "-euc", 'set -a; . "$0"; env -0', path], check=True,
                          stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, env=env).stdout
    return dict(os.fsdecode(line).split("=", 1) for line in text.split(b"\0") if line)


_SETTINGS = settings()
TOP, BUILD, LOGS, ARCH, JOBS, LINUX, STOCK = map(
    _SETTINGS.get, ("TOP", "BUILD", "LOGS", "ARCH", "JOBS", "LINUX_TREE", "STOCK_TREE"))
# Compiler and environment as dev/build has them: what is compiled once is found again.
CC = f"{_SETTINGS['CCACHE']} gcc".strip()
CC_ENV = {k: v for k, v in _SETTINGS.items() if k.startswith(("CCACHE_", "KBUILD_BUILD_"))}


def shown(path):
    """A path as it is printed."""
    return os.path.relpath(path, TOP)


def tail(path, count=15):
    """The last lines of a log."""
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.read().splitlines()[-count:]
    except OSError:
        return []


class Progress:
    """Says what runs and for how long.

    On a terminal this is one line that changes. Without one it is a line at the
    start, one a minute and one at the end. A caller that prints the start and the
    end itself wants neither (bare), and if it prints meanwhile as well, no line that
    changes (live); after beat() a minute counts anew.
    """

    def __init__(self, what, log=None, out=None, live=True, bare=False):
        self.what, self.log, self.out, self.bare = what, log, out or sys.stdout, bare
        self.tty = live and self.out.isatty()
        self.start = self.last = time.monotonic()
        self.done, self.state = threading.Event(), ""
        self.thread = threading.Thread(target=self._run, daemon=True)

    def seconds(self):
        return time.monotonic() - self.start

    def beat(self):
        self.last = time.monotonic()

    def end(self, state):
        """What the last line says, instead of "done"."""
        self.state = state

    def _say(self, state):
        log = f", log {shown(self.log)}" if self.log else ""
        text = f"# {self.what}: {state}, {self.seconds():.0f} s{log}"
        # One write, so that the lines of threads do not mix.
        self.out.write(f"\r\033[K{text}" if self.tty else text + "\n")
        self.out.flush()
        self.beat()

    def _run(self):
        while not self.done.wait(1):
            if self.tty or time.monotonic() - self.last >= TICK:
                self._say("running")

    def __enter__(self):
        if not self.bare:
            self._say("running")
        self.thread.start()
        return self

    def __exit__(self, kind, *_):
        self.done.set()
        self.thread.join()
        if not self.bare:
            self._say(self.state or ("stopped" if kind else "done"))
        if self.tty:
            self.out.write("\r\033[K" if self.bare else "\n")
            self.out.flush()
