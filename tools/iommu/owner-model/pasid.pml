/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * PASIDs of a function that several owners share, for spin
 *
 * One number of the space, one open device of a function, two owners: one after the
 * other has the device open, and either may have the number. What the set of an owner
 * does under its mutex is an atomic block; so is the attach of the IOMMU driver. A load
 * is a section of SRCU around steps of the driver, and the work that drains a device
 * waits for one grace period.
 *
 * Kept: P3, a number that is loaded or attached is that of the owner of the device. P5,
 * a reference is put once, and a number is free after its last reference. P6, when a
 * revoke has returned 0 nothing of the owner is loaded, attached or allocated.
 *
 * With -DMUT_<name> one step is wrong. check.py sees that each is found.
 */
#define A		0
#define B		1
#define NOBODY		2

mtype = { FREE, RESERVED, ALLOCATED, PENDING };
mtype = { NONE, LIVE, BLOCKING };

mtype number = FREE;
byte number_owner = NOBODY;
byte refs;

bit open;
byte device_owner = NOBODY;	/* from its first permit until it is closed */
bit allowed;			/* its bit in the list of the open device */
mtype permit = NONE;
bit section;			/* a load is under way */
bit awaited;			/* by the grace period of the drain */
byte attached = NOBODY;		/* whose page table the parent has for the number */
byte loaded = NOBODY;		/* who has loaded the number into a queue */

bit revoked[2];
bit clean[2];			/* a revoke has returned 0 */

inline put_number()
{
	assert(refs > 0);
	refs--;
	if
	:: refs == 0 ->
		assert(number == PENDING);
		number = FREE;
		number_owner = NOBODY
	:: else
	fi
}

/* Pass 1 for the permit: waits for nothing. */
inline block_permit()
{
	if
	:: permit == LIVE ->
		permit = BLOCKING;
#ifndef MUT_BIT_STAYS
		allowed = 0;
#endif
#ifndef MUT_ATTACH_STAYS
		attached = NOBODY
#endif
	:: else
	fi
}

inline free_number()
{
	number = PENDING;
#ifndef MUT_FREE_LIVE
	block_permit();
#endif
	put_number()
}

/* The ioctls of a token: ALLOC, PERMIT, DENY, FREE */
proctype token(byte o)
{
end:	do
	:: atomic {
		number == FREE && !revoked[o] ->
		number = RESERVED;
		number_owner = o
	   };
		/* The answer is written. Then the number is linked, or given up. */
		atomic {
			if
#ifdef MUT_LINK_REVOKED
			:: true ->
#else
			:: !revoked[o] ->
#endif
				number = ALLOCATED;
				refs = 1
#ifdef MUT_LINK_REVOKED
			:: false
#endif
			:: true -> number = FREE; number_owner = NOBODY
			fi
		}
	:: atomic {
		open && permit == NONE && number == ALLOCATED &&
#ifdef MUT_ANY_DEVICE
		number_owner == o ->
#else
		number_owner == o &&
		(device_owner == NOBODY || device_owner == o) ->
#endif
		assert(device_owner == NOBODY || device_owner == o);
		device_owner = o;
		permit = LIVE;
		allowed = 1;
#ifndef MUT_NO_REFERENCE
		refs++
#endif
	   }
	:: atomic { permit == LIVE && number_owner == o -> block_permit() }
	:: atomic { number == ALLOCATED && number_owner == o -> free_number() }
	od
}

/* A work of the device */
proctype drain()
{
end:	do
	:: permit == BLOCKING ->
#ifndef MUT_NO_GRACE
		awaited = section;
		awaited == 0;
#endif
#ifndef MUT_NO_UNLOAD
		loaded = NOBODY;
#endif
		atomic {
			permit = NONE;
#ifndef MUT_NO_REFERENCE
			put_number()
#endif
		}
	od
}

/* A write to a register, by whoever has the device open */
proctype load()
{
	bit ok;

end:	do
	:: atomic { open && !section -> section = 1 };
		if
		:: allowed ->
#ifdef MUT_LOAD_OUTSIDE
			atomic { section = 0; awaited = 0 };
#endif
			atomic {
				if
#ifdef MUT_ATTACH_BLOCKED
				:: true ->
#else
				:: permit == LIVE && number == ALLOCATED &&
				   number_owner == device_owner ->
#endif
					attached = device_owner;
					ok = 1
				:: else
				fi
			};
			if
			:: ok -> loaded = device_owner
			:: else
			fi
		:: else				/* refused, and reported */
		fi;
		atomic { section = 0; awaited = 0; ok = 0 }
	:: loaded != NOBODY && open && !section -> loaded = NOBODY
	od
}

/* Opens and closes the device. Nobody is in an operation at the last close. */
proctype file()
{
end:	do
	:: open = 1;
		atomic { !section -> open = 0; block_permit() };
#ifndef MUT_CLOSE_EARLY
		permit == NONE;
#endif
		device_owner = NOBODY
	od
}

proctype revoke(byte o)
{
	atomic {
		revoked[o] = 1;
		if
		:: number == ALLOCATED && number_owner == o -> free_number()
		:: else
		fi
	};
#ifndef MUT_NO_BUSY
	number_owner != o;
#endif
	clean[o] = 1
}

#define P3	((loaded == NOBODY || \
		  (number_owner == loaded && device_owner == loaded)) && \
		 (attached == NOBODY || \
		  (number_owner == attached && permit == LIVE)) && \
		 (loaded == NOBODY || attached == NOBODY || attached == loaded) && \
		 (!allowed || (permit == LIVE && number_owner == device_owner)))
#define P5	((number != ALLOCATED || !revoked[number_owner]) && \
		 (number != PENDING || permit != LIVE))
#define P6(o)	(!clean[o] || \
		 (number_owner != o && loaded != o && attached != o))

proctype monitor()
{
end:	do
	:: atomic { !P3 -> assert(P3) }
	:: atomic { !P5 -> assert(P5) }
	:: atomic { !(P6(A) && P6(B)) -> assert(P6(A) && P6(B)) }
	od
}

ltl returns { [] (revoked[A] -> <> clean[A]) }

init {
	atomic {
		run token(A);
		run token(B);
		run drain();
		run load();
		run file();
		run revoke(A);
		run revoke(B);
		run monitor()
	}
}
