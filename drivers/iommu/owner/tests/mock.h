/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A bus without hardware, behind an IOMMU without hardware, for the KUnit tests
 * of the ownership
 *
 * What a device can reach is the domain that the mock IOMMU was last asked to
 * attach to it. Tests look there, not at what the IOMMU core believes.
 */
#ifndef __IOMMU_OWNER_TESTS_MOCK_H
#define __IOMMU_OWNER_TESTS_MOCK_H

#include <kunit/test-bug.h>
#include <kunit/test.h>
#include <linux/completion.h>
#include <linux/device.h>
#include <linux/iommu.h>
#include <linux/platform_device.h>

#include "../claim.h"
#include "../end.h"
#include "../isolation.h"
#include "../quarantine.h"
#include "../quiesce.h"
#include "../report.h"
#include "../sysfs.h"
#include "../watch.h"

/* One letter per kind of domain; MOCK_NOTHING for a device without any. */
#define MOCK_DEFAULT	'I'
#define MOCK_BLOCKED	'B'
#define MOCK_PAGING	'U'
#define MOCK_NOTHING	'-'
#define MOCK_ANY	'*'	/* for mock_fail_attach() */

#define MOCK_PASIDS	8
#define MOCK_HISTORY	48

struct mock_domain;

/**
 * struct mock_device - A device of the mock bus
 * @dev: The device.
 * @list: Entry in &struct mock.devices.
 * @group: The group that the device joins, with a reference. Filled in with a
 *	new one when the device is added, if it is NULL.
 * @added: The device is on the bus.
 * @match: Drivers are tried when the device or a driver is added, and by
 *	device_attach(). Otherwise only mock_bind() binds.
 * @matched: How often a driver was tried.
 * @reach: The domain that the device reaches.
 * @pasid: The domains that the PASIDs of the device reach.
 * @pasid_changes: How often one of them was changed.
 * @pasids_left: PASIDs that the core had not detached when the device was released.
 * @history: All domains that have been attached, in order, by letter.
 * @length: Of @history.
 * @direct: The device has a direct-mapped reserved region.
 * @incoherent: The IOMMU cannot make the DMA of the device coherent.
 * @no_memory: So many times there is no memory when the device joins its group.
 * @address: What stays the same when the device is removed and found again; 0 for a
 *	device that has none.
 * @bus_bits: What its interrupts and its bus hold; all there is at first.
 * @bits_asked: How often the core wanted to know.
 * @fail_letter: Attaches of this kind of domain fail with -EIO ...
 * @fail_after: ... after so many that work ...
 * @fail_count: ... so many times.
 * @fail_error: ... or with this, if it is not 0.
 * @quiesced: How often the device was quiesced, or was not for @quiesce_error.
 * @quiesce_locked: The caller said then that it has the lock of the device.
 * @quiesce_error: What comes of quiesce it ...
 * @quiesce_errors: ... so many times.
 * @on_quiesce: Called while it is quiesced. Optional.
 * @data: For @on_quiesce.
 */
struct mock_device {
	struct device dev;
	struct list_head list;
	struct iommu_group *group;
	bool added;
	bool match;
	atomic_t matched;
	struct mock_domain *reach;
	struct mock_domain *pasid[MOCK_PASIDS];
	unsigned int pasid_changes;
	unsigned int pasids_left;
	char history[MOCK_HISTORY];
	unsigned int length;
	bool direct;
	bool incoherent;
	unsigned int no_memory;
	unsigned long address;
	u32 bus_bits;
	unsigned int bits_asked;
	char fail_letter;
	unsigned int fail_after;
	unsigned int fail_count;
	int fail_error;
	unsigned int quiesced;
	bool quiesce_locked;
	int quiesce_error;
	unsigned int quiesce_errors;
	void (*on_quiesce)(struct mock_device *mdev);
	void *data;
};

#define to_mock_device(_dev) container_of(_dev, struct mock_device, dev)

/**
 * struct mock_driver - A driver of the mock bus
 * @pdrv: The driver. The mock bus asks the platform bus to configure the DMA.
 * @list: Entry in &struct mock.drivers.
 * @probes: Number of times that it was probed.
 * @probe: Optional.
 * @remove: Optional.
 * @data: For @probe and @remove.
 */
struct mock_driver {
	struct platform_driver pdrv;
	struct list_head list;
	unsigned int probes;
	int (*probe)(struct mock_driver *mdrv, struct mock_device *mdev);
	void (*remove)(struct mock_driver *mdrv, struct mock_device *mdev);
	void *data;
};

/**
 * struct mock_owner - An owner and what becomes of it
 * @owner: The owner; mock_exit() drops the last reference.
 * @list: Entry in &struct mock.owners.
 * @put: The reference of the test is gone.
 */
