// SPDX-License-Identifier: GPL-2.0
/*
 * Each operation of a token, and each step of a claim through VFIO and KVM,
 * fails at its first allocation or copy, at its second, ... until it succeeds.
 * After a failure nothing has changed, and nothing is left in memory.
 *
 * Needs fault injection; with kmemleak (kmemleak=on) also leaks are looked for.
 *
 * To enable a PCI device is hundreds of places, nearly all of them in ACPI. From
 * the hundredth on only some are tried, unless IOMMU_OWNER_FAULTS is set in the
 * environment.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <sys/mman.h>

#include <linux/iommufd.h>
#include <linux/vfio.h>

#include "owner_kvm.h"
#include "owner_test.h"
#include "owner_token.h"

#define DEBUG		"/sys/kernel/debug"
#define PCI		"/sys/bus/pci"
#define KMEMLEAK	DEBUG "/kmemleak"
#define NO_FAULTS	"no fault injection"
#define NO_KMEMLEAK	"kmemleak is not there, or off"
#define MAX_NTH		10000
#define MANY		100

/* What an operation can see and change */
struct state {
	unsigned int files;
	int next_file;		/* the lowest number that is not used */
	char state[2][16];
	char holder[2][128];
	__u64 generation[2];
	struct iommu_owner_get_info info;
	struct iommu_owner_group_info groups[2];
};

struct objects {
	struct pdev edu;	/* alone, but for the fixture join */
	struct pdev mate;	/* an edu of the group of two devices */
	struct vfio vfio;
	int token;
	int from;		/* the file whose token is wanted */
	struct vm vm;
	int got;		/* the file that the operation gave */
	char path[64];		/* of the file that it opens */
};

static void close_objects(struct objects *o)
{
	close_fd(&o->got);
	vfio_close(&o->vfio);
	vm_close(&o->vm);
	close_fd(&o->token);
}

static int give(struct objects *o, int fd)
{
	o->got = fd;
	return fd < 0 ? fd : 0;
}

/* Before the operation */

static int set_up_device(struct objects *o)
{
	o->from = open(TOKEN_DEVICE, O_RDWR | O_CLOEXEC);
	/* It goes with the other files of the operation */
	o->vm.fd = o->from;
	return o->from < 0 ? -errno : 0;
}

static int set_up_token(struct objects *o)
{
	o->token = token_create("fail-nth", ALL_RIGHTS);
	return o->token < 0 ? o->token : 0;
}

static int reserve_two(struct objects *o)
{
	__u32 groups[] = { o->edu.group, o->mate.group };

	return token_reserve_groups(o->token, groups, 2, NULL);
}

static int set_up_reserved(struct objects *o)
{
	int ret = set_up_token(o);

	return ret ? ret : reserve_two(o);
}

static int set_up_group(struct objects *o)
{
	int ret = vfio_open(&o->vfio, PATH_CONTAINER, &o->edu);

	o->from = o->vfio.group;
	return ret;
}

static int set_up_claimed(struct objects *o)
{
	int ret = set_up_group(o);

	return ret ? ret : vfio_claim(&o->vfio, &o->edu);
}

static int set_iommu(struct objects *o)
{
	return call(o->vfio.container, VFIO_SET_IOMMU,
		    (void *)VFIO_TYPE1v2_IOMMU);
}

static int set_up_type1(struct objects *o)
{
	int ret = set_up_claimed(o);

	return ret ? ret : set_iommu(o);
}

static int set_up_compat(struct objects *o)
{
	return vfio_open(&o->vfio, PATH_COMPAT, &o->edu);
}

static int set_container(struct objects *o)
{
	return call(o->vfio.group, VFIO_GROUP_SET_CONTAINER,
		    &o->vfio.container);
}

static int set_up_compat_ioas(struct objects *o)
{
	int ret = set_up_compat(o);

	if (!ret)
		ret = set_container(o);
	return ret ? ret : set_iommu(o);
}

static int set_up_cdev(struct objects *o)
{
	int ret = vfio_open(&o->vfio, PATH_CDEV, &o->edu);

	o->from = o->vfio.device;
	return ret;
}

/* Nothing but the operation itself is to fail, so find the file before. */
static int set_up_cdev_path(struct objects *o)
{
	char link[64];
	ssize_t len;
	int ret = set_up_cdev(o);

	if (ret)
		return ret;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", o->vfio.device);
	len = readlink(link, o->path, sizeof(o->path) - 1);
	vfio_close(&o->vfio);
	return len < 0 ? -errno : 0;
}

