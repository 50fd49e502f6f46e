# SPDX-License-Identifier: GPL-2.0-only
"""Tests of iommu-owner(8) on trees that look like sysfs."""
import json
import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
SOURCE = TOP / 'tools/iommu/iommu-owner'
FULL = 'held: translated no-direct isolated-msi acs no-sibling strict ats snoop ' \
       'no-foreign-pasid\nmissing:\n'
EXIT = {'ok': 0, 'usage': 1, 'missing': 2, 'refused': 3, 'kernel': 4, 'denied': 5}
HEAD = 'DEVICE         DRIVER           GROUP  STATE      TRUST      ISOLATION NAME\n'


def build(where):
    """Build the program; None if the libraries are not there."""
    if subprocess.run(['pkg-config', '--exists', 'libpci', 'json-c'], check=False).returncode:
        return None
    shutil.copytree(SOURCE, where, ignore=shutil.ignore_patterns('*.o', 'iommu-owner'))
    flags = '-O1 -g -Werror -fsanitize=address,undefined'
    subprocess.run(['make', '-s', '-C', str(where), f'CFLAGS={flags}',
                    'LDFLAGS=-fsanitize=address,undefined'], check=True)
    return where / 'iommu-owner'


@unittest.skipUnless(shutil.which('pkg-config'), 'no pkg-config')
class OwnerTool(unittest.TestCase):
    """Each state of a group, in text and as JSON"""

    @classmethod
    def setUpClass(cls):
        # A tree has thousands of files
        shm = '/dev/shm' if os.access('/dev/shm', os.W_OK) else None
        cls.dir = tempfile.mkdtemp(dir=shm)
        cls.program = build(Path(cls.dir) / 'src')
        if not cls.program:
            raise unittest.SkipTest('no libpci, or no json-c')

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.dir)

    def setUp(self):
        self.sysfs = Path(tempfile.mkdtemp(dir=self.dir))

    def put(self, path, text):
        """A file of the tree"""
        path = self.sysfs / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding='utf-8')

    def link(self, path, target):
        """A symbolic link of the tree"""
        path = self.sysfs / path
        path.parent.mkdir(parents=True, exist_ok=True)
        os.symlink(target, path)

    def device(self, address, group, driver=None, ids=None):
        """A device, which is on no bus without ids"""
        bus = 'pci' if ids else 'platform'
        real = self.sysfs / f'devices/{address}'
        real.mkdir(parents=True)
        if ids:
            self.put(f'devices/{address}/vendor', f'0x{ids[0]:04x}\n')
            self.put(f'devices/{address}/device', f'0x{ids[1]:04x}\n')
        if driver:
            self.link(f'devices/{address}/driver', f'../../bus/{bus}/drivers/{driver}')
        self.link(f'devices/{address}/iommu_group', f'../../kernel/iommu_groups/{group}')
        self.link(f'bus/{bus}/devices/{address}', f'../../../devices/{address}')
        self.link(f'kernel/iommu_groups/{group}/devices/{address}',
                  f'../../../../devices/{address}')

    def group(self, number, state='kernel', **files):
        """What the series reports of a group"""
        values = {'state': state, 'holder': '0 kernel -', 'generation': '7', 'blockers': '',
                  'quarantine': '', 'isolation': FULL, 'trust': 'full', **files}
        for name, text in values.items():
            if text is not None:
                self.put(f'kernel/iommu_groups/{number}/owner/{name}', text + '\n')
        self.put(f'kernel/iommu_groups/{number}/type', 'DMA\n')

    def run_tool(self, *args, code='ok'):
        """Run the program and return what it prints."""
        p = subprocess.run([self.program, '--sysfs', self.sysfs, *args], check=False,
                           capture_output=True, text=True, env={'NO_COLOR': '1'})
        self.assertEqual(EXIT[code], p.returncode, p.stderr)
        return p.stdout, p.stderr

    def json(self, *args, code='ok'):
        """The same as JSON"""
        answer = json.loads(self.run_tool('--json', *args, code=code)[0])
        self.assertEqual(1, answer['version'])
        return answer

    def usual(self):
        """A group whose card is free but for its neighbour, and one that is used"""
        self.device('0000:02:00.0', 15, 'vfio-pci', (0xffff, 1))
        self.device('0000:03:00.0', 15, 'e1000e', (0xffff, 2))
        self.group(15, blockers='0000:03:00.0 e1000e', isolation=FULL.replace(
            ' no-sibling', '').replace('missing:', 'missing: no-sibling'))
        self.device('arm-smmu.1', 2)
        self.group(2, 'user', holder='307 vfio qemu system')

    def test_list(self):
        """All devices, by the number of their group"""
        self.usual()
        out, err = self.run_tool()
        self.assertEqual('', err)
        self.assertEqual(HEAD + '''\
arm-smmu.1     -                    2  user       full       full      \n\
0000:02:00.0   vfio-pci            15  kernel     full       partial   Illegal Vendor ID Device 0001
0000:03:00.0   e1000e              15  kernel     full       partial   Illegal Vendor ID Device 0002
''', out)

    def test_json(self):
        """Every field of the text is there."""
        self.usual()
        groups = self.json('list')['groups']
        self.assertEqual([2, 15], [g['group'] for g in groups])
        self.assertEqual({'name': 'vfio', 'pid': 307, 'command': 'qemu system'},
                         groups[0]['owner'])
        self.assertEqual(['no-sibling'], groups[1]['isolation']['missing'])
        self.assertEqual([{'device': '0000:03:00.0', 'driver': 'e1000e'}],
                         groups[1]['blockers'])
        self.assertEqual(groups[1], {k: v for k, v in self.json('show', '03:00.0').items()
                                     if k != 'version'})

    def test_why(self):
        """Each reason, and what helps"""
        self.usual()
        out, _ = self.run_tool('why', '02:00.0', code='refused')
        self.assertIn('0000:03:00.0 is bound to e1000e', out)
        self.assertIn(f'# echo 0000:03:00.0 > {self.sysfs}/bus/pci/drivers/e1000e/unbind', out)
        self.assertIn('group 2 has user owner vfio (qemu system, pid 307)',
                      self.run_tool('why', 'group:2', code='refused')[0])
        self.device('0000:04:00.0', 4, ids=(0xffff, 3))
        for state, kind, more in (
                ('kernel', None, {}), ('reserved', 'owner', {'holder': '9 o c'}),
                ('ending', 'ending', {}), ('private', 'domain', {'holder': '0 dc -'}),
                ('quarantine', 'quarantine', {'quarantine': 'a device does not answer'}),
                ('blocked', 'trust', {'trust': 'blocked'}),
                ('blocked', None, {'trust': 'reserved'})):
            self.group(4, state, **more)
            answer = self.json('why', '0000:04:00.0', code='refused' if kind else 'ok')
            self.assertEqual(not kind, answer['assignable'])
            self.assertEqual([kind] if kind else [], [b['kind'] for b in answer['blockers']])

    def test_lockdown(self):
        """What is missing counts when the kernel is locked down, but for snoop."""
        self.device('0000:04:00.0', 4, ids=(0xffff, 3))
        self.group(4, isolation='held: translated\nmissing: acs snoop')
        answer = self.json('why', '04:00.0')
        self.assertEqual(['acs'], [m['kind'] for m in answer['missing']])
        self.put('kernel/security/lockdown', 'none [integrity] confidentiality\n')
        self.assertTrue(self.json('why', '04:00.0', code='refused')['locked_down'])
        self.group(4, isolation='held: translated\nmissing: snoop')
        self.json('why', '04:00.0')

    def test_writes(self):
        """trust and clear write what they say."""
        self.device('0000:04:00.0', 4, ids=(0xffff, 3))
        self.group(4)
        self.run_tool('trust', '04:00.0', 'blocked')
        owner = self.sysfs / 'kernel/iommu_groups/4/owner'
        self.assertTrue((owner / 'trust').read_text(encoding='utf-8').startswith('blocked'))
        self.run_tool('clear', 'group:4')
        self.assertTrue((owner / 'quarantine').read_text(encoding='utf-8').startswith('clear'))

    def test_errors(self):
        """Each has a status, and is JSON if the rest would be."""
        self.usual()
        self.assertEqual('missing', self.json('show', '05:00.0',
                                              code='missing')['error']['code'])
        for name in ('group:', 'group:x', '../15', ''):
            self.run_tool('show', name, code='missing')
        self.run_tool('show', code='usage')
        self.run_tool('--nothing', code='usage')
        self.assertEqual('usage', self.json('frob', code='usage')['error']['code'])

    def test_stock(self):
        """A kernel that reports no owners"""
        self.device('0000:04:00.0', 4, 'nvme', (0xffff, 3))
        self.put('kernel/iommu_groups/4/type', 'DMA-FQ\n')
        out, err = self.run_tool('list')
        self.assertIn('this kernel does not report owners', err)
        self.assertIn('0000:04:00.0   nvme                 4  ?', out)
        self.assertIsNone(self.json('list')['groups'][0]['state'])
        self.run_tool('why', '04:00.0', code='kernel')
        self.run_tool('trust', '04:00.0', 'blocked', code='kernel')

    def test_without_root(self):
        """The owner is for root only."""
        self.device('0000:04:00.0', 4, ids=(0xffff, 3))
        self.group(4, 'user', holder=None)
        self.assertIn('owner        ? (for root only)', self.run_tool('show', '04:00.0')[0])
        self.assertIsNone(self.json('show', '04:00.0')['owner'])

    def test_vanishes(self):
        """A device whose directory is gone when it is looked at"""
        self.device('0000:04:00.0', 4, ids=(0xffff, 3))
        self.group(4)
        shutil.rmtree(self.sysfs / 'devices/0000:04:00.0')
        self.assertIn('0000:04:00.0   -                    4  kernel', self.run_tool()[0])
        (self.sysfs / 'kernel/iommu_groups/9/owner').mkdir(parents=True)
        self.run_tool('list')

    def test_many(self):
        """4096 groups"""
        for i in range(4096):
            self.device(f'{i:04x}:00:00.0', i, ids=(0xffff, i & 0xff))
            self.group(i)
        self.assertEqual(4097, self.run_tool('list')[0].count('\n'))


if __name__ == '__main__':
    unittest.main()