struct mock_owner {
	struct iommu_owner *owner;
	struct list_head list;
	bool put;
};

/**
 * struct mock_thread - A task beside the test, and of it
 * @test: The test.
 * @fn: What the task does.
 * @arg: For @fn.
 * @task: The task; valid until it is done.
 * @done: It has done it.
 */
struct mock_thread {
	struct kunit *test;
	void (*fn)(void *arg);
	void *arg;
	struct task_struct *task;
	struct completion done;
};

/* All that a test has made; in &struct kunit.priv, undone by mock_exit(). */
struct mock {
	struct list_head devices;
	struct list_head drivers;
	struct list_head owners;
	struct list_head domains;
	bool tainted;
};

/* For struct kunit_suite */
int mock_suite_init(struct kunit_suite *suite);
void mock_suite_exit(struct kunit_suite *suite);
int mock_init(struct kunit *test);
void mock_exit(struct kunit *test);

struct mock_device *mock_device_alloc(struct kunit *test,
				      struct iommu_group *group,
				      unsigned int pasid_bits);
int mock_device_add(struct mock_device *mdev);
int mock_device_find_iommu(struct mock_device *mdev);
void mock_device_del(struct mock_device *mdev);
struct mock_device *mock_device(struct kunit *test, struct iommu_group *group);
struct mock_device *mock_pasid_device(struct kunit *test,
				      struct iommu_group *group);

struct mock_driver *mock_driver(struct kunit *test, const char *name,
				bool managed_dma);
void mock_attach_own_domain(struct kunit *test, struct mock_driver *mdrv,
			    struct mock_device *mdev);
int mock_bind(struct mock_driver *mdrv, struct mock_device *mdev);
void mock_unbind(struct mock_device *mdev);
bool mock_bound(struct mock_driver *mdrv, struct mock_device *mdev);
bool mock_becomes_bound(struct mock_driver *mdrv, struct mock_device *mdev);

struct mock_owner *mock_owner(struct kunit *test, const char *name);
void mock_owner_put(struct mock_owner *mowner);
void mock_let_retry(struct kunit *test);
bool mock_group_is_locked(struct iommu_group *group);
bool mock_released(struct mock_owner *mowner);

struct iommu_domain *mock_paging_domain(struct kunit *test,
					struct mock_device *mdev);

char mock_reach(struct mock_device *mdev);
char mock_pasid_reach(struct mock_device *mdev, ioasid_t pasid);
bool mock_reaches(struct mock_device *mdev, struct iommu_domain *domain);
bool mock_pasid_reaches(struct mock_device *mdev, ioasid_t pasid,
			struct iommu_domain *domain);
int mock_dma(struct mock_device *mdev, dma_addr_t iova, phys_addr_t *phys,
	     int *prot);
void mock_fail_attach(struct mock_device *mdev, char letter,
		      unsigned int count);
void mock_fail_attach_after(struct mock_device *mdev, char letter,
			    unsigned int after, unsigned int count);
void mock_fail_alloc(const char *letters);
void mock_fail_quiesce(struct mock_device *mdev, int error, unsigned int count);
unsigned int mock_live_domains(void);
void mock_give_address(struct mock_device *mdev);
struct mock_device *mock_device_again(struct kunit *test,
				      const struct mock_device *removed,
				      struct iommu_group *group);

struct mock_thread *mock_thread(struct kunit *test, void (*fn)(void *arg),
				void *arg);
bool mock_thread_done(struct mock_thread *thread);
void mock_thread_join(struct mock_thread *thread);
void mock_dawdle(void);

void mock_listen(struct kunit *test, const char *part);
unsigned int mock_heard(void);
void mock_default_type(unsigned int type);
bool mock_translates(void);
#define MOCK_NO_TRANSLATION	"no default domain translates here"

ssize_t mock_read_attribute(struct kunit *test, struct iommu_group *group,
			    const char *dir, const char *name, umode_t *mode,
			    char *buf);
ssize_t mock_write_attribute(struct kunit *test, struct iommu_group *group,
			     const char *dir, const char *name,
			     const char *text);
ssize_t mock_set_trust(struct kunit *test, struct mock_device *mdev,
		       const char *trust);
void mock_trace(struct kunit *test, const char *name, void *probe, void *data);

void mock_set_parameter(struct kunit *test, const char *name,
			const char *value);

enum iommu_owner_state mock_state(struct iommu_group *group);
bool mock_viable(struct iommu_group *group);
unsigned int mock_claims(struct iommu_group *group);
const char *mock_quarantine(struct iommu_group *group);
u64 mock_generation(struct iommu_group *group);

#endif /* __IOMMU_OWNER_TESTS_MOCK_H */
