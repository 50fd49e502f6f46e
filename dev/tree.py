#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Make the kernel tree from this repo, and sort edits of it back.

assemble        build/linux: tag base, branch owner with one commit per step
stock           build/stock: a worktree of the base
refresh         take edits made in build/linux into this repo (REFRESH_TO=STEP)
discard         throw edits made in build/linux away
check           validate the series without touching a worktree
series          export the mails to build/series and prove that git am fits;
                PART=NAME: only those of this part, to build/series-NAME
part [NAME]     a worktree at the end of this part; without a name, list the parts
prefixes        build every prefix of the series (--quick: only touched folders;
                --until SECONDS, since the epoch: then stop, with status 75)
import          --from TREE RANGE: commits that change base files become hooks
path            print the path of linux, stock or build

KSRC=DIR uses that tree as the base; everything then goes to build/ksrc-*.
"""

import argparse
import os
import signal
import sys

from tree import assemble, common, export, refresh
from tree import steps as series


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in ("assemble", "stock", "refresh", "discard", "check", "series"):
        commands.add_parser(name)
    sub = commands.add_parser("prefixes")
    sub.add_argument("--quick", action="store_true")
    sub.add_argument("--until", type=float, metavar="SECONDS")
    sub = commands.add_parser("part")
    sub.add_argument("name", nargs="?")
    sub = commands.add_parser("import")
    sub.add_argument("--from", dest="source", required=True, metavar="TREE")
    sub.add_argument("range")
    sub = commands.add_parser("path")
    sub.add_argument("what", nargs="?", default="linux", choices=("linux", "stock", "build"))
    args = parser.parse_args()

    if args.command == "path":
        build = common.build_dir()
        print(build if args.what == "build" else build / args.what)
        return
    if args.command == "import":
        export.import_commits(args.source, args.range)
        return
    if args.command == "part" and not args.name:
        print(*series.parts(series.load()), sep="\n")
        return
    held = common.lock()
    tree = assemble.Tree()
    if args.command == "assemble":
        tree.assemble()
    elif args.command == "discard":
        tree.discard()
    elif args.command == "refresh":
        refresh.refresh(tree, os.environ.get("REFRESH_TO"))
    elif args.command == "check":
        tree.ensure_base()
        tree.commits(steps := series.load())
        common.say(f"{len(steps)} steps fit Linux {tree.version}")
    else:
        tree.ensure_base()
        if args.command == "stock":
            print(assemble.worktree(tree, "stock", tree.base))
        elif args.command == "series":
            export.mails(tree, os.environ.get("PART"))
        elif args.command == "part":
            print(export.part_tree(tree, args.name))
        elif not export.prefixes(tree, args.quick, args.until):
            sys.exit(os.EX_TEMPFAIL)
    del held


if __name__ == "__main__":
    # A request to stop runs the clean-up of what is going on.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        main()
    except common.Error as error:
        sys.exit(f"dev/tree.py: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