static int set_up_group_path(struct objects *o)
{
	snprintf(o->path, sizeof(o->path), "/dev/vfio/%d", o->edu.group);
	return 0;
}

static int set_up_token_path(struct objects *o)
{
	snprintf(o->path, sizeof(o->path), "%s", TOKEN_DEVICE);
	return 0;
}

static int set_up_bound(struct objects *o)
{
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };
	int ret = set_up_cdev(o);

	if (!ret)
		ret = vfio_claim(&o->vfio, &o->edu);
	if (!ret)
		ret = call(o->vfio.container, IOMMU_IOAS_ALLOC, &alloc);
	o->vfio.ioas = alloc.out_ioas_id;
	return ret;
}

static int set_up_iommufd(struct objects *o)
{
	int ret = set_up_cdev(o);

	o->from = o->vfio.container;
	return ret;
}

static int set_up_attached(struct objects *o)
{
	int ret = vfio_start(&o->vfio, PATH_CDEV, &o->edu);

	o->from = o->vfio.device;
	if (!ret)
		o->token = token_of(vfio_owner_file(&o->vfio), FILE_RIGHTS);
	return ret ? ret : o->token < 0 ? o->token : 0;
}

static int set_up_use_group(struct objects *o)
{
	int ret = set_up_token(o);

	return ret ? ret : set_up_group(o);
}

static int set_up_use_cdev(struct objects *o)
{
	int ret = set_up_token(o);

	return ret ? ret : set_up_cdev(o);
}

static int set_up_vm(struct objects *o)
{
	return vm_open(&o->vm);
}

static int add_to_vm(struct objects *o)
{
	return vm_add(&o->vm, o->from);
}

static int del_from_vm(struct objects *o)
{
	return vm_del(&o->vm, o->from);
}

static int set_up_vm_file(struct objects *o)
{
	int ret = set_up_vm(o);

	return ret ? ret : set_up_claimed(o);
}

static int set_up_vm_token(struct objects *o)
{
	int ret = set_up_vm(o);

	if (!ret)
		ret = set_up_token(o);
	o->from = o->token;
	return ret;
}

static int set_up_vm_file_added(struct objects *o)
{
	int ret = set_up_vm_file(o);

	return ret ? ret : add_to_vm(o);
}

static int set_up_vm_token_added(struct objects *o)
{
	int ret = set_up_vm_token(o);

	return ret ? ret : add_to_vm(o);
}

/* The operations */

static int do_open(struct objects *o)
{
	int fd = open(o->path, O_RDWR | O_CLOEXEC);

	return give(o, fd < 0 ? -errno : fd);
}

static int do_create(struct objects *o)
{
	struct iommu_owner_create cmd = {
		.size = sizeof(cmd), .rights = ALL_RIGHTS, .name = "fail-nth",
	};
	int ret = call(o->from, IOMMU_OWNER_CREATE, &cmd);

	return ret ? ret : give(o, cmd.out_fd);
}

static int do_query(struct objects *o)
{
	struct iommu_owner_query cmd = { .size = sizeof(cmd) };

	return call(o->from, IOMMU_OWNER_QUERY, &cmd);
}

static int do_get_token(struct objects *o)
{
	return give(o, token_of(o->from, IOMMU_OWNER_RIGHT_INSPECT));
}

static int do_dup(struct objects *o)
{
	return give(o, token_dup(o->token, ALL_RIGHTS));
}

static int do_info(struct objects *o)
{
	struct iommu_owner_device_info devices[8];
	struct iommu_owner_group_info groups[4];
	struct iommu_owner_get_info cmd = {
		.size = sizeof(cmd),
		.nr_groups = 4, .groups = (uintptr_t)groups,
		.group_size = sizeof(groups[0]),
		.nr_devices = 8, .devices = (uintptr_t)devices,
		.device_size = sizeof(devices[0]),
	};

	return call(o->token, IOMMU_OWNER_GET_INFO, &cmd);
}

static int do_check(struct objects *o)
{
	__u32 groups[] = { o->edu.group, o->mate.group };
	struct iommu_owner_device_info blockers[8];
	__u32 room = 8;

	return token_check(o->token, groups, 2, blockers, &room);
}

static int do_release(struct objects *o)
{
	__u32 groups[] = { o->edu.group, o->mate.group };

	return token_release(o->token, groups, 2);
}

