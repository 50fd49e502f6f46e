/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __IOMMU_OWNER_OWNER_H
#define __IOMMU_OWNER_OWNER_H

#include <linux/iommu-owner.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/refcount.h>
#include <linux/spinlock.h>
#include <linux/wait.h>

#include "../iommu-priv.h"

struct iommu_owner_events;

/**
 * struct iommu_owner - The party that has a group
 * @ref: References: one per holder of a pointer, one per group that is owned.
 * @explicit: Made by user space. Tokens of others cannot reserve a group that
 *	the owner does not have.
 * @reserve_lock: Makes one step of what a token does with reservations. Outside
 *	the mutex of a group.
 * @lock: Protects the fields below. Inside the mutex of a group.
 * @groups: The &struct iommu_ownership of its groups, but those that end.
 * @watches: Who is told of ends, by class.
 * @watched: Number of watches that have ever come.
 * @nr_watches: Number of @watches.
 * @tokens: Number of &struct iommu_owner_token.
 * @reservers: Number of those that have the right to reserve, and are open.
 * @events: Number of events in @ring so far.
 * @ring: What its tokens read; NULL before the first token that may. Also read
 *	without the lock: once set, it stays.
 * @wait: For a watch whose callback runs, and for @ending.
 * @ending: Number of ownerships that have begun to end, but not ended; and one
 *	while the owner is being revoked.
 * @revoked: Nothing can be claimed any more.
 * @name: Name for reports.
 */
struct iommu_owner {
	refcount_t ref;
	bool explicit;
	struct mutex reserve_lock;	/* of tokens */
	spinlock_t lock;
	struct list_head groups;
	struct list_head watches;
	u64 watched;
	unsigned int nr_watches;
	unsigned int tokens;
	unsigned int reservers;
	u64 events;
	struct iommu_owner_events *ring;
	wait_queue_head_t wait;
	unsigned int ending;
	bool revoked;
	char name[];
};

/* core.c */
enum iommu_owner_state iommu_owner_group_state(struct iommu_group *group);
const char *iommu_owner_group_holder(struct iommu_group *group);
struct group_device *iommu_owner_find_device(struct iommu_group *group,
					     struct device *dev);
int iommu_owner_reserve(struct iommu_owner *owner, struct iommu_group *group,
			bool may_take);
const struct device_driver *
iommu_owner_blocking_driver(struct iommu_group *group,
			    struct group_device *gdev);

/* isolation.c */
#define IOMMU_OWNER_ISO_NAMES	96	/* bytes that the names of all bits need */

void iommu_owner_isolation_names(u32 bits, char *buf, size_t size);
u32 iommu_owner_domain_bits(const struct iommu_domain *domain);
u32 iommu_owner_device_bits(struct device *dev);
u32 iommu_owner_group_bits(struct iommu_group *group);
void iommu_owner_isolation_of(struct iommu_group *group,
			      struct iommu_owner_isolation_report *report);
void iommu_owner_trace_isolation(struct iommu_group *group);
ssize_t iommu_owner_isolation_show(struct iommu_group *group, char *buf);

/* lease.c */
bool iommu_owner_must_isolate(struct iommu_group *group,
			      struct iommu_owner *owner);
int iommu_owner_check_isolation(struct iommu_group *group,
				struct iommu_owner *owner);
int iommu_owner_isolate(struct iommu_group *group, struct iommu_owner *owner);
void iommu_owner_end_isolation(struct iommu_group *group);
void iommu_owner_forget_leases(struct iommu_group *group);
void iommu_owner_report_lease(struct iommu_group *group, u32 bits,
			      const char *what);
bool iommu_owner_lease_refuses_probe(struct iommu_group *group,
				     struct group_device *gdev);
#if IS_ENABLED(CONFIG_KUNIT)
u32 iommu_owner_bus_bits(struct device *dev);
bool iommu_owner_locked_down(void);
#endif

/* quiesce.c */
struct group_device *iommu_owner_used_device(struct iommu_group *group);
void iommu_owner_forget_use(struct iommu_group *group);
const char *iommu_owner_quiesce_group(struct iommu_group *group,
				    struct device *locked);
