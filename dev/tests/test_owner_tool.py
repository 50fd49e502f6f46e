# SPDX-License-Identifier: GPL-2.0-only
"""Tests of iommu-owner(8) on trees that look like sysfs."""
import json
import os
import resource
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
SOURCE = TOP / 'tools/iommu/iommu-owner'
FULL = 'held: translated no-direct isolated-msi acs no-sibling strict ats snoop ' \
       'no-foreign-pasid\nmissing:\n'
EXIT = {'ok': 0, 'usage': 1, 'missing': 2, 'refused': 3, 'kernel': 4, 'denied': 5, 'failed': 6}
HEAD = 'DEVICE         DRIVER           GROUP  STATE      TRUST      ISOLATION NAME\n'


def build(where, flags='-O1 -g -fsanitize=address,undefined'):
    """Build the program; None if the libraries are not there."""
    if subprocess.run(['pkg-config', '--exists', 'libpci', 'json-c', 'libudev'], check=False).returncode:
        return None
    shutil.copytree(SOURCE, where, ignore=shutil.ignore_patterns('*.o', 'iommu-owner'))
    subprocess.run(['make', '-s', '-C', str(where), f'CFLAGS={flags} -Werror',
                    f'UAPI={TOP}/include/uapi', f'LDFLAGS={flags}'], check=True)
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
            raise unittest.SkipTest('no libpci, json-c or libudev')

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.dir)

    def setUp(self):
        self.root = Path(tempfile.mkdtemp(dir=self.dir))
        self.sysfs = self.root / 'sys'
        (self.root / 'run').mkdir()

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

    def device(self, address, group, driver=None, ids=None, parent=''):
        """A device, which is on no bus without ids"""
        bus = 'pci' if ids else 'platform'
        path = f'devices/{parent}/{address}' if parent else f'devices/{address}'
        up = '../../..' if parent else '../..'
        (self.sysfs / path).mkdir(parents=True)
        if ids:
            self.put(f'{path}/vendor', f'0x{ids[0]:04x}\n')
            self.put(f'{path}/device', f'0x{ids[1]:04x}\n')
        if driver:
            self.link(f'{path}/driver', f'{up}/bus/{bus}/drivers/{driver}')
        self.link(f'{path}/iommu_group', f'{up}/kernel/iommu_groups/{group}')
        self.link(f'bus/{bus}/devices/{address}', f'../../../{path}')
        self.link(f'kernel/iommu_groups/{group}/devices/{address}', f'../../../../{path}')

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
        p = subprocess.run([self.program, '--root', self.root, *args], check=False,
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
        self.assertIn('# iommu-owner assign 0000:03:00.0', out)
        self.assertIn('group 2 has user owner vfio (qemu system, pid 307)',
                      self.run_tool('why', 'group:2', code='refused')[0])
        self.device('0000:04:00.0', 4, ids=(0xffff, 3))
        for state, kind, more in (
                ('kernel', None, {}), ('reserved', 'owner', {'holder': '9 o c'}),
                ('ending', 'ending', {}), ('private', 'domain', {'holder': '0 dc -'}),
                ('quarantine', 'quarantine', {'quarantine': 'a device does not answer'}),
                ('quarantine', 'quarantine', {'quarantine': 'a device cannot be quiesced'}),
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
        self.run_tool('trust', '04:00.0', 'frob', code='usage')
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
        """4096 groups take less than a second of the CPU, without the sanitizers."""
        for i in range(4096):
            self.device(f'{i:04x}:00:00.0', i, ids=(0xffff, i & 0xff))
            self.group(i)
        self.assertEqual(4097, self.run_tool('list')[0].count('\n'))
        fast = build(Path(self.dir) / 'fast', '-O2')
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([fast, '--root', self.root, 'list'], check=True,
                       stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.assertLess(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 1)

    def tree(self):
        """A disk with a partition, and a network card behind a port"""
        self.device('0000:00:1c.0', 3, 'pcieport', (0xffff, 1))
        self.put('devices/0000:00:1c.0/class', '0x060400\n')
        self.group(3)
        for address, group, driver in (('0000:05:00.0', 5, 'nvme'), ('0000:06:00.0', 6, 'e1000e')):
            self.device(address, group, driver, (0xffff, 2), parent='0000:00:1c.0')
            self.put(f'devices/0000:00:1c.0/{address}/driver_override', '(null)\n')
            self.put(f'devices/0000:00:1c.0/{address}/class', '0x010802\n')
            self.group(group, blockers=f'{address} {driver}')
        self.put('bus/pci/drivers/vfio-pci/bind', '')

    def test_tree(self):
        """What is behind what"""
        self.tree()
        names = [line.split('  ')[:2] for line in
                 self.run_tool('list', '--tree')[0].splitlines()[1:]]
        self.assertEqual([['0000:00:1c.0', ''], ['', '0000:05:00.0'], ['', '0000:06:00.0']], names)
        devices = [d for g in self.json('list')['groups'] for d in g['devices']]
        self.assertEqual([None, '0000:00:1c.0', '0000:00:1c.0'], [d['parent'] for d in devices])
        self.assertEqual([True, False, False], [d['bridge'] for d in devices])

    def test_graph(self):
        """Graphviz understands it, and each state is drawn differently."""
        self.tree()
        looks = set()
        for state in ('kernel', 'private', 'user', 'reserved', 'ending', 'quarantine', 'blocked'):
            self.group(5, state, holder='9 a"b\\ c d')
            out = self.run_tool('graph')[0]
            self.assertIn(f'group 5: {state}', out)
            self.assertIn('"0000:00:1c.0" -> "0000:05:00.0"', out)
            looks.add(out.split('cluster_5 {')[1].split('\n')[1])
            if shutil.which('dot'):
                self.assertIn('<svg', self.run_tool('graph', '-Tsvg')[0])
        self.assertEqual(7, len(looks))

    def test_in_use(self):
        """Disks, also with several paths, displays, functions"""
        self.tree()
        nvme = 'devices/0000:00:1c.0/0000:05:00.0/nvme/nvme1'
        for name, where in (('nvme0c1n1', nvme), ('nvme0n1', 'devices/virtual/nvme'),
                            ('nvme0n1p2', 'devices/virtual/nvme/nvme0n1')):
            (self.sysfs / where / name).mkdir(parents=True)
            self.link(f'class/block/{name}', f'../../{where}/{name}')
        self.put('devices/virtual/nvme/nvme0n1/nvme0n1p2/dev', '259:7\n')
        mounts = self.root / 'proc/self/mountinfo'
        mounts.parent.mkdir(parents=True)
        mounts.write_text('30 1 259:7 / /srv rw - ext4 /dev/nvme0n1p2 rw\n', encoding='utf-8')
        self.assertIn('nvme0n1p2 is mounted on /srv',
                      self.run_tool('assign', '05:00.0', code='refused')[1])
        mounts.write_text('', encoding='utf-8')
        (self.sysfs / 'devices/virtual/nvme/nvme0n1/holders/dm-0').mkdir(parents=True)
        self.assertIn('nvme0n1 is a part of dm-0',
                      self.run_tool('assign', '05:00.0', code='refused')[1])
        self.put('devices/0000:00:1c.0/0000:06:00.0/sriov_numvfs', '4\n')
        self.assertIn('it has 4 virtual functions',
                      self.run_tool('assign', '06:00.0', code='refused')[1])
        self.put('devices/0000:00:1c.0/0000:06:00.0/drm/card0-HDMI/enabled', 'enabled\n')
        self.link('class/drm/card0-HDMI', '../../devices/0000:00:1c.0/0000:06:00.0/drm/card0-HDMI')
        self.assertIn('display card0-HDMI is on',
                      self.run_tool('assign', '06:00.0', code='refused')[1])
        self.link('class/net/zz0', '../../devices/0000:00:1c.0/0000:06:00.0/net/zz0')
        shutil.rmtree(self.sysfs / 'class/drm')
        os.remove(self.sysfs / 'devices/0000:00:1c.0/0000:06:00.0/sriov_numvfs')
        for path, link, text in (
                ('net/zz0/upper_zz0.5', None, 'zz0 is part of another'),
                ('input/event3', 'class/input/event3', 'a keyboard'),
                ('a-b-c', 'bus/mdev/devices/a-b-c', 'made from it')):
            self.put(f'devices/0000:00:1c.0/0000:06:00.0/{path}', '')
            if link:
                up = '../' * link.count('/')
                self.link(link, f'{up}devices/0000:00:1c.0/0000:06:00.0/{path}')
            self.assertIn(text, self.run_tool('assign', '06:00.0', code='refused')[1])
            os.remove(self.sysfs / f'devices/0000:00:1c.0/0000:06:00.0/{path}')
        self.put('devices/0000:00:1c.0/0000:06:00.0/boot_vga', '1\n')
        self.assertIn('display of the firmware',
                      self.run_tool('assign', '06:00.0', code='refused')[1])
        self.assertFalse((self.root / 'run/iommu-owner/assigned.json').exists())

    def test_rolls_back(self):
        """A device that does not get its driver, and a record that is damaged"""
        self.tree()
        record = self.root / 'run/iommu-owner/assigned.json'
        override = self.sysfs / 'devices/0000:00:1c.0/0000:05:00.0/driver_override'
        self.run_tool('assign', '05:00.0', code='failed')
        # A file does not end where it is written to, as one of sysfs does
        self.assertTrue(override.read_text(encoding='utf-8').startswith('\n'))
        self.assertEqual({'devices': {}}, json.loads(record.read_text(encoding='utf-8')))
        # What was bound to another device at that address is nothing to restore
        record.write_text('{"devices": {"0000:05:00.0": {"id": "0x1:0x2", "driver": "x"}}}',
                          encoding='utf-8')
        self.run_tool('restore', '05:00.0', code='missing')
        self.assertEqual({'devices': {}}, json.loads(record.read_text(encoding='utf-8')))
        record.write_text('{', encoding='utf-8')
        self.assertIn('assigned.json is damaged', self.run_tool('assign', '05:00.0', code='failed')[1])
        self.assertIn('is damaged', self.run_tool('restore', '05:00.0', code='failed')[1])

    def test_pasids(self):
        """Only where they are asked for"""
        self.tree()
        self.group(5, 'user', holder='9 vmm qemu', pasids='- 17 vmm 2 allocated\n'
                   'mdev-1 18 vmm 1 free-pending')
        self.assertNotIn('17', self.run_tool('list')[0].split('NAME')[1])
        self.assertIn('-                  5       17  vmm                 2  allocated',
                      self.run_tool('list', '--pasids')[0])
        pasids = self.json('show', '05:00.0', '--pasids')['pasids']
        self.assertEqual([{'device': None, 'pasid': 17, 'owner': 'vmm', 'references': 2,
                           'state': 'allocated'}], pasids[:1])

    def test_schema(self):
        """It describes what each command prints, and nothing else."""
        try:
            import jsonschema
        except ImportError:
            self.skipTest('no python3-jsonschema')
        schema = json.loads((SOURCE / 'iommu-owner.schema.json').read_text(encoding='utf-8'))
        self.usual()
        for words, code in ((('list',), 'ok'), (('list', '--pasids'), 'ok'), (('graph',), 'ok'),
                            (('show', '02:00.0'), 'ok'), (('why', '02:00.0'), 'refused'),
                            (('isolation', '02:00.0'), 'ok'), (('show', 'x'), 'missing')):
            answer = self.json(*words, code=code)
            jsonschema.validate(answer, schema)
            answer['more'] = 1
            with self.assertRaises(jsonschema.ValidationError):
                jsonschema.validate(answer, schema)


if __name__ == '__main__':
    unittest.main()
