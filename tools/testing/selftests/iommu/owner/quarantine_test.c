// SPDX-License-Identifier: GPL-2.0
/*
 * What becomes of a device that user space had: it is quiesced and goes back to
 * the kernel, or, if that fails, nobody gets it
 *
 * A reset that fails is made by fail_function in debugfs, see
 * Documentation/fault-injection/fault-injection.rst.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>

#include <linux/pci_regs.h>

#include "owner_test.h"
#include "owner_token.h"

#define PCI		"/sys/bus/pci"
#define GROUPS		"/sys/kernel/iommu_groups"
#define NOBODY		65534

#define NO_OWNER_FILES	"no owner directory of the group"
#define NO_RESET_CARD	"no e1000e with a reset, alone in its IOMMU group"

FIXTURE(quarantine) {
	struct pdev edu;
	struct pdev nic;
	struct vfio vfio;
	struct vfio other;
	struct holder holder;
	unsigned char *canary;
	int token;
	int klog;
};

FIXTURE_VARIANT(quarantine) {
	enum vfio_path path;
};

FIXTURE_VARIANT_ADD(quarantine, container) { .path = PATH_CONTAINER };
FIXTURE_VARIANT_ADD(quarantine, compat) { .path = PATH_COMPAT };
FIXTURE_VARIANT_ADD(quarantine, cdev) { .path = PATH_CDEV };

FIXTURE_SETUP(quarantine)
{
	load_modules();
	/* The device is programmed past its owner */
	gate_set("off");
	self->vfio = (struct vfio){ .container = -1, .group = -1, .device = -1 };
	self->other = self->vfio;
	self->token = -1;
	self->nic.group = -1;
	if (!find_edu(&self->edu))
		SKIP(return, NO_EDU);
	if (!exists(GROUPS "/%d/owner", self->edu.group))
		SKIP(return, NO_OWNER_FILES);
	driver_clear(&self->edu);
	/* So that a device that gets the default domain hits the canary */
	ASSERT_EQ(0, put("identity", GROUPS "/%d/type", self->edu.group));
	self->canary = page_alloc(CANARY);
	ASSERT_NE(NULL, self->canary);
	self->klog = klog_open();
	ASSERT_LE(0, self->klog);
}

FIXTURE_TEARDOWN(quarantine)
{
	let_reset();
	vfio_close(&self->vfio);
	vfio_close(&self->other);
	holder_end(&self->holder, HOLDER_KILL);
	if (self->token >= 0)
		close(self->token);
	clear_quarantine(self->edu.group);
	driver_clear(&self->edu);
	put("DMA", GROUPS "/%d/type", self->edu.group);
	if (self->nic.group >= 0) {
		put("default", PCI "/devices/%s/reset_method", self->nic.bdf);
		driver_clear(&self->nic);
		put(self->nic.bdf, PCI "/drivers_probe");
	}
	close(self->klog);
	gate_set("enforce");
}

/* A register of the config space; 0 if it cannot be read */
static __u32 config_of(const struct pdev *pdev, unsigned int offset)
{
	__u32 value;

	dev_config(pdev, offset, &value);
	return value;
}

/* Is bus mastering of the device on? */
static bool masters(const struct pdev *pdev)
{
	return config_of(pdev, PCI_COMMAND) & PCI_COMMAND_MASTER;
}

static int let_master(struct vfio *vfio)
{
	__u16 command = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;

	if (pwrite(vfio->device, &command, sizeof(command),
		   PCI_CONFIG + PCI_COMMAND) != sizeof(command))
		return -errno;
	return 0;
}

static void own_it(struct __test_metadata *_metadata, struct vfio *vfio,
		   enum vfio_path path, const struct pdev *pdev)
{
	ASSERT_EQ(0, driver_bind(pdev, USER_DRIVER));
	ASSERT_EQ(0, vfio_start(vfio, path, pdev));
	ASSERT_EQ(0, let_master(vfio));
	ASSERT_TRUE(masters(pdev));
	ASSERT_TRUE(state_is(pdev->group, "user"));
}

/* Let the device write at the physical address of the canary. */
static bool writes_canary(struct _test_data_quarantine *self)
{
	void *bar = edu_open_sysfs(&self->edu);
	int ret;

	if (!bar)
		return false;
	memset(self->canary, CANARY, EDU_LEN);
	ret = edu_write_ram(bar, page_physical(self->canary));
	edu_close(bar);
	return !ret && !page_is(self->canary, CANARY);
}

static bool why_is(int group, const char *why)
{
	char buf[128];

	return !owner_get(group, "quarantine", buf, sizeof(buf)) &&
	       !strcmp(buf, why);
}

