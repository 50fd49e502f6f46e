/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Model of the ownership of IOMMU groups, for spin
 *
 * It is checked whole, with all interleavings, by ./check in this directory.
 * Documentation/driver-api/iommu-owner-states.rst has the same state machine as
 * a table. Two groups, two owners, two devices and two files on one device are
 * more than one run can have at once; each configuration has a part:
 *
 * CORE		two groups, two owners that claim, reserve, attach, release and
 *		unreserve; a kernel driver; revocation of both groups at once
 * JOIN		a device joins and leaves a group while another device of it is
 *		open; it may have a kernel driver, or fail to be attached
 * LEAVE	both devices leave and join, and so does the last one; in any
 *		state, also while the end goes on or devices are quiesced
 * TRUST	a group with two devices that are trusted more or less; one of them
 *		joins and leaves
 * SHARE	two files on one device, for two owners: a re-open races the end
 *		of the last user; operations that last as long as they like
 * PAIR		two groups of one owner, each with an open device: the passes
 * PROGRESS	one file, with operations that never return, and fairness
 * TODAY	the code that was replaced: see today.pml and today-user.pml
 *
 * Kept: P1, a group is the kernel's or one owner's. P4, no device reaches
 * memory that its owner did not map, or that its trust denies it. P5, an end happens once, and in order: the
 * assertions on group_t.step and vfio_t.shuts. P6, when a revoke has returned 0
 * nothing of the old user is left. P1, P4 and P6 are at the end of this file.
 *
 * Not modelled: time. A deadline may pass whenever something has not drained,
 * and a revoke that is killed is the same. PASIDs are one bit, and KVM is a
 * step. Of memory order, nothing: each step sees the ones before it.
 *
 * With -DMUT_<name> one step is wrong. ./check sees that each is found.
 */
#if defined(CORE)
#define USERS
#define NG		2
#define ND		2
#define NF		0
#define GROUP(d)	(d)
#define MAX_CLAIMS	2
#elif defined(LEAVE)
#define USERS
#define PLUG
#define NG		1
#define ND		2
#define NF		0
#define GROUP(d)	0
#define MAX_CLAIMS	2
#elif defined(JOIN)
#define PLUG
#define NG		1
#define ND		2
#define NF		1
#define GROUP(d)	0
#define FDEV(f)		0
#define MAX_CLAIMS	1
#elif defined(TRUST)
#define USERS
#define PLUG
#define NG		1
#define ND		2
#define NF		0
#define GROUP(d)	0
#define MAX_CLAIMS	1
#elif defined(SHARE)
#define NG		1
#define ND		1
#define NF		2
#define GROUP(d)	0
#define FDEV(f)		0
#define MAX_CLAIMS	1
#elif defined(TODAY)
#define NG		1
#define ND		1
#define NF		2
#define GROUP(d)	0
#define FDEV(f)		0
#define MAX_CLAIMS	1
#elif defined(PROGRESS)
#define NG		1
#define ND		1
#define NF		1
#define GROUP(d)	0
#define FDEV(f)		0
#define MAX_CLAIMS	1
#elif defined(PAIR)
#define NG		2
#define ND		2
#define NF		2
#define GROUP(d)	(d)
#define FDEV(f)		(f)
#define MAX_CLAIMS	1
#else
#error no configuration
#endif

#include "core.pml"
#ifdef TODAY
#include "today.pml"
#elif NF > 0
#include "vfio.pml"
#endif
#include "end.pml"
#ifdef TODAY
#include "today-end.pml"
#endif

bit revoking;			/* a revoke of owner A runs */
#ifdef PROGRESS
bit hung;			/* an operation never returns */
#endif

#ifdef USERS
/* Who claims without files of devices, as a group file or a token does */
proctype user(byte o)
{
	byte set, g;
	mtype result = NO_REASON;
	bit ok, late;

end:	do
	:: atomic {
		if
		:: g = 0
#if NG == 2
		:: g = 1
#endif
		fi;
		if
		:: claim(g, o, ok)
#if defined(CORE) || defined(TRUST)
		:: reserve(g, o, ok)
		:: skip; unreserve(g, o, set)
#endif
		:: group[g].state == USER && group[g].owner == o ->
			attach(g, DOMAIN_OF(o));
#ifdef CORE
			group[g].pasid = 1
#endif
		:: skip; release(g, o, set)
		:: else
		fi;
		ok = 0; g = 0
	   };
		teardown(set, NOBODY, late, result);
		late = 0
	od
}

