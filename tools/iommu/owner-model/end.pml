/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The end of an ownership: what drivers/iommu/owner/{end,watch,quiesce}.c do
 *
 * A teardown has a set of groups and carries all of them through one pass
 * before it starts the next: block, shut, drain, quiesce, return.
 */

#define HAS(set, g)	(((set) >> (g)) & 1)
/* No pass starts while a group of the set has not done the one before. */
#define DONE(set, g, a, b, c) \
	(!HAS(set, g) || group[g].step == a || group[g].step == b || \
	 group[g].step == c)

#if NG == 1
#define ALL_DONE(set, a, b, c)	DONE(set, 0, a, b, c)
#define DRAINED(set)	(!HAS(set, 0) || group[0].draining == 0)
#else
#define ALL_DONE(set, a, b, c)	(DONE(set, 0, a, b, c) && DONE(set, 1, a, b, c))
#define DRAINED(set)	((!HAS(set, 0) || group[0].draining == 0) && \
			 (!HAS(set, 1) || group[1].draining == 0))
#endif

#if NG == 1
#define HAS_GROUP(o)	(OWNED(0) && group[0].owner == (o))
#else
#define HAS_GROUP(o)	((OWNED(0) && group[0].owner == (o)) || \
			 (OWNED(1) && group[1].owner == (o)))
#endif

#if NF == 0
#define ACCESSED(g)	false
#endif

#ifdef MUT_NO_DRAIN
#define IS_DRAINED(g)	true
#else
#define IS_DRAINED(g)	(group[g].draining == 0)
#endif

/* In an atomic block. */
inline block(g, set)
{
	if
	:: group[g].state == USER -> transition(g, USER, ENDING, end)
	:: group[g].state == RESERVED -> transition(g, RESERVED, ENDING, end)
#ifdef MUT_TWICE
	:: group[g].state == ENDING
#endif
	fi;
	group[g].claims = 0;
	group[g].reserved = 0;
	group[g].users = 0;
	assert(group[g].step == NOT_ENDING);
#ifndef MUT_PASID_STAYS
	group[g].pasid = 0;
#endif
#ifndef MUT_BLOCK_LAST
	attach(g, BLOCKING);
	group[g].step = DMA_BLOCKED;
#endif
	owner[group[g].owner].pending++;
	set = set | (1 << g)
}

/* In an atomic block. A release that is not the last one ends nothing. */
inline release(g, o, set)
{
	if
	:: group[g].state == USER && group[g].owner == o ->
		if
		:: group[g].claims > 1 -> group[g].claims--
		:: group[g].claims == 1 && group[g].reserved ->
			group[g].claims = 0;
			group[g].pasid = 0;
			attach(g, BLOCKING);
			transition(g, USER, RESERVED, release)
		:: group[g].claims == 1 && !group[g].reserved -> block(g, set)
		fi
	:: else				/* -ESTALE, -EACCES */
	fi
}

inline unreserve(g, o, set)
{
	if
	:: OWNED(g) && group[g].owner == o && group[g].reserved ->
		group[g].reserved = 0;
		if
		:: group[g].claims == 0 -> block(g, set)
		:: else
		fi
	:: else
	fi
}

/* A watch of the CPU side has nothing to wait for. */
inline shut_cpu(g, set)
{
	if
	:: HAS(set, g) ->
		assert(ALL_DONE(set, DMA_BLOCKED, CPU_SHUT, CPU_SHUT));
		assert(group[g].step == DMA_BLOCKED);
		group[g].step = CPU_SHUT
	:: else
	fi
}

inline shut_group(g, set)
{
	if
	:: HAS(set, g) ->
		assert(ALL_DONE(set, CPU_SHUT, DEVICE_SHUT, DEVICE_SHUT));
#if NF > 0 && !defined(TODAY)
		shut_watch(0, g);
#if ND == 2
		shut_watch(1, g);
#endif
#endif
		atomic {
			assert(group[g].step == CPU_SHUT);
			group[g].step = DEVICE_SHUT
		}
	:: else
	fi
}

/* In an atomic block. The end is complete: nothing of the owner is left. */
inline forget(g)
{
	assert(owner[group[g].owner].pending > 0);
	owner[group[g].owner].pending--;
	group[g].owner = NOBODY
}

#ifdef MUT_NO_QUIESCE
#define QUIESCE(g)	skip
#else
#define QUIESCE(g)	reset_group(g)
#endif

/* The mutex is dropped: the result is used in a later step. */
inline quiesce(g, result)
{
	atomic {
		if
		:: QUIESCE(g); result = NO_REASON
#ifndef PAIR
		:: result = RETRIED
		:: result = FINAL
#endif
		fi;
		assert(!ACCESSED(g));
		assert(group[g].quiescing);
		group[g].step = QUIESCED
	}
}

/* Pass 4 and 5 for one group. */
inline finish(g, set, result)
{
	if
	:: HAS(set, g) ->
		atomic {
			assert(group[g].state == ENDING);
			assert(group[g].step == DEVICE_SHUT);
			if
			:: IS_DRAINED(g) -> group[g].quiescing = 1
			:: !IS_DRAINED(g) ->
				transition(g, ENDING, QUARANTINE, fail);
				group[g].reason = ACCESS;
				set = set & ~(1 << g)
			fi
		};
		if
		:: HAS(set, g) ->
			quiesce(g, result);
			atomic {
				group[g].quiescing = 0;
				forget(g);
				if
				:: result == NO_REASON ->
#ifdef MUT_BLOCK_LAST
					attach(g, BLOCKING);
#endif
					attach_core(g);
					transition(g, ENDING, KERNEL, return);
					group[g].step = NOT_ENDING;
					update_trust(g)
#ifndef PAIR
				:: result == NO_REASON && !EMPTY(g) ->
					/* The default domain fails */
					transition(g, ENDING, QUARANTINE, fail);
					group[g].reason = RETRIED
#endif
				:: result != NO_REASON ->
					transition(g, ENDING, QUARANTINE, fail);
					group[g].reason = result
				fi;
				result = NO_REASON
			}
		:: else
		fi
	:: else
	fi
}

/*
 * Pass 2 to 5. late: something has not drained in time, or the task is killed.
 * whole: all groups of this owner are in the set, or in that of another task.
 */
inline teardown(set, whole, late, result)
{
	if
	:: set ->
		atomic {
		assert(whole == NOBODY || !HAS_GROUP(whole));
		assert(ALL_DONE(set, DMA_BLOCKED, DMA_BLOCKED, DMA_BLOCKED));
#ifndef MUT_DEVICE_FIRST
		shut_cpu(0, set);
#if NG == 2
		shut_cpu(1, set);
#endif
#endif
		};
		shut_group(0, set);
#if NG == 2
		shut_group(1, set);
#endif
		if
		:: DRAINED(set)
#if NF > 0
		:: !DRAINED(set) -> late = 1
#endif
		fi;
		finish(0, set, result);
#if NG == 2
		finish(1, set, result);
#endif
		set = 0
	:: else
	fi
}
