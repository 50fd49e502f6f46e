/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Groups, devices, owners: what drivers/iommu/owner/{state,claim}.c do
 *
 * A section under the mutex of a group is an atomic block. The one place where
 * the C code drops the mutex in between, to quiesce devices, is modelled as
 * that: see end.pml.
 */

/* States of a group, reasons of a quarantine, domains */
mtype = { KERNEL, USER, RESERVED, ENDING, QUARANTINE, BLOCKED };
/* RETRIED: a device lock is taken, a device does not answer, no memory */
mtype = { NO_REASON, ACCESS, RETRIED, FINAL };
mtype = { DEFAULT, BLOCKING, DOMAIN_A, DOMAIN_B, NO_DOMAIN };
/* How far the end of an ownership is; only the properties look at it */
mtype = { NOT_ENDING, DMA_BLOCKED, CPU_SHUT, DEVICE_SHUT, QUIESCED };

#define A		0
#define B		1
#define NOBODY		2
#define DOMAIN_OF(o)	((o) == A -> DOMAIN_A : DOMAIN_B)

typedef group_t {
	mtype state = KERNEL;
	mtype reason = NO_REASON;
	mtype domain = DEFAULT;
	mtype step = NOT_ENDING;
	byte owner = NOBODY;	/* with a reason ACCESS until it has drained */
	byte claims;
	byte draining;		/* watches that have not drained */
	bit reserved;
	bit pasid;		/* the owner has attached a PASID */
	bit quiescing;
	byte users;		/* mask of owners with a claim or reservation */
};

typedef device_t {
	bit present = 1;
	bit driver;		/* one that uses the DMA API is bound */
	bit refuses;		/* cannot be attached to a user's domain */
	mtype domain = DEFAULT;
	byte armed = NOBODY;	/* who has programmed it; nobody once reset */
#ifdef TRUST
	byte trust;		/* FULLY, RESTRICTED, KEPT or NOT_AT_ALL */
#endif
};

typedef owner_t {
	bit revoked;
	bit clean;		/* a revoke has returned 0 */
	byte pending;		/* ends that are not complete */
};

group_t group[NG];
device_t device[ND];
owner_t owner[2];

/* Without a conditional expression: LTL formulas cannot have one. */
#define MAPPED_BY(d, o) \
	((device[d].domain == DOMAIN_A && (o) == A) || \
	 (device[d].domain == DOMAIN_B && (o) == B))
#define IN(d, g)	(device[d].present && GROUP(d) == (g))
#define OWNED(g)	(group[g].state == USER || group[g].state == RESERVED)

#if ND == 1
#define ANY_DEVICE(g, what)	(IN(0, g) && device[0].what)
#define EMPTY(g)		(!IN(0, g))
#else
#define ANY_DEVICE(g, what)	((IN(0, g) && device[0].what) || \
				 (IN(1, g) && device[1].what))
#define EMPTY(g)		(!IN(0, g) && !IN(1, g))
#endif

/*
 * Each use of this is a transition of the model. dev/model-table compares them
 * with the table in state.c and with Documentation/driver-api.
 */
#define transition(g, from, to, event) \
	assert(group[g].state == from); group[g].state = to

#ifdef TRUST
#include "trust.pml"
#else
#define DISTRUSTED(d, x)	false
#define attach_core(g)		attach(g, DEFAULT)
#define update_trust(g)		skip
#endif

inline attach_one(d, g, x)
{
	if
	:: IN(d, g) && ((device[d].refuses && x != DEFAULT) || DISTRUSTED(d, x)) ->
		device[d].domain = BLOCKING
	:: IN(d, g) && !(device[d].refuses && x != DEFAULT) && !DISTRUSTED(d, x) ->
		device[d].domain = x
	:: else
	fi
}

inline attach(g, x)
{
	group[g].domain = x;
	attach_one(0, g, x);
#if ND == 2
	attach_one(1, g, x)
#endif
}

inline reset_group(g)
{
	device[0].armed = (IN(0, g) -> NOBODY : device[0].armed);
#if ND == 2
	device[1].armed = (IN(1, g) -> NOBODY : device[1].armed)
#endif
}

inline acquire(g, o)
{
	attach(g, BLOCKING);
	group[g].owner = o;
	group[g].step = NOT_ENDING
}

#ifdef MUT_CLAIM_REVOKED
#define REFUSED(o)	false
#else
#define REFUSED(o)	owner[o].revoked
#endif
#ifdef MUT_CLAIM_DRIVER
#define FREE(g)		(group[g].state == KERNEL && !EMPTY(g))
#else
#define FREE(g)		(group[g].state == KERNEL && !EMPTY(g) && \
			 !ANY_DEVICE(g, driver))
#endif
#ifdef MUT_TWO_OWNERS
#define SAME(g, o)	true
#else
#define SAME(g, o)	(group[g].owner == (o))
#endif

/*
 * In an atomic block, as all that is done under the mutex. The retry of a
 * quiesce by a task that wants the group is a run of retry_work() just before.
 */
inline claim(g, o, ok)
{
	ok = 0;
	if
	:: REFUSED(o)				/* -ESTALE */
	:: !REFUSED(o) && FREE(g) ->
		acquire(g, o);
		transition(g, KERNEL, USER, claim);
		group[g].claims = 1;
		ok = 1
#ifdef TRUST
	:: !REFUSED(o) && FREE_FOR_USERS(g) ->
		assert(LEVEL(g) == KEPT);
		acquire(g, o);
		transition(g, BLOCKED, USER, claim);
		group[g].claims = 1;
		ok = 1
	:: !REFUSED(o) && FREE_FOR_USERS(g) ->
		/* Refused late, and DMA cannot be blocked */
		transition(g, BLOCKED, QUARANTINE, undo);
		group[g].reason = RETRIED
#endif
#ifndef PAIR
	:: !REFUSED(o) && FREE(g) ->
		/* Refused late, and the default domain fails */
		attach(g, BLOCKING);
		transition(g, KERNEL, QUARANTINE, undo);
		group[g].reason = RETRIED
#endif
	:: !REFUSED(o) && SAME(g, o) && group[g].state == RESERVED ->
		transition(g, RESERVED, USER, claim);
		group[g].claims = 1;
		ok = 1
	:: !REFUSED(o) && SAME(g, o) && group[g].state == USER &&
	   group[g].claims < MAX_CLAIMS ->
		group[g].claims++;
		ok = 1
	:: else					/* -EBUSY, -ENODEV */
	fi;
	group[g].users = group[g].users | (ok << o)
}

inline reserve(g, o, ok)
{
	ok = 0;
	if
	:: REFUSED(o)
	:: !REFUSED(o) && FREE(g) ->
		acquire(g, o);
		transition(g, KERNEL, RESERVED, reserve);
		group[g].reserved = 1;
		ok = 1
#ifdef TRUST
	:: !REFUSED(o) && FREE_FOR_USERS(g) ->
		acquire(g, o);
		transition(g, BLOCKED, RESERVED, reserve);
		group[g].reserved = 1;
		ok = 1
#endif
	:: !REFUSED(o) && SAME(g, o) && OWNED(g) ->
		group[g].reserved = 1;
		ok = 1
	:: else
	fi;
	group[g].users = group[g].users | (ok << o)
}
