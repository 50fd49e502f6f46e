/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a user could do when today.pml was true
 *
 * REOPEN	item 1: the group file is closed and opened again while a
 *		device is open, which an iommufd does not prevent
 * USE		item 2: the owner of the group file is changed while a device
 *		is open, after VFIO_GROUP_UNSET_CONTAINER
 * CLOSE	P6 includes interrupts
 *
 * With none of them, nothing is found: it is these steps.
 */
#ifdef REOPEN
#define MAY_CLOSE	true
#else
#define MAY_CLOSE	(!LIVE(0))
#endif
#ifdef USE
#define MAY_UNSET	true
#else
#define MAY_UNSET	(!LIVE(0))
#endif

proctype user_group()
{
	byte o;

end:	do
	:: atomic {
		!vfio[0].lock ->
		if
		:: o = A
		:: o = B
		fi;
		if
		:: !owner[o].revoked && (group_file == NOBODY ||
		   (owner[group_file].revoked && !LIVE(0))) ->
			printf("MSC: open the group for owner %d\n", o);
			group_file = o;
			context = 0
		:: group_file != NOBODY && MAY_CLOSE ->
			printf("MSC: close the group\n");
			group_file = NOBODY;
			context = 0
		:: group_file != NOBODY && !owner[group_file].revoked ->
			if
			:: !context ->
				printf("MSC: set the iommufd\n");
				context = 1
			:: context && MAY_UNSET ->
				printf("MSC: unset the iommufd\n");
				context = 0
			:: !context && !owner[o].revoked ->
				printf("MSC: use owner %d\n", o);
				group_file = o
			:: else
			fi
		:: else
		fi;
		o = 0
	   }
	od
}

proctype user_file(byte f)
{
	byte set, o;
	mtype result = NO_REASON;
	bit ok, late;

end:	do
	:: atomic {
		!file[f].opened && !file[f].dead &&
		!vfio[FDEV(f)].lock && context &&
		!owner[group_file].revoked ->
		vfio[FDEV(f)].lock = 1;
		o = group_file;
		ok = vfio[FDEV(f)].open
	   };
		if
		:: !ok ->
			atomic { claim(GROUP(FDEV(f)), o, ok) };
			/* iommu_owner_device_used() */
			atomic {
				vfio[FDEV(f)].open = ok &&
					group[GROUP(FDEV(f))].state == USER &&
					group[GROUP(FDEV(f))].owner == o;
				vfio[FDEV(f)].owner = o
			}
		:: else
		fi;
		atomic {
			if
			:: vfio[FDEV(f)].open && !owner[o].revoked ->
				printf("MSC: file %d opens the device for owner %d\n",
				       f, o);
				file[f].watched = 1;
				file[f].watch = o;
				file[f].own = vfio[FDEV(f)].owner;
				file[f].opened = 1;
				file[f].open = 1
			:: else
			fi
		};
		goto last
	:: atomic {
		file[f].open && !file[f].op && !file[f].calling ->
		file[f].open = 0;
		file[f].mapped = 0;
		file[f].watched = 0
	   };
		/* unwatch has waited for the callback */
		atomic {
			(!file[f].dead || file[f].closed) &&
			!vfio[FDEV(f)].lock ->
			vfio[FDEV(f)].lock = 1;
			file[f].opened = 0;
			file[f].dead = 0;
			file[f].closed = 0;
			file[f].own = NOBODY
		};
last:
		if
		:: vfio[FDEV(f)].open && !LIVE(FDEV(f)) ->
			o = vfio[FDEV(f)].owner;
			close_device(FDEV(f));
			atomic { release(GROUP(FDEV(f)), o, set) };
			teardown_group(0, set, late, result)
		:: else
		fi;
		atomic { vfio[FDEV(f)].lock = 0; ok = 0; late = 0; o = 0 }
	od
}

/* The last operation of a revoked file has left. */
proctype close_work(byte f)
{
end:	do
	:: atomic {
		file[f].dead && !file[f].op && file[f].opened &&
		!vfio[FDEV(f)].lock ->
		vfio[FDEV(f)].lock = 1;
		file[f].opened = 0;
		zap(FDEV(f))
	   };
		if
		:: vfio[FDEV(f)].open && !LIVE(FDEV(f)) ->
			close_device(FDEV(f))
		:: else
		fi;
		atomic {
			vfio[FDEV(f)].lock = 0;
			file[f].closed = 1
		}
	od
}