#endif

#ifdef MUT_TWICE
#define MAY_END(g)	(OWNED(g) || group[g].state == ENDING)
#else
#define MAY_END(g)	OWNED(g)
#endif

/* Takes everything from owner A, and again if that did not work at once. */
proctype revoke()
{
	byte set;
	mtype result = NO_REASON;
	bit late;

end:	do
	:: !owner[A].clean ->
		atomic {
			owner[A].revoked = 1;
			revoking = 1
		};
		atomic {
			if
			:: MAY_END(0) && group[0].owner == A -> block(0, set)
			:: else
			fi
		};
#ifdef MUT_ONE_BY_ONE
		teardown(set, A, late, result);
#endif
#if NG == 2
		atomic {
			if
			:: OWNED(1) && group[1].owner == A -> block(1, set)
			:: else
			fi
		};
#endif
#ifdef TODAY
		teardown_group(0, set, late, result);
#else
		teardown(set, A, late, result);
#endif
		/* Also ends that other tasks carry through */
		if
#ifdef MUT_FORGET_OTHERS
		:: !late -> owner[A].clean = 1
#else
		:: owner[A].pending == 0 && !late -> owner[A].clean = 1
#endif
		:: owner[A].pending > 0 || late		/* -ETIMEDOUT, -EINTR */
		fi;
		atomic { late = 0; revoking = 0 }
#ifdef PROGRESS
	/* A release ends one group, and the owner is not revoked */
	:: atomic {
		OWNED(0) -> block(0, set)
	   };
		teardown(set, NOBODY, late, result);
		late = 0
#endif
	od
}

#ifdef MUT_NO_WORK
#define MAY_RETRY(g)	(group[g].state == QUARANTINE && \
			 !group[g].quiescing && group[g].reason == RETRIED)
#else
#define MAY_RETRY(g)	(group[g].state == QUARANTINE && \
			 !group[g].quiescing && (group[g].reason == RETRIED || \
			 (group[g].reason == ACCESS && IS_DRAINED(g))))
#endif

/* Ends what could not end: what waited has drained, or may work now. */
proctype retry_work()
{
	mtype result = NO_REASON;
	byte g;

end:	do
	:: atomic {
		if
		:: MAY_RETRY(0)
#if NG == 2
		:: MAY_RETRY(1) -> g = 1
#endif
		fi;
		group[g].quiescing = 1
	   };
		quiesce(g, result);
		atomic {
			group[g].quiescing = 0;
			if
			:: group[g].reason == ACCESS -> forget(g)
			:: else
			fi;
			if
			:: result == NO_REASON || EMPTY(g) ->
				attach_core(g);
				transition(g, QUARANTINE, KERNEL, clear);
				group[g].reason = NO_REASON;
				group[g].step = NOT_ENDING;
				update_trust(g)
			:: else -> group[g].reason = result
			fi;
			result = NO_REASON;
			g = 0
		}
	od
}

#ifdef MUT_CLEAR_ACCESS
#define MAY_CLEAR(g)	(group[g].state == QUARANTINE && !group[g].quiescing)
#else
#define MAY_CLEAR(g)	(group[g].state == QUARANTINE && \
			 !group[g].quiescing && group[g].draining == 0)
#endif

#if defined(CORE) || defined(SHARE) || defined(JOIN)
/* The administrator trusts the devices as they are. */
proctype administrator(byte g)
{
end:	do
	:: atomic {
		MAY_CLEAR(g) ->
		if
		:: group[g].reason == ACCESS -> forget(g)
		:: else
		fi;
		reset_group(g);
		attach(g, DEFAULT);
		transition(g, QUARANTINE, KERNEL, clear);
		group[g].reason = NO_REASON;
		group[g].step = NOT_ENDING
	   }
	od
}