/* The edu device has no reset: to stop its bus mastering is all there is. */
TEST_F(quarantine, device_without_reset_goes_back)
{
	char why[128];

	ASSERT_FALSE(exists(PCI "/devices/%s/reset_method", self->edu.bdf));
	own_it(_metadata, &self->vfio, variant->path, &self->edu);
	vfio_close(&self->vfio);
	EXPECT_TRUE(state_is(self->edu.group, "kernel"));
	EXPECT_FALSE(masters(&self->edu));
	ASSERT_EQ(0, owner_get(self->edu.group, "quarantine", why,
			       sizeof(why)));
	EXPECT_STREQ("", why);
	EXPECT_EQ(0, driver_bind(&self->edu, KERNEL_DRIVER));
}

static bool find_reset_card(struct pdev *nic)
{
	struct dirent *entry;
	char id[16];
	bool found = false;
	DIR *dir;

	dir = opendir(PCI "/devices");
	if (!dir)
		return false;
	while (!found && (entry = readdir(dir))) {
		if (get(id, sizeof(id), PCI "/devices/%s/device",
			entry->d_name) || strncmp(id, "0x10d3", 6) ||
		    !exists(PCI "/devices/%s/reset_method", entry->d_name))
			continue;
		snprintf(nic->bdf, sizeof(nic->bdf), "%.15s", entry->d_name);
		nic->group = dev_group(nic->bdf);
		found = nic->group >= 0;
	}
	closedir(dir);
	return found;
}

/* The administrator has taken the reset of a card away. */
TEST_F(quarantine, forbidden_reset_goes_back)
{
	char methods[64];

	if (!find_reset_card(&self->nic))
		SKIP(return, NO_RESET_CARD);
	ASSERT_EQ(0, put("\n", PCI "/devices/%s/reset_method", self->nic.bdf));
	ASSERT_EQ(0, get(methods, sizeof(methods),
			 PCI "/devices/%s/reset_method", self->nic.bdf));
	ASSERT_EQ(0, strspn(methods, "abcdefghijklmnopqrstuvwxyz"));
	own_it(_metadata, &self->vfio, variant->path, &self->nic);
	vfio_close(&self->vfio);
	EXPECT_TRUE(state_is(self->nic.group, "kernel"));
	EXPECT_FALSE(masters(&self->nic));
	EXPECT_EQ(0, driver_bind(&self->nic, KERNEL_DRIVER));
}

/* Numbers of the buses that the bridge above @pdev leads to */
static int bridge_buses(const struct pdev *pdev, __u8 buses[2], bool set)
{
	char path[PATH_MAX], real[PATH_MAX];
	ssize_t ret;
	int fd;

	snprintf(path, sizeof(path), PCI "/devices/%s/..", pdev->bdf);
	if (!realpath(path, real))
		return -errno;
	snprintf(path, sizeof(path), "%.*s/config", PATH_MAX - 8, real);
	fd = open(path, O_RDWR);
	if (fd < 0)
		return -errno;
	ret = set ? pwrite(fd, buses, 2, PCI_SECONDARY_BUS) :
		    pread(fd, buses, 2, PCI_SECONDARY_BUS);
	close(fd);
	return ret == 2 ? 0 : -EIO;
}

/*
 * Nothing leads to the device when its ownership ends, so that nobody knows what
 * it does. When it answers again, it is quiesced.
 */
TEST_F(quarantine, device_that_does_not_answer)
{
	__u8 buses[2], none[2] = {};
	struct pdev edu, nic;
	__u32 bar;

	if (!find_shared(&edu, &nic))
		SKIP(return, NO_SHARED);
	driver_clear(&edu);
	driver_clear(&nic);
	bar = config_of(&edu, PCI_BASE_ADDRESS_0);
	ASSERT_NE(0, bar);
	ASSERT_EQ(0, bridge_buses(&edu, buses, false));
	own_it(_metadata, &self->vfio, variant->path, &edu);
	ASSERT_EQ(0, bridge_buses(&edu, none, true));
	vfio_close(&self->vfio);
	EXPECT_TRUE(state_is(edu.group, "quarantine"));
	EXPECT_TRUE(why_is(edu.group, "a device does not answer"));
	EXPECT_EQ(-EBUSY, driver_bind(&nic, NIC_DRIVER));

	/* It is asked again by and by: from here on it may be quiesced */
	EXPECT_EQ(0, bridge_buses(&edu, buses, true));
	EXPECT_TRUE(state_becomes(edu.group, "kernel"));
	EXPECT_FALSE(masters(&edu));
	/* Nobody has saved what it read as in between */
	EXPECT_EQ(bar, config_of(&edu, PCI_BASE_ADDRESS_0));
	clear_quarantine(edu.group);
	driver_clear(&edu);
	driver_clear(&nic);
}

