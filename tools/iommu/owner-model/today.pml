/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Files and teardown before the end had passes: a revocation takes files away
 *
 * Each file of a device has a watch of its own, for the owner that its group
 * had when the file was opened. The callback waits for the operations of that
 * file. One group goes through all steps before the next is looked at.
 */

typedef vfio_t {
	bit open;
	bit lock;
	byte interrupts = NOBODY;
	byte owner = NOBODY;	/* who has claimed */
};

typedef file_t {
	bit open;		/* has a descriptor */
	bit opened;		/* the device; until it is closed for this file */
	bit dead;
	bit op;
	bit mapped;
	bit watched;
	bit calling;
	bit closed;		/* the device was, for this file */
	byte watch = NOBODY;	/* the owner that is watched */
	byte own = NOBODY;	/* whose device it was when it was opened */
};

vfio_t vfio[ND];
file_t file[NF];

/* The group file: its owner, and whether it has a container or an iommufd. */
byte group_file = NOBODY;
bit context;

#define FILES(d, what)		((FDEV(0) == (d) && file[0].what) || \
				 (FDEV(1) == (d) && file[1].what))
#define USES(f, d)		(FDEV(f) == (d) && file[f].opened)
#define LIVE(d)			(USES(0, d) || USES(1, d))
#define ACCESSED(g)		false	/* not asked for */
#define MAY_OPERATE(f)		(file[f].open && !file[f].dead)

inline zap(d)
{
	file[0].mapped = file[0].mapped && FDEV(0) != d;
	file[1].mapped = file[1].mapped && FDEV(1) != d
}

inline close_device(d)
{
	atomic {
		zap(d);
		vfio[d].interrupts = NOBODY;
		vfio[d].open = 0
	}
}