static int do_use(struct objects *o)
{
	return token_use(o->token, o->from);
}

static int do_revoke(struct objects *o)
{
	return token_revoke(o->token);
}

static int do_read(struct objects *o)
{
	struct iommu_owner_event event;

	return read(o->token, &event, sizeof(event)) < 0 ? -errno : 0;
}

static int do_get_device(struct objects *o)
{
	return give(o, call(o->vfio.group, VFIO_GROUP_GET_DEVICE_FD,
			    o->edu.bdf));
}

static int do_bind(struct objects *o)
{
	return vfio_claim(&o->vfio, &o->edu);
}

static int do_attach(struct objects *o)
{
	struct vfio_device_attach_iommufd_pt cmd = {
		.argsz = sizeof(cmd), .pt_id = o->vfio.ioas,
	};

	return call(o->vfio.device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &cmd);
}

FIXTURE(fail_nth) {
	struct objects o;
	int nth;
};

FIXTURE_VARIANT(fail_nth) {
	int (*set_up)(struct objects *o);
	int (*run)(struct objects *o);
	bool vm;
	/* It changes the generation on the way to an error */
	bool moves;
};

FIXTURE_VARIANT_ADD(fail_nth, open) {
	.set_up = set_up_token_path, .run = do_open,
};

FIXTURE_VARIANT_ADD(fail_nth, create) {
	.set_up = set_up_device, .run = do_create,
};

FIXTURE_VARIANT_ADD(fail_nth, query) {
	.set_up = set_up_device, .run = do_query,
};

FIXTURE_VARIANT_ADD(fail_nth, get_token_group) {
	.set_up = set_up_group, .run = do_get_token,
};

FIXTURE_VARIANT_ADD(fail_nth, get_token_iommufd) {
	.set_up = set_up_iommufd, .run = do_get_token,
};

FIXTURE_VARIANT_ADD(fail_nth, get_token_device) {
	.set_up = set_up_attached, .run = do_get_token,
};

FIXTURE_VARIANT_ADD(fail_nth, dup) {
	.set_up = set_up_token, .run = do_dup,
};

FIXTURE_VARIANT_ADD(fail_nth, info) {
	.set_up = set_up_reserved, .run = do_info,
};

FIXTURE_VARIANT_ADD(fail_nth, check) {
	.set_up = set_up_token, .run = do_check,
};

FIXTURE_VARIANT_ADD(fail_nth, reserve) {
	.set_up = set_up_token, .run = reserve_two, .moves = true,
};

FIXTURE_VARIANT_ADD(fail_nth, release) {
	.set_up = set_up_reserved, .run = do_release,
};

FIXTURE_VARIANT_ADD(fail_nth, use_group) {
	.set_up = set_up_use_group, .run = do_use,
};

FIXTURE_VARIANT_ADD(fail_nth, use_cdev) {
	.set_up = set_up_use_cdev, .run = do_use,
};

FIXTURE_VARIANT_ADD(fail_nth, revoke_reserved) {
	.set_up = set_up_reserved, .run = do_revoke,
};

FIXTURE_VARIANT_ADD(fail_nth, revoke_used) {
	.set_up = set_up_attached, .run = do_revoke,
};

FIXTURE_VARIANT_ADD(fail_nth, read) {
	.set_up = set_up_reserved, .run = do_read,
};

FIXTURE_VARIANT_ADD(fail_nth, open_group) {
	.set_up = set_up_group_path, .run = do_open,
};

FIXTURE_VARIANT_ADD(fail_nth, set_container) {
	.set_up = set_up_group, .run = set_container, .moves = true,
};

FIXTURE_VARIANT_ADD(fail_nth, set_iommu) {
	.set_up = set_up_claimed, .run = set_iommu, .moves = true,
};

FIXTURE_VARIANT_ADD(fail_nth, get_device) {
	.set_up = set_up_type1, .run = do_get_device, .moves = true,
};

FIXTURE_VARIANT_ADD(fail_nth, compat_container) {
	.set_up = set_up_compat, .run = set_container,
};

FIXTURE_VARIANT_ADD(fail_nth, compat_get_device) {
	.set_up = set_up_compat_ioas, .run = do_get_device, .moves = true,
};

FIXTURE_VARIANT_ADD(fail_nth, open_cdev) {
	.set_up = set_up_cdev_path, .run = do_open,
};

