/* SPDX-License-Identifier: GPL-2.0-only */
/* The end of an ownership when today.pml was true */

/* The callback of the watch of a file; it waits until the file is closed. */
inline shut_file(f, g, late)
{
	atomic {
		file[f].watched && !file[f].dead && GROUP(FDEV(f)) == g &&
		file[f].watch == group[g].owner ->
		file[f].calling = 1;
		file[f].dead = 1;
		zap(FDEV(f))
	};
	if
	:: file[f].closed
	:: !file[f].closed -> late = 1		/* after 5 seconds */
	fi;
	file[f].calling = 0
}

/* All steps for one group. */
inline teardown_group(g, set, late, result)
{
	if
	:: HAS(set, g) ->
		atomic { shut_cpu(g, set) };
		do
		:: shut_file(0, g, late)
		:: shut_file(1, g, late)
		:: else -> break
		od;
		atomic {
			group[g].step = DEVICE_SHUT;
			group[g].draining = late
		};
		finish(g, set, result);
		set = 0
	:: else
	fi
}