const char *iommu_owner_attach_default(struct iommu_group *group);
void __iommu_owner_retry_quiesce(struct iommu_group *group,
			       struct device *locked);
#if IS_ENABLED(CONFIG_KUNIT)
int iommu_owner_quiesce(struct device *dev, bool locked);
#endif

/*
 * A quarantine that only waits for a device to be left alone ends when somebody
 * wants the group. The caller has the mutex, and looks at the group afterwards.
 */
static inline void iommu_owner_retry_quiesce(struct iommu_group *group,
					   struct device *locked)
{
	if (unlikely(group->ownership.retry))
		__iommu_owner_retry_quiesce(group, locked);
}

/* reprobe.c */
void iommu_owner_reprobe(struct iommu_group *group);

/* watch.c */
int iommu_owner_block_dma(struct iommu_group *group);
void iommu_owner_begin_end(struct iommu_owner_section *section,
			   enum iommu_owner_reason reason);
void iommu_owner_finish(struct iommu_owner_section *section);
void iommu_owner_tell_claim(struct iommu_owner *owner,
			    const struct iommu_group *group);
struct iommu_group *iommu_owner_next_group(struct iommu_owner *owner,
					   int after);

/* event.c */
#ifdef CONFIG_IOMMU_OWNER_TOKEN
void iommu_owner_events_free(struct iommu_owner *owner);
void iommu_owner_events_wake(struct iommu_owner *owner);
void __iommu_owner_token_event(struct iommu_owner *owner,
			       enum iommu_owner_event_type type,
			       struct iommu_group *group, struct device *dev,
			       enum iommu_owner_reason reason);

/*
 * Send an event to the tokens of @owner. @group, if not NULL, has its mutex
 * held. @dev is the device that a driver was refused, with its lock held, or
 * that was added or removed. Does not sleep.
 */
static inline void iommu_owner_token_event(struct iommu_owner *owner,
					   enum iommu_owner_event_type type,
					   struct iommu_group *group,
					   struct device *dev,
					   enum iommu_owner_reason reason)
{
	/* A token that is opened now gets the events from now on */
	if (READ_ONCE(owner->ring))
		__iommu_owner_token_event(owner, type, group, dev, reason);
}

void iommu_owner_token_access(struct iommu_owner *owner,
			      const struct iommu_owner_access *access);
#else
static inline void iommu_owner_events_free(struct iommu_owner *owner)
{
}

static inline void iommu_owner_events_wake(struct iommu_owner *owner)
{
}

static inline void iommu_owner_token_event(struct iommu_owner *owner,
					   enum iommu_owner_event_type type,
					   struct iommu_group *group,
					   struct device *dev,
					   enum iommu_owner_reason reason)
{
}

static inline void
iommu_owner_token_access(struct iommu_owner *owner,
			 const struct iommu_owner_access *access)
{
}
#endif

/* gate.c */
#ifdef CONFIG_IOMMU_OWNER_GATE
void iommu_owner_gate_device(struct iommu_group *group, struct device *dev,
			     bool gated);
void iommu_owner_gate_group(struct iommu_group *group, bool gated);
#else
static inline void iommu_owner_gate_device(struct iommu_group *group,
					   struct device *dev, bool gated)
{
}

static inline void iommu_owner_gate_group(struct iommu_group *group,
					  bool gated)
{
}
#endif

/* report.c */
void iommu_owner_report_claim(struct iommu_group *group);
void iommu_owner_report_release(struct iommu_group *group,
				struct iommu_owner *owner);
void iommu_owner_report_refused_claim(struct iommu_group *group,
				      const char *who);
void iommu_owner_report_not_isolated(struct iommu_group *group,
				     struct iommu_owner *owner, u32 missing);
void iommu_owner_report_refused_probe(struct iommu_group *group,
				      struct device *dev);
void iommu_owner_report_state(struct iommu_group *group,
			     enum iommu_owner_state state);
#if IS_ENABLED(CONFIG_KUNIT)
void iommu_owner_flush_uevents(void);
#endif

#endif /* __IOMMU_OWNER_OWNER_H */
