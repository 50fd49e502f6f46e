/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How far devices are trusted: what drivers/iommu/owner/trust.c does
 *
 * A driver that manages its DMA itself is not modelled: it only keeps the trust from
 * being changed. All default domains are one, so a device that is restricted and joins
 * beside a driver with an identity domain is not modelled, either.
 */
#define FULLY		0
#define RESTRICTED	1
#define KEPT		2	/* for user space: RESERVED is a state */
#define NOT_AT_ALL	3

#define TRUST_OF(d)	(device[d].present -> device[d].trust : FULLY)
/* As the least trusted device of the group */
#define LEVEL(g) \
	(TRUST_OF(0) > TRUST_OF(1) -> TRUST_OF(0) : TRUST_OF(1))
#define DRIVEN(g)	(device[0].driver || device[1].driver)
#ifdef MUT_TRUST_IDLE
#define IS_BLOCKED(g)	(LEVEL(g) >= KEPT && !DRIVEN(g))
#else
#define IS_BLOCKED(g)	(LEVEL(g) > FULLY && !DRIVEN(g))
#endif
#define DISTRUSTED(d, x) \
	((device[d].trust >= KEPT && x == DEFAULT) || \
	 device[d].trust == NOT_AT_ALL)
#ifdef MUT_TRUST_CLAIM
#define FREE_FOR_USERS(g)	(group[g].state == BLOCKED && !EMPTY(g))
#else
#define FREE_FOR_USERS(g) \
	(group[g].state == BLOCKED && !EMPTY(g) && LEVEL(g) == KEPT)
#endif
#ifdef MUT_TRUST_PROBE
#define PROBED(d)	true
#else
#define PROBED(d)	(device[d].trust <= RESTRICTED)
#endif
#ifdef MUT_TRUST_IN_USE
#define MAY_TRUST(g)	(group[g].state == KERNEL || group[g].state == BLOCKED)
#else
#define MAY_TRUST(g)	((group[g].state == KERNEL || group[g].state == BLOCKED) && \
			 !DRIVEN(g) && !EMPTY(g))
#endif

inline choose(level)
{
	if
	:: level = FULLY
	:: level = RESTRICTED
	:: level = KEPT
	:: level = NOT_AT_ALL
	fi
}

inline found(d)
{
	choose(device[d].trust)
}

/* The domain of a group without an owner */
inline attach_core(g)
{
	if
	:: IS_BLOCKED(g) -> attach(g, BLOCKING)
	:: else -> attach(g, DEFAULT)
	fi
}

/* Make the state of a group fit its devices, unless it is in use. */
inline update_trust(g)
{
	if
	:: group[g].state == KERNEL && !DRIVEN(g) && !EMPTY(g) &&
	   LEVEL(g) >= KEPT ->
		transition(g, KERNEL, BLOCKED, block)
	:: group[g].state == BLOCKED && LEVEL(g) < KEPT ->
		transition(g, BLOCKED, KERNEL, trust)
	:: else
	fi;
	if
	:: (group[g].state == KERNEL || group[g].state == BLOCKED) && !DRIVEN(g) ->
		attach_core(g)
	:: else
	fi
}

/* The domain of a group that was blocked as long as it had no driver */
inline bound(g)
{
	attach(g, DEFAULT)
}