/* The reset of a device that does not answer loses what is in its BARs. */
static void bars(const struct pdev *pdev, __u32 *saved, bool write)
{
	for (int i = 0; i < 6; i++) {
		unsigned int offset = PCI_BASE_ADDRESS_0 + 4 * i;

		if (write)
			dev_config_write(pdev, offset, &saved[i], 4);
		else
			saved[i] = config_of(pdev, offset);
	}
}

/*
 * The same where the driver resets the whole bus when it closes its last device there, and
 * the reset reports success.
 */
TEST_F(quarantine, bus_that_does_not_answer)
{
	__u32 edu_bars[6], nic_bars[6];
	__u8 buses[2], none[2] = {};
	struct pdev edu, nic;

	if (!find_shared(&edu, &nic))
		SKIP(return, NO_SHARED);
	driver_clear(&edu);
	driver_clear(&nic);
	bars(&edu, edu_bars, false);
	bars(&nic, nic_bars, false);
	ASSERT_EQ(0, bridge_buses(&edu, buses, false));
	ASSERT_EQ(0, driver_bind(&nic, USER_DRIVER));
	own_it(_metadata, &self->vfio, variant->path, &edu);
	ASSERT_EQ(0, bridge_buses(&edu, none, true));
	vfio_close(&self->vfio);
	EXPECT_TRUE(state_is(edu.group, "quarantine"));
	EXPECT_TRUE(why_is(edu.group, "a device does not answer"));

	EXPECT_EQ(0, bridge_buses(&edu, buses, true));
	EXPECT_TRUE(state_becomes(edu.group, "kernel"));
	EXPECT_FALSE(masters(&edu));
	clear_quarantine(edu.group);
	driver_clear(&edu);
	driver_clear(&nic);
	bars(&edu, edu_bars, true);
	bars(&nic, nic_bars, true);
}

static int clear_as_nobody(int group)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		if (setresgid(NOBODY, NOBODY, NOBODY) ||
		    setresuid(NOBODY, NOBODY, NOBODY))
			_exit(0);
		_exit(-clear_quarantine(group));
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -EINTR;
}

/* Nobody gets the group but by the word of the administrator. */
TEST_F(quarantine, failed_reset_is_final)
{
	int group = self->edu.group;

	own_it(_metadata, &self->vfio, variant->path, &self->edu);
	if (fail_reset(EIO))
		SKIP(return, NO_FAIL);
	vfio_close(&self->vfio);
	EXPECT_TRUE(state_is(group, "quarantine"));
	EXPECT_TRUE(why_is(group, "a device cannot be quiesced"));
	EXPECT_TRUE(klog_find(self->klog, "quarantined: a device cannot be quiesced"));
	EXPECT_FALSE(masters(&self->edu));
	let_reset();

	EXPECT_FALSE(writes_canary(self));
	EXPECT_NE(0, vfio_start(&self->other, variant->path, &self->edu));
	if (!access(TOKEN_DEVICE, F_OK)) {
		self->token = token_create("next", ALL_RIGHTS);
		ASSERT_LE(0, self->token);
		EXPECT_EQ(-EBUSY, token_reserve(self->token, group));
	}
	EXPECT_EQ(-EBUSY, driver_bind(&self->edu, KERNEL_DRIVER));
	EXPECT_TRUE(klog_find(self->klog, self->edu.bdf, "refused",
			      "quarantine"));
	EXPECT_TRUE(state_is(group, "quarantine"));

	EXPECT_EQ(-EACCES, clear_as_nobody(group));
	EXPECT_EQ(-EINVAL, put("1", GROUPS "/%d/owner/quarantine", group));
	EXPECT_TRUE(state_is(group, "quarantine"));
	ASSERT_EQ(0, clear_quarantine(group));
	EXPECT_TRUE(state_is(group, "kernel"));
	EXPECT_TRUE(why_is(group, ""));
	EXPECT_EQ(-EINVAL, clear_quarantine(group));
	EXPECT_TRUE(writes_canary(self)) TH_LOG("the canary proves nothing");
	EXPECT_EQ(0, driver_bind(&self->edu, KERNEL_DRIVER));
	ASSERT_EQ(0, driver_bind(&self->edu, USER_DRIVER));
	EXPECT_EQ(0, vfio_start(&self->other, variant->path, &self->edu));
}

/* Another task has the device: that is over sooner or later. */
TEST_F(quarantine, reset_that_has_to_wait)
{
	int group = self->edu.group;

	own_it(_metadata, &self->vfio, variant->path, &self->edu);
	if (fail_reset(EAGAIN))
		SKIP(return, NO_FAIL);
	vfio_close(&self->vfio);
	EXPECT_TRUE(state_is(group, "quarantine"));
	EXPECT_TRUE(why_is(group, "a reset has to wait for another task"));
	EXPECT_NE(0, vfio_start(&self->other, variant->path, &self->edu));
	EXPECT_EQ(-EBUSY, driver_bind(&self->edu, KERNEL_DRIVER));
	EXPECT_TRUE(state_is(group, "quarantine"));

	let_reset();
	EXPECT_EQ(0, driver_bind(&self->edu, KERNEL_DRIVER));
	EXPECT_TRUE(state_is(group, "kernel"));
}