#endif

#if NF > 0
#define CLOSED(d)	(!vfio[d].open && !vfio[d].lock)
#else
#define CLOSED(d)	true
#endif

#ifndef TRUST
#define PROBED(d)	true
#define bound(g)	skip
#endif

#if !defined(PAIR) && !defined(PROGRESS) && !defined(TODAY)
/* A driver that uses the DMA API; the driver of VFIO is unbound before. */
proctype kernel_driver(byte d)
{
end:	do
	:: atomic {
		device[d].present && !device[d].driver && CLOSED(d) &&
#ifdef MUT_PROBE_ENDING
		!OWNED(GROUP(d)) && group[GROUP(d)].state != QUARANTINE ->
#else
		group[GROUP(d)].state == KERNEL && PROBED(d) ->
#endif
		device[d].driver = 1;
		bound(GROUP(d))
	   }
	:: atomic {
		device[d].driver -> device[d].driver = 0;
		update_trust(GROUP(d))
	   }
	od
}

#endif

#ifdef TRUST
/* The administrator changes his mind, if nothing is in use. */
proctype distrust()
{
end:	do
	:: atomic {
		MAY_TRUST(0) ->
		choose(device[0].trust);
		device[1].trust = (device[1].present -> device[0].trust : FULLY);
		/* The default domain of a group that is trusted again */
		update_trust(0)
	   }
	od
}

#endif

#ifdef PLUG
/* Hot-plug. VFIO waits with the removal until the device is closed. */
proctype plug(byte d)
{
#ifdef LEAVE
	byte set;
	mtype result = NO_REASON;
	bit late;
#endif

end:	do
	:: atomic {
		!device[d].present ->
		device[d].present = 1;
		if
		:: device[d].refuses = 0
		:: device[d].refuses = 1
		fi;
#if defined(MUT_JOIN_NONE)
		device[d].domain = (device[d].refuses -> NO_DOMAIN :
				    group[0].domain);
#elif defined(MUT_JOIN_DEFAULT)
		device[d].domain = DEFAULT;
#else
#ifdef TRUST
		found(d);
#endif
		attach_one(d, 0, group[0].domain);
		update_trust(0)
#endif
	   }
	:: atomic {
		device[d].present && !device[d].driver && CLOSED(d) ->
		device[d].present = 0;
		device[d].refuses = 0;
		device[d].armed = NOBODY;
		device[d].domain = BLOCKING;
#ifdef TRUST
		device[d].trust = FULLY;
#endif
		update_trust(0)
#ifdef LEAVE
		;
		if
		:: EMPTY(0) && OWNED(0) -> block(0, set)
		:: EMPTY(0) && group[0].state == QUARANTINE &&
#ifdef MUT_EMPTY_QUIESCING
		   group[0].reason != ACCESS ->
#else
		   !group[0].quiescing && group[0].reason != ACCESS ->
#endif
			attach(0, DEFAULT);
			transition(0, QUARANTINE, KERNEL, clear);
			group[0].reason = NO_REASON;
			group[0].step = NOT_ENDING
		:: else
		fi
#endif
	   }
#ifdef LEAVE
	   ;
		teardown(set, NOBODY, late, result);
		late = 0
#endif
	od
}
#endif

#ifdef TODAY
#include "today-user.pml"
#elif NF > 0
/* Opens and closes a device, now for one owner, now for the other. */
proctype user_file(byte f)
{
	byte set, o;
	mtype result = NO_REASON;
	bit ok, late;

end:	do
	:: atomic {
		!file[f].open && !vfio[FDEV(f)].lock &&
		!vfio[FDEV(f)].revoked && device[FDEV(f)].present &&
		!device[FDEV(f)].driver ->
		vfio[FDEV(f)].lock = 1;
		if
		:: o = A
#if defined(SHARE) || defined(JOIN)
		:: o = B
#endif
		fi
	   };
		open_file(f, FDEV(f), o, ok, set);
		goto unlock
	:: atomic {
		/* The last reference: no operation, and no mapping */
		file[f].open && !file[f].op ->
		file[f].open = 0;
		file[f].dead = 0;
		file[f].mapped = 0;
		file[f].own = NOBODY
	   };
		atomic { !vfio[FDEV(f)].lock -> vfio[FDEV(f)].lock = 1 };
		close_last(FDEV(f), o, set);
unlock:		teardown(set, NOBODY, late, result);
		atomic { vfio[FDEV(f)].lock = 0; ok = 0; late = 0; o = 0 }
	od
}

