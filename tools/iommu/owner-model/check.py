#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Check the models of the ownership of IOMMU groups, of shared PASIDs and of views, with spin.

usage: check [--keep DIR] [--update] [NAME...]

Without NAME, everything: each configuration has no error and no statement that
is not reached but for those in the file "unreached"; the code that was replaced
has the errors that it is known for; and each mutation is found. --update writes
"unreached" anew, to be looked at. A trail stays in DIR/NAME with --keep:

	cd DIR/NAME; ./pan -r *.trail
"""
import collections
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
MEMORY = 1800           # MB

# name: flags of spin, and the formula with fairness or '' for assertions
CLEAN = {
    'core': ('CORE', ''),
    'join': ('JOIN', ''),
    'leave': ('LEAVE', ''),
    'trust': ('TRUST', ''),
    'share': ('SHARE', ''),
    'share-first': ('SHARE WATCH_FIRST', ''),
    'pair': ('PAIR', ''),
    'progress': ('PROGRESS', ''),
    'progress-first': ('PROGRESS WATCH_FIRST', ''),
    'ends': ('PROGRESS', 'ends'),
    'completes': ('PROGRESS', 'completes'),
    'returns': ('PROGRESS', 'returns'),
    'clean': ('PROGRESS', 'clean'),
    'today': ('TODAY', ''),
    'view': ('VIEW', ''),
    'pasid': ('PASID', ''),
    'pasid-returns': ('PASID', 'returns'),
}
# The same, and a word of the error that must be found
P1, P4, P6 = 'users', 'domain', 'clean'
BROKEN = {
    'today-reopen': ('TODAY REOPEN', '', P6),
    'today-use': ('TODAY USE', '', P6),
    'today-close': ('TODAY CLOSE', '', P6),
    'mut-claim-revoked': ('CORE MUT_CLAIM_REVOKED', '', ''),
    'mut-claim-driver': ('CORE MUT_CLAIM_DRIVER', '', P1),
    'mut-two-owners': ('CORE MUT_TWO_OWNERS', '', ''),
    'mut-pasid-stays': ('CORE MUT_PASID_STAYS', '', 'pasid'),
    'mut-block-last': ('CORE MUT_BLOCK_LAST', '', 'step'),
    'mut-one-by-one': ('CORE MUT_ONE_BY_ONE', '', 'owner==0'),
    'mut-twice': ('CORE MUT_TWICE', '', 'group[0].step=='),
    'mut-device-first': ('CORE MUT_DEVICE_FIRST', '', 'step'),
    'mut-forget-others': ('CORE MUT_FORGET_OTHERS', '', P6),
    'mut-probe-ending': ('CORE MUT_PROBE_ENDING', '', P1),
    'mut-join-none': ('JOIN MUT_JOIN_NONE', '', P4),
    'mut-join-default': ('JOIN MUT_JOIN_DEFAULT', '', P4),
    'mut-empty-quiescing': ('LEAVE MUT_EMPTY_QUIESCING', '', ''),
    'mut-trust-idle': ('TRUST MUT_TRUST_IDLE', '', 'trust'),
    'mut-trust-claim': ('TRUST MUT_TRUST_CLAIM', '', '==2'),
    'mut-trust-probe': ('TRUST MUT_TRUST_PROBE', '', 'trust'),
    'mut-trust-in-use': ('TRUST MUT_TRUST_IN_USE', '', ''),
    'mut-no-drain': ('SHARE MUT_NO_DRAIN', '', ''),
    'mut-no-quiesce': ('SHARE MUT_NO_QUIESCE', '', P4),
    'mut-clear-access': ('SHARE MUT_CLEAR_ACCESS', '', ''),
    'mut-count-late': ('SHARE MUT_COUNT_LATE', '', 'draining>0'),
    'mut-second-owner': ('SHARE MUT_SECOND_OWNER', '', ''),
    'mut-op-revoked': ('SHARE MUT_OP_REVOKED', '', ''),
    'mut-no-second-zap': ('SHARE MUT_NO_SECOND_ZAP', '', ''),
    'mut-unwatch-first': ('SHARE MUT_UNWATCH_FIRST', '', ''),
    'mut-watch-late': ('PROGRESS MUT_WATCH_LATE', '', ''),
    'mut-no-work': ('PROGRESS MUT_NO_WORK', 'completes', 'acceptance cycle'),
    'mut-view-mixed': ('VIEW MUT_VIEW_MIXED', '', 'view'),
    'mut-view-unbind-first': ('VIEW MUT_VIEW_UNBIND_FIRST', '', 'domain'),
    'mut-view-settle': ('VIEW MUT_VIEW_SETTLE', '', 'lost'),
    'mut-view-in-use': ('VIEW MUT_VIEW_IN_USE', '', 'domain'),
    'mut-view-no-stop': ('VIEW MUT_VIEW_NO_STOP', '', '.is!=2'),
    'mut-view-probe': ('VIEW MUT_VIEW_PROBE', '', ''),
    'mut-bit-stays': ('PASID MUT_BIT_STAYS', '', 'allowed'),
    'mut-attach-stays': ('PASID MUT_ATTACH_STAYS', '', 'attached'),
    'mut-free-live': ('PASID MUT_FREE_LIVE', '', ''),
    'mut-link-revoked': ('PASID MUT_LINK_REVOKED', '', ''),
    'mut-any-device': ('PASID MUT_ANY_DEVICE', '', 'device_owner'),
    'mut-no-reference': ('PASID MUT_NO_REFERENCE', '', ''),
    'mut-no-grace': ('PASID MUT_NO_GRACE', '', 'loaded'),
    'mut-no-unload': ('PASID MUT_NO_UNLOAD', '', 'loaded'),
    'mut-load-outside': ('PASID MUT_LOAD_OUTSIDE', '', 'loaded'),
    'mut-attach-blocked': ('PASID MUT_ATTACH_BLOCKED', '', 'attached'),
    'mut-close-early': ('PASID MUT_CLOSE_EARLY', '', ''),
    'mut-no-busy': ('PASID MUT_NO_BUSY', '', 'clean'),
}


def command(*cmd, cwd):
    p = subprocess.run(cmd, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, text=True, errors='replace', check=False)
    return p.returncode, p.stdout


def model(flags):
    for name in ('PASID', 'VIEW'):
        if name in flags.split():
            return name.lower() + '.pml'
    return 'owner.pml'


def verify(flags, formula, where):
    """Run spin, gcc and the verifier; return what that says."""
    status, text = command('spin', *('-D' + f for f in flags.split()), '-a',
                           str(HERE / model(flags)), cwd=where)
    if status or not (where / 'pan.c').exists():
        raise RuntimeError('spin: ' + text)
    # One huge function: to optimise it takes longer than what is gained.
    mode = ['-DNFAIR=3'] if formula else ['-DSAFETY', '-DNOCLAIM']
    status, text = command('gcc', '-O0', '-w', '-DCOLLAPSE', f'-DMEMLIM={MEMORY}', *mode,
                           '-o', 'pan', 'pan.c', cwd=where)
    if status:
        raise RuntimeError('gcc: ' + text)
    run = ['./pan', '-m2000000', '-w22']
    if formula:
        run += ['-a', '-f', '-N', formula]
    return command(*run, cwd=where)[1]


def whole(text):
    """Has the search seen every state? Lossy or cut short, it proves nothing."""
    return not re.search('Search not completed|max search depth too small|out of memory|'
                         'Bit statespace|hash-compact|memory limit', text)


def errors(text):
    found = re.search(r'errors: (\d+)', text)
    if not found:
        raise RuntimeError('no result: ' + text[-1000:])
    return int(found[1])


def unreached(text):
    """(process, statement): how many copies of it are not reached."""
    found = collections.Counter()
    process = ''
    for line in text.splitlines():
        head = re.match(r'unreached in (\w+ \S+)', line)
        if head:
            process = head[1]
        body = re.match(r'\t\S+:\d+, state \d+, "(.*)"$', line)
        if body and process.startswith(('proctype', 'init')) and body[1] != '-end-':
            found[process.split()[-1], body[1]] += 1
    return found


def states(text):
    found = re.search(r'([\d.e+]+) states, stored', text)
    return f'{float(found[1]):.0f} states' if found else ''


def check_clean(name, text, known, seen):
    if errors(text):
        return 'an error: ' + (re.findall(r'^pan:.*', text, re.M) or [''])[0][:300]
    if not whole(text):
        return 'the search was not complete'
    if CLEAN[name][1]:
        return ''
    found = {f'{name}\t{process}\t{count}\t{what}'
             for (process, what), count in unreached(text).items()}
    seen |= found
    expected = {l for l in known if l.startswith(name + '\t')}
    wrong = [f'not reached: {l}' for l in sorted(found - expected)]
    wrong += [f'reached, and listed as not: {l}' for l in sorted(expected - found)]
    return '\n'.join(wrong)


def check_broken(name, text):
    if not errors(text):
        return 'no error is found'
    said = '\n'.join(re.findall(r'^pan:\d+: .*', text, re.M))
    if BROKEN[name][2] not in said or 'invalid end state' in said:
        return 'another error: ' + said[:300]
    return ''


def main():
    args = sys.argv[1:]
    if args in (['-h'], ['--help']):
        print(__doc__)
        return 0
    keep = update = None
    if args[:1] == ['--keep']:
        keep = Path(args[1]).resolve()
        args = args[2:]
    if args[:1] == ['--update']:
        update = True
        args = args[1:]
    bad = [a for a in args if a not in CLEAN and a not in BROKEN]
    if bad:
        sys.exit(f'check: there is no {", ".join(bad)}')
    listed = HERE / 'unreached'
    known = set()
    if listed.exists():
        known = {l for l in listed.read_text().splitlines() if l and not l.startswith('#')}
    seen, failed = set(), 0
    for name in args or [*CLEAN, *BROKEN]:
        flags, formula = (CLEAN.get(name) or BROKEN.get(name))[:2]
        start = resource.getrusage(resource.RUSAGE_CHILDREN)
        clock = time.monotonic()
        with tempfile.TemporaryDirectory() as scratch:
            where = Path(scratch)
            if keep:
                where = keep / name
                where.mkdir(parents=True, exist_ok=True)
            try:
                text = verify(flags, formula, where)
                (where / 'log').write_text(text)
                if name in CLEAN:
                    what = check_clean(name, text, set() if update else known, seen)
                    if update and what.startswith('not reached'):
                        what = ''
                else:
                    what = check_broken(name, text)
                size = states(text)
            except RuntimeError as e:
                what, size = str(e), ''
        end = resource.getrusage(resource.RUSAGE_CHILDREN)
        failed += bool(what)
        print(f'{name:20} {"FAILED" if what else "ok"} {size} '
              f'({end.ru_utime - start.ru_utime:.1f} s of CPU, {time.monotonic() - clock:.0f} s)',
              flush=True)
        if what:
            print('\n'.join('    ' + l for l in what.splitlines()[:20]))
    if update:
        head = [l for l in listed.read_text().splitlines() if l.startswith('#')]
        kept = {l for l in known if args and l.split()[0] not in args}
        listed.write_text(''.join(l + '\n' for l in head + sorted(seen | kept)))
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
