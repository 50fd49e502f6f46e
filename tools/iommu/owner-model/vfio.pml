/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Files and operations: what VFIO does on top of the owner core
 *
 * A device is open for one owner and has one watch. An open of a device and its
 * close hold the lock of the device; operations and the callback of the watch do
 * not.
 */

typedef vfio_t {
	bit open;
	bit lock;
	bit revoked;		/* no operation starts */
	bit watched;
	bit calling;		/* the core is in shut() of the watch */
	bit pending;		/* shut() has returned -EINPROGRESS */
	byte interrupts = NOBODY; /* who has set them up */
	byte shuts;		/* calls of shut() since the watch is there */
	byte owner = NOBODY;
};

typedef file_t {
	bit open;
	bit dead;		/* its device was revoked */
	bit op;			/* an operation runs */
	bit mapped;
	byte own = NOBODY;	/* the owner that it was opened for */
};

vfio_t vfio[ND];
file_t file[NF];

#if NF == 1
#define FILES(d, what)		(FDEV(0) == (d) && file[0].what)
#define LIVE(d)			(FDEV(0) == (d) && file[0].open && \
				 !file[0].dead)
#else
#define FILES(d, what)		((FDEV(0) == (d) && file[0].what) || \
				 (FDEV(1) == (d) && file[1].what))
#define LIVE(d)			((FDEV(0) == (d) && file[0].open && \
				  !file[0].dead) || \
				 (FDEV(1) == (d) && file[1].open && \
				  !file[1].dead))
#endif

/* Can user space do anything to a device of this group? */
#define TOUCHED(d, g)	(GROUP(d) == (g) && \
			 (FILES(d, op) || FILES(d, mapped) || \
			  vfio[d].interrupts != NOBODY))
#if ND == 1
#define ACCESSED(g)	TOUCHED(0, g)
#else
#define ACCESSED(g)	(TOUCHED(0, g) || TOUCHED(1, g))
#endif

inline zap(d)
{
	file[0].mapped = file[0].mapped && FDEV(0) != d;
#if NF == 2
	file[1].mapped = file[1].mapped && FDEV(1) != d
#endif
}

/* Its files stay dead when it is open for the next user. */
inline kill_files(d)
{
	atomic {
		file[0].dead = file[0].dead || (FDEV(0) == d && file[0].open);
#if NF == 2
		file[1].dead = file[1].dead || (FDEV(1) == d && file[1].open)
#endif
	}
}

/* In an atomic block. iommu_owner_watch_drained() */
inline drained(d)
{
	if
	:: vfio[d].pending ->
		assert(group[GROUP(d)].draining > 0);
		group[GROUP(d)].draining--;
		vfio[d].pending = 0
	:: else
	fi
}

/*
 * The core calls shut() of the watch of this device if the end is one of its
 * owner and its group. The callback marks the device, unmaps, and leaves the
 * close to close_work().
 */
inline shut_watch(d, g)
{
	atomic {
		if
		:: GROUP(d) == g && vfio[d].watched &&
		   vfio[d].owner == group[g].owner ->
			vfio[d].calling = 1;
#ifndef MUT_COUNT_LATE
			group[g].draining++
#endif
		:: else
		fi
	};
	if
	:: GROUP(d) == g && vfio[d].calling ->
		atomic {
			vfio[d].shuts++;
			assert(vfio[d].shuts == 1);
			vfio[d].revoked = 1;
			vfio[d].pending = 1;
			zap(d)
		};
		atomic {
#ifdef MUT_COUNT_LATE
			group[g].draining++;
#endif
			vfio[d].calling = 0
		}
	:: else
	fi
}

/* Once for all files of the device. The lock of the device is held. */
inline close_device(d)
{
	atomic {
		assert(vfio[d].open && vfio[d].lock);
		assert(!FILES(d, op));
#ifndef MUT_NO_SECOND_ZAP
		/* A page fault may have mapped again since shut() */
		zap(d);
#endif
		vfio[d].interrupts = NOBODY;
		vfio[d].open = 0
	}
}