#endif

#if NF > 0
/* What a user does with an open file; it may stay in there for ever. */
proctype operation(byte f)
{
end:	do
	:: atomic {
		MAY_OPERATE(f) -> file[f].op = 1
	   };
		if
#ifdef PAIR
		/* The others are in SHARE */
		:: f == 0 -> file[f].mapped = 1
		:: f == 1 -> device[FDEV(f)].armed = file[f].own
#else
		:: device[FDEV(f)].armed = file[f].own
		:: vfio[FDEV(f)].interrupts = file[f].own
		:: file[f].mapped = 1
		:: atomic {
			if
			:: group[GROUP(FDEV(f))].state == USER &&
			   group[GROUP(FDEV(f))].owner == file[f].own ->
				attach(GROUP(FDEV(f)), DOMAIN_OF(file[f].own))
			:: else
			fi
		   }
#endif
		fi;
#ifdef PROGRESS
		if
		:: skip
		:: hung = 1;
end_hung:		false
		fi;
#endif
		file[f].op = 0
	od
}

#endif

#if NF > 0 && !defined(TODAY)
proctype close_work(byte d)
{
end:	do
	:: atomic {
		vfio[d].revoked && vfio[d].open && !FILES(d, op) &&
		!vfio[d].lock ->
		vfio[d].lock = 1
	   };
		close_revoked(d);
		vfio[d].lock = 0
	od
}
#endif

/* P1: the kernel's or one owner's, never a mixture, never two owners' */
#define P1(g) \
	(!(ANY_DEVICE(g, driver) && group[g].state != KERNEL) && \
	 group[g].users != 3)
#define P1_FILE(f) \
	((!file[f].op && !file[f].mapped) || \
	 group[GROUP(FDEV(f))].owner == file[f].own)
/* P4: no device reaches what its owner did not map */
#define P4(d) \
	(!device[d].present || \
	 ((group[GROUP(d)].state == KERNEL || \
	   device[d].domain == BLOCKING || \
	   (group[GROUP(d)].state == USER && \
	    MAPPED_BY(d, group[GROUP(d)].owner))) && \
	  (device[d].armed == NOBODY || device[d].domain == BLOCKING || \
	   MAPPED_BY(d, device[d].armed))))
#ifdef TRUST
/* P4, P9: nothing gets through that the trust denies, and drivers keep what they have */
#define P9(d) \
	(!device[d].present || \
	 ((!device[d].driver || \
	   (device[d].trust <= RESTRICTED && device[d].domain == DEFAULT)) && \
	  (device[d].trust < KEPT || device[d].domain != DEFAULT) && \
	  (device[d].trust < NOT_AT_ALL || device[d].domain == BLOCKING) && \
	  (device[d].trust == FULLY || device[0].driver || device[1].driver || \
	   device[d].domain != DEFAULT)))
#define P9_ALL	(P9(0) && P9(1))
#endif
/* P6: what the old user has no more */
#define NO_DMA(d, o) \
	(!MAPPED_BY(d, o) && \
	 (device[d].armed != o || device[d].domain == BLOCKING))
#define NO_OPERATION(f, o) \
	(file[f].own != o || (!file[f].op && !file[f].mapped))
#if defined(TODAY) && !defined(CLOSE)
/* The close of a file stops to watch too early; that is a case of its own. */
#define NO_INTERRUPT(d, o)	true
#else
#define NO_INTERRUPT(d, o)	(vfio[d].interrupts != o)
#endif

#define P4_GROUP(g)	(!group[g].pasid || group[g].state == USER)