FIXTURE_VARIANT_ADD(fail_nth, bind) {
	.set_up = set_up_cdev, .run = do_bind, .moves = true,
};

FIXTURE_VARIANT_ADD(fail_nth, attach) {
	.set_up = set_up_bound, .run = do_attach, .moves = true,
};

FIXTURE_VARIANT_ADD(fail_nth, vm_add_file) {
	.set_up = set_up_vm_file, .run = add_to_vm, .vm = true,
};

FIXTURE_VARIANT_ADD(fail_nth, vm_add_token) {
	.set_up = set_up_vm_token, .run = add_to_vm, .vm = true,
};

FIXTURE_VARIANT_ADD(fail_nth, vm_del_file) {
	.set_up = set_up_vm_file_added, .run = del_from_vm, .vm = true,
};

FIXTURE_VARIANT_ADD(fail_nth, vm_del_token) {
	.set_up = set_up_vm_token_added, .run = del_from_vm, .vm = true,
};

static const char *const parts[] = {
	"failslab", "fail_page_alloc", "fail_usercopy",
};

/* Let all allocations and copies fail that this process counts down to */
static bool faults_there(void)
{
	if (put("N", DEBUG "/failslab/ignore-gfp-wait"))
		return false;
	put("N", DEBUG "/fail_page_alloc/ignore-gfp-wait");
	put("0", DEBUG "/fail_page_alloc/min-order");
	for (unsigned int i = 0; i < ARRAY_SIZE(parts); i++)
		put("0", DEBUG "/%s/verbose", parts[i]);
	return true;
}

FIXTURE_SETUP(fail_nth)
{
	struct pdev nic;

	load_modules();
	self->o = (struct objects){
		.vfio = { .container = -1, .group = -1, .device = -1 },
		.token = -1, .from = -1, .got = -1,
		.vm = { .fd = -1, .device = -1 },
	};
	self->nth = open("/proc/self/fail-nth", O_RDWR | O_CLOEXEC);
	if (self->nth < 0 || !faults_there())
		SKIP(return, NO_FAULTS);
	if (access(TOKEN_DEVICE, F_OK))
		SKIP(return, NO_TOKENS);
	if (!find_edu(&self->o.edu))
		SKIP(return, NO_EDU);
	if (!find_shared(&self->o.mate, &nic))
		SKIP(return, NO_SHARED);
	if (variant->vm) {
		load_kvm();
		if (access("/dev/kvm", R_OK | W_OK))
			SKIP(return, NO_KVM);
	}
	driver_clear(&self->o.mate);
	driver_clear(&nic);
	ASSERT_EQ(0, driver_bind(&self->o.edu, USER_DRIVER));
	/* A page fault of the test itself is not to fail */
	mlockall(MCL_CURRENT | MCL_FUTURE);
}

FIXTURE_TEARDOWN(fail_nth)
{
	close_objects(&self->o);
	driver_clear(&self->o.edu);
}

static unsigned int count_files(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int n = 0;

	while (dir && readdir(dir))
		n++;
	if (dir)
		closedir(dir);
	return n;
}

static void read_state(struct state *state, struct objects *o)
{
	int group[] = { o->edu.group, o->mate.group };

	memset(state, 0, sizeof(*state));
	state->files = count_files();
	state->next_file = open("/dev/null", O_RDONLY | O_CLOEXEC);
	close(state->next_file);
	for (unsigned int i = 0; i < 2; i++) {
		owner_get(group[i], "state", state->state[i],
			  sizeof(state->state[i]));
		owner_get(group[i], "holder", state->holder[i],
			  sizeof(state->holder[i]));
		state->generation[i] = generation(group[i]);
	}
	if (o->token < 0)
		return;
	state->info.size = sizeof(state->info);
	state->info.nr_groups = 2;
	state->info.groups = (uintptr_t)state->groups;
	state->info.group_size = sizeof(state->groups[0]);
	call(o->token, IOMMU_OWNER_GET_INFO, &state->info);
	state->info.groups = 0;
}

/* Events tell of what was undone, too, and move with the generation. */
static void forget_generation(struct state *state)
{
	for (unsigned int i = 0; i < 2; i++) {
		state->generation[i] = 0;
		state->groups[i].generation = 0;
	}
	state->info.out_sequence = 0;
}