/* Waits for shut(); what has not drained has now. */
inline unwatch(d)
{
	atomic {
		!vfio[d].calling ->
		vfio[d].watched = 0;
		vfio[d].shuts = 0;
		vfio[d].owner = NOBODY;
		vfio[d].revoked = 0;
		drained(d)
	}
}

#ifdef MUT_SECOND_OWNER
#define MAY_SHARE(d, o)	true
#else
#define MAY_SHARE(d, o)	(vfio[d].owner == (o))
#endif
#ifdef MUT_OP_REVOKED
#define MAY_OPERATE(f)	(file[f].open && !file[f].dead)
#else
#define MAY_OPERATE(f)	(file[f].open && !file[f].dead && \
			 !vfio[FDEV(f)].revoked)
#endif

#ifdef WATCH_FIRST
/* iommufd: the first open of a device watches the owner, and then claims. */
inline first_open(f, d, o, ok, set)
{
	atomic {
		ok = !owner[o].revoked;
		if
		:: ok ->
			vfio[d].watched = 1;
			vfio[d].owner = o
		:: else			/* -ESTALE */
		fi
	};
	if
	:: ok ->
		atomic { claim(GROUP(d), o, ok) };
		if
		:: ok ->
			atomic {
				vfio[d].open = 1;
				/* iommu_owner_device_used() */
				ok = (group[GROUP(d)].state == USER &&
				      group[GROUP(d)].owner == o);
				if
				:: ok ->
					file[f].open = 1;
					file[f].own = o
				:: else
				fi
			};
			if
			:: !ok ->
				close_device(d);
				unwatch(d);
				atomic { release(GROUP(d), o, set) }
			:: else
			fi
		:: else -> unwatch(d)
		fi
	:: else
	fi
}
#else
/*
 * A container has claimed before: watch, and only then ask whether the group is
 * still the owner's.
 */
inline first_open(f, d, o, ok, set)
{
	atomic { claim(GROUP(d), o, ok) };
	if
	:: ok ->
#ifdef MUT_WATCH_LATE
		ok = (group[GROUP(d)].state == USER &&
		      group[GROUP(d)].owner == o);
#endif
		atomic {
			if
			:: !owner[o].revoked ->
				vfio[d].watched = 1;
				vfio[d].owner = o
			:: else			/* -ESTALE */
			fi
		};
		atomic {
			vfio[d].open = 1;
#ifndef MUT_WATCH_LATE
			/* iommu_owner_device_used() */
			ok = (group[GROUP(d)].state == USER &&
			      group[GROUP(d)].owner == o);
#endif
			if
			:: vfio[d].watched && ok ->
				file[f].open = 1;
				file[f].own = o
			:: else -> ok = 0
			fi
		};
		if
		:: !ok ->
			close_device(d);
			unwatch(d);
			atomic { release(GROUP(d), o, set) }
		:: else
		fi
	:: else
	fi
}
#endif

inline open_file(f, d, o, ok, set)
{
	if
	:: !vfio[d].open ->
		first_open(f, d, o, ok, set)
	:: vfio[d].open && MAY_SHARE(d, o) && !vfio[d].revoked ->
		atomic {
			file[f].open = 1;
			file[f].own = o
		}
	:: vfio[d].open && !(MAY_SHARE(d, o) && !vfio[d].revoked)
	fi
}

/* The lock is held. The last file closes the device. */
inline close_last(d, o, set)
{
	if
	:: vfio[d].open && !LIVE(d) && !vfio[d].revoked ->
		o = vfio[d].owner;
#ifdef MUT_UNWATCH_FIRST
		unwatch(d);
#endif
		close_device(d);
		unwatch(d);
		atomic { release(GROUP(d), o, set) }
	:: !(vfio[d].open && !LIVE(d) && !vfio[d].revoked)
	fi
}

/* The last operation of a revoked device has left; the lock is held. */
inline close_revoked(d)
{
	kill_files(d);
	close_device(d);
	atomic { drained(d) };
	unwatch(d)
}