#if NG == 2
#define P1_ALL		(P1(0) && P1(1) && P1_FILES)
#define NOT_OWNED(o)	(group[0].owner != o && group[1].owner != o)
#else
#define P1_ALL		(P1(0) && P1_FILES)
#define NOT_OWNED(o)	(group[0].owner != o)
#endif
#if ND == 2
#define P4_ALL		(P4(0) && P4(1) && P4_GROUP(0) && P4_GROUP(NG - 1))
#define NO_DMA_ALL(o)	(NO_DMA(0, o) && NO_DMA(1, o))
#else
#define P4_ALL		(P4(0) && P4_GROUP(0))
#define NO_DMA_ALL(o)	NO_DMA(0, o)
#endif
#if NF == 0
#define NO_ACCESS(o)	true
#define P1_FILES	true
#elif NF == 1
#define P1_FILES	P1_FILE(0)
#define NO_ACCESS(o)	(NO_OPERATION(0, o) && NO_INTERRUPT(0, o))
#elif ND == 1
#define NO_ACCESS(o)	(NO_OPERATION(0, o) && NO_OPERATION(1, o) && \
			 NO_INTERRUPT(0, o))
#else
#define NO_ACCESS(o)	(NO_OPERATION(0, o) && NO_OPERATION(1, o) && \
			 NO_INTERRUPT(0, o) && NO_INTERRUPT(1, o))
#endif
#if NF == 2
#define P1_FILES	(P1_FILE(0) && P1_FILE(1))
#endif
#define P6_ALL	(!owner[A].clean || \
		 (NOT_OWNED(A) && NO_DMA_ALL(A) && NO_ACCESS(A)))

/* Looks at them in every state. */
proctype monitor()
{
end:	atomic {
		if
#if !defined(REOPEN) && !defined(USE)
		:: !P1_ALL -> assert(P1_ALL)
		:: !P4_ALL -> assert(P4_ALL)
#endif
		:: !P6_ALL -> assert(P6_ALL)
#ifdef TRUST
		:: !P9_ALL -> assert(P9_ALL)
#endif
		fi
	}
}

#ifdef PROGRESS
/*
 * With weak fairness: a process that can go on for ever, does at some time.
 * Mutexes are fair, and the deadline passes.
 */
#define WAITS	(group[0].state == QUARANTINE && group[0].reason == ACCESS)
/* P5: an end that has started comes to its end, */
ltl ends { [] (group[0].state == ENDING -> <> (group[0].state != ENDING)) }
/* also by itself, when what it waited for has drained. */
ltl completes { [] (WAITS -> <> (!WAITS || hung)) }
/* P6: a revoke returns, also if an operation never does, and 0 is for good. */
ltl returns { [] (revoking -> <> !revoking) }
ltl clean { [] (owner[A].clean -> [] P6_ALL) }
#endif

init {
	atomic {
		run monitor();
		run revoke();
		run retry_work();
#if defined(CORE)
		run user(A);
		run user(B);
		run kernel_driver(0);
		run administrator(0)
#elif defined(TRUST)
		run user(A);
		run user(B);
		run plug(1);
		run kernel_driver(0);
		run kernel_driver(1);
		run distrust()
#elif defined(LEAVE)
		run user(A);
		run plug(0);
		run plug(1);
		run kernel_driver(1)
#elif defined(JOIN)
		run administrator(0);
		run plug(1);
		run kernel_driver(1);
		run user_file(0);
		run operation(0);
		run close_work(0)
#elif defined(TODAY)
		run user_group();
		run user_file(0);
		run user_file(1);
		run operation(0);
		run operation(1);
		run close_work(0);
		run close_work(1)
#elif defined(SHARE)
		run kernel_driver(0);
		run administrator(0);
		run user_file(0);
		run user_file(1);
		run operation(0);
		run operation(1);
		run close_work(0)
#elif defined(PROGRESS)
		run user_file(0);
		run operation(0);
		run close_work(0)
#elif defined(PAIR)
		run user_file(0);
		run user_file(1);
		run operation(0);
		run operation(1);
		run close_work(0);
		run close_work(1)
#endif
	}
}