static const char *difference(struct state *a, struct state *b, bool moves)
{
	if (moves) {
		forget_generation(a);
		forget_generation(b);
	}
	if (a->files != b->files || a->next_file != b->next_file)
		return "files";
	if (memcmp(a->state, b->state, sizeof(a->state)))
		return "state";
	if (memcmp(a->holder, b->holder, sizeof(a->holder)))
		return "holder";
	if (memcmp(a->generation, b->generation, sizeof(a->generation)))
		return "generation";
	if (memcmp(&a->info, &b->info, sizeof(a->info)))
		return "info of the token";
	if (memcmp(a->groups, b->groups, sizeof(a->groups)))
		return "groups of the token";
	return NULL;
}

/* Run the operation with a failure; false if it had ended before that. */
static bool inject(int nth, unsigned int n, int (*run)(struct objects *o),
		   struct objects *o, int *ret)
{
	char left[16] = "";
	char text[16];
	ssize_t len;

	len = snprintf(text, sizeof(text), "%u", n);
	if (pwrite(nth, text, len, 0) != len)
		return false;
	*ret = run(o);
	/* Even this can be what fails: then it was the next one */
	len = pread(nth, left, sizeof(left) - 1, 0);
	if (len < 0)
		return false;
	if (pwrite(nth, "0", 1, 0) != 1)
		pwrite(nth, "0", 1, 0);
	return atoi(left) == 0;
}

TEST_F_TIMEOUT(fail_nth, fails_cleanly, 600)
{
	unsigned int n, failed = 0, survived = 0, quarantines = 0;
	bool all = getenv("IOMMU_OWNER_FAULTS");
	struct objects *o = &self->o;
	struct state before, after;
	const char *what;
	bool injected;
	int ret = 0;

	ASSERT_EQ(0, variant->set_up(o));
	read_state(&before, o);
	for (n = 1; n < MAX_NTH; n += all || n < MANY ? 1 : n / 16) {
		injected = inject(self->nth, n, variant->run, o, &ret);
		if (!injected)
			break;
		if (ret) {
			failed++;
			read_state(&after, o);
			EXPECT_TRUE(ret == -ENOMEM || ret == -EFAULT)
				TH_LOG("failure %u: %s", n, strerror(-ret));
			what = difference(&before, &after, variant->moves);
			EXPECT_EQ(NULL, what)
				TH_LOG("failure %u (%s) has changed: %s", n,
				       strerror(-ret), what);
			if (!what)
				continue;
		} else {
			survived++;
		}
		close_objects(o);
		/*
		 * A failure at the end of an ownership can leave a quarantine:
		 * the default domain needs memory, and there is nobody who
		 * could be reported.
		 */
		quarantines += !clear_quarantine(o->edu.group);
		quarantines += !clear_quarantine(o->mate.group);
		EXPECT_TRUE(state_is(o->edu.group, "kernel"));
		EXPECT_TRUE(state_is(o->mate.group, "kernel"));
		ASSERT_EQ(0, variant->set_up(o));
		read_state(&before, o);
	}
	EXPECT_EQ(0, ret) TH_LOG("%s", strerror(-ret));
	EXPECT_LT(1, n) TH_LOG("nothing has failed");
	EXPECT_GT(MAX_NTH, n);
	TH_LOG("up to place %u: failed %u, survived %u, quarantines %u", n - 1,
	       failed, survived, quarantines);
	close_objects(o);
	EXPECT_TRUE(state_is(o->edu.group, "kernel"));
	EXPECT_TRUE(state_is(o->mate.group, "kernel"));
}

/*
 * Count only what @function does, and what it calls; all if it is NULL. Return
 * -ENOENT if the kernel does not have it, or no such filter.
 */
static int faults_within(const char *function)
{
	unsigned long long address, first = 0, next = ~0ULL;
	char line[256], name[128];
	FILE *symbols;

	symbols = fopen("/proc/kallsyms", "r");
	if (!symbols)
		return -errno;
	for (unsigned int pass = 0; function && pass < 2; pass++) {
		rewind(symbols);
		while (fgets(line, sizeof(line), symbols)) {
			if (sscanf(line, "%llx %*c %127s", &address, name) != 2)
				continue;
			if (!pass && !strcmp(name, function))
				first = address;
			else if (pass && address > first && address < next)
				next = address;
		}
	}
	fclose(symbols);
	if (function && !first)
		return -ENOENT;
	for (unsigned int i = 0; i < ARRAY_SIZE(parts); i++) {
		snprintf(line, sizeof(line), "0x%llx", first);
		if (put(line, DEBUG "/%s/require-start", parts[i]))
			return -ENOENT;
		snprintf(line, sizeof(line), "0x%llx", next);
		put(line, DEBUG "/%s/require-end", parts[i]);
		put("32", DEBUG "/%s/stacktrace-depth", parts[i]);
	}
	return 0;
}