/* As libvirt resets a device that no driver has: D3 and back, by its config file */
static int power_cycle(const struct pdev *pdev)
{
	__u8 config[64], pm[2], at;
	char path[PATH_MAX];
	__u16 state[2];
	int fd, ret = -EIO;

	snprintf(path, sizeof(path), PCI "/devices/%s/config", pdev->bdf);
	fd = open(path, O_RDWR);
	if (fd < 0)
		return -errno;
	if (pread(fd, config, sizeof(config), 0) != sizeof(config))
		goto out;
	at = config[PCI_CAPABILITY_LIST];
	while (at && pread(fd, pm, 2, at) == 2 && pm[0] != PCI_CAP_ID_PM)
		at = pm[1];
	if (!at || pread(fd, &state[0], 2, at + PCI_PM_CTRL) != 2)
		goto out;
	state[1] = state[0] & ~PCI_PM_CTRL_STATE_MASK;
	state[0] |= PCI_PM_CTRL_STATE_MASK;
	for (unsigned int i = 0; i < 2; i++) {
		errno = EIO;
		if (pwrite(fd, &state[i], 2, at + PCI_PM_CTRL) != 2) {
			ret = -errno;
			goto out;
		}
		nap(10);
	}
	ret = pwrite(fd, config, sizeof(config), 0) == sizeof(config) ? 0 : -EIO;
out:
	close(fd);
	return ret;
}

/*
 * The task that unbinds the driver has the lock of the device while the program
 * closes it, so that the reset has to wait. That is over when the unbind is.
 */
TEST_F(quarantine, unbind_of_an_open_device)
{
	char path[PATH_MAX];
	pid_t pid;

	if (!find_reset_card(&self->nic))
		SKIP(return, NO_RESET_CARD);
	gate_set("enforce");
	snprintf(path, sizeof(path), PCI "/drivers/" USER_DRIVER "/unbind");
	for (unsigned int round = 0; round < 8; round++) {
		ASSERT_EQ(0, driver_bind(&self->nic, USER_DRIVER));
		ASSERT_EQ(0, holder_start(&self->holder, variant->path,
					  &self->nic));
		pid = put_async(self->nic.bdf, path);
		ASSERT_LT(0, pid);
		ASSERT_TRUE(holder_requested(&self->holder, WAIT_MS));
		ASSERT_EQ(0, holder_end(&self->holder, HOLDER_CLOSE));
		ASSERT_TRUE(exited(pid, WAIT_MS));
		waitpid(pid, NULL, 0);

		switch (round % 4) {
		case 0:
			EXPECT_EQ(0, put("1", PCI "/devices/%s/reset",
					 self->nic.bdf));
			break;
		case 1:
			EXPECT_EQ(0, power_cycle(&self->nic));
			break;
		case 2:
			EXPECT_EQ(0, driver_bind(&self->nic, KERNEL_DRIVER));
			break;
		default:
			/* Nobody asks */
			EXPECT_TRUE(state_becomes(self->nic.group, "kernel"));
		}
		EXPECT_TRUE(state_is(self->nic.group, "kernel"));
	}
}

TEST_F(quarantine, revoke_with_failed_reset)
{
	struct iommu_owner_event event[16];
	unsigned int ended = 0;
	ssize_t len;

	if (access(TOKEN_DEVICE, F_OK))
		SKIP(return, NO_TOKENS);
	own_it(_metadata, &self->vfio, variant->path, &self->edu);
	self->token = token_of(vfio_owner_file(&self->vfio), FILE_RIGHTS);
	ASSERT_LE(0, self->token);
	if (fail_reset(EIO))
		SKIP(return, NO_FAIL);
	EXPECT_EQ(0, token_revoke(self->token));
	EXPECT_TRUE(state_is(self->edu.group, "quarantine"));
	let_reset();
	EXPECT_FALSE(writes_canary(self));

	len = read(self->token, event, sizeof(event));
	ASSERT_LT(0, len);
	for (size_t i = 0; i < len / sizeof(*event); i++)
		ended += event[i].type == IOMMU_OWNER_EVENT_ENDED;
	EXPECT_EQ(1, ended);

	vfio_close(&self->vfio);
	EXPECT_TRUE(state_is(self->edu.group, "quarantine"));
	ASSERT_EQ(0, clear_quarantine(self->edu.group));
	EXPECT_EQ(0, driver_bind(&self->edu, KERNEL_DRIVER));
}

TEST_HARNESS_MAIN