/*
 * A device comes to a group that has an owner, and there is no memory to make it
 * a member. Without a group no driver may get it.
 */
FIXTURE(join) {
	struct objects o;	/* the mate has the owner, and edu comes */
	int nth;
};

FIXTURE_SETUP(join)
{
	load_modules();
	self->o = (struct objects){
		.vfio = { .container = -1, .group = -1, .device = -1 },
		.edu.group = -1,
	};
	self->nth = open("/proc/self/fail-nth", O_RDWR | O_CLOEXEC);
	if (self->nth < 0 || !faults_there() || faults_within("iommu_probe_device"))
		SKIP(return, NO_FAULTS);
	if (!find_shared(&self->o.mate, &self->o.edu))
		SKIP(return, NO_SHARED);
	driver_clear(&self->o.edu);
	/* A driver that is tried at once would try the group again */
	ASSERT_EQ(0, unload_module(NIC_DRIVER));
	ASSERT_EQ(0, driver_bind(&self->o.mate, USER_DRIVER));
	ASSERT_EQ(0, vfio_start(&self->o.vfio, PATH_CDEV, &self->o.mate));
	mlockall(MCL_CURRENT | MCL_FUTURE);
}

FIXTURE_TEARDOWN(join)
{
	if (self->nth >= 0 && faults_there())
		faults_within(NULL);
	vfio_close(&self->o.vfio);
	if (self->o.edu.group < 0)
		return;
	put("1", PCI "/rescan");
	load_module(NIC_DRIVER);
	driver_clear(&self->o.mate);
	driver_clear(&self->o.edu);
}

static int do_rescan(struct objects *o)
{
	return put("1", PCI "/rescan");
}

static int do_driver_bind(struct objects *o)
{
	return driver_bind(&o->edu, KERNEL_DRIVER);
}

TEST_F_TIMEOUT(join, no_driver_without_a_group, 600)
{
	unsigned int places = 0, missing = 0;
	struct objects *o = &self->o;
	bool found, bound;
	int ret = 0;

	/* One failure when the device is found, another one for its driver */
	for (unsigned int n = 1; n < MAX_NTH; n++) {
		for (unsigned int m = 1; m < MAX_NTH; m++) {
			ASSERT_EQ(0, put("1", PCI "/devices/%s/remove",
					 o->edu.bdf));
			found = inject(self->nth, n, do_rescan, o, &ret);
			ASSERT_TRUE(exists(PCI "/devices/%s", o->edu.bdf));
			bound = inject(self->nth, m, do_driver_bind, o, &ret);
			places += found || bound;
			EXPECT_TRUE(driver_is(&o->edu, NULL))
				TH_LOG("bound, failures %u and %u", n, m);
			if (!bound)
				break;
			missing += dev_group(o->edu.bdf) < 0;
		}
		/* Now there was memory */
		EXPECT_EQ(-EBUSY, ret);
		EXPECT_EQ(o->mate.group, dev_group(o->edu.bdf));
		if (!found)
			break;
	}
	EXPECT_LT(0, places);
	EXPECT_LT(0, missing);
	TH_LOG("%u failures, %u times without a group", places, missing);
}

/* After all of the others: what they have left in memory */

FIXTURE(memory) {};

FIXTURE_SETUP(memory) {}

FIXTURE_TEARDOWN(memory) {}

TEST_F_TIMEOUT(memory, nothing_leaks, 300)
{
	static char report[1 << 16];
	unsigned int leaks = 0;
	char *line, *next;

	/* What is young is not reported; a second look drops what moved */
	nap(6000);
	if (put("scan", KMEMLEAK))
		SKIP(return, NO_KMEMLEAK);
	ASSERT_EQ(0, put("scan", KMEMLEAK));
	ASSERT_EQ(0, get(report, sizeof(report), KMEMLEAK));
	for (line = report; *line; line = next) {
		next = strchrnul(line, '\n');
		if (*next)
			*next++ = '\0';
		leaks += !strncmp(line, "unreferenced object", 19);
		TH_LOG("%s", line);
	}
	EXPECT_EQ(0, leaks);
}

TEST_HARNESS_MAIN
