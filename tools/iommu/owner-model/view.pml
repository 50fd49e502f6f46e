/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Model of the private view of devices: what drivers/iommu/owner/view.c does
 *
 * A group with two devices. The first has a driver, a TSM that may fail, or do what it was
 * asked for and say that it has failed, and hardware that leaves its state at any time; the
 * second has a TSM that works. There is an owner, and an administrator who changes the trust. The mutex of the group is "atomic"; the
 * lock of a device is modelled, as operations of a TSM run with it and without the mutex.
 *
 * Kept: P4, as long as a view is not settled no DMA of the device gets through. P9, what
 * an address means for a driver or an owner is what it meant when that came, or its DMA is
 * blocked. What runs in the hardware is what the core believes, or is blocked.
 *
 * Not modelled: devices that join and leave, TSMs that go away, evidence. Default domains
 * are one, the domain of an owner is the same, and trust has two levels.
 */
#define ND	2
#define NOBODY	0

mtype = { SHARED, LOCKED, PRIVATE, ERROR };
mtype = { BLOCKING, DEFAULT };

typedef device_t {
	mtype view = SHARED;
	bit changing;
	bit trusted = 1;
	bit driver;
	bit lost;		/* it was, and has not been unlocked since */
	bit queued;		/* the work that ends its use */
	bit lock;		/* of the device */
	mtype domain = DEFAULT;
	mtype is = SHARED;	/* the hardware */
	mtype meaning = SHARED;	/* for the driver or the owner, since it came */
};

device_t device[ND];
bit owned;

#define VIEW_BLOCKS(d) \
	(device[d].changing || device[d].view == LOCKED || device[d].view == ERROR)
#define MIXED \
	((device[0].view == PRIVATE && device[1].view == SHARED) || \
	 (device[0].view == SHARED && device[1].view == PRIVATE))
#ifdef MUT_VIEW_MIXED
#define SETTLED		(!VIEW_BLOCKS(0) && !VIEW_BLOCKS(1))
#else
#define SETTLED		(!VIEW_BLOCKS(0) && !VIEW_BLOCKS(1) && !MIXED)
#endif
#define TRUSTED		(device[0].trusted && device[1].trusted)
#define IDLE		(!device[0].driver && !device[1].driver && !owned)
#define KEPT(d)		(VIEW_BLOCKS(d) || !device[d].trusted)

#define ANY_PRIVATE	(device[0].view == PRIVATE || device[1].view == PRIVATE)

/* The domains of a group that nothing uses */
inline update()
{
	if
	:: IDLE && SETTLED && TRUSTED && !ANY_PRIVATE ->
		device[0].domain = DEFAULT;
		device[1].domain = DEFAULT
	:: IDLE && !(SETTLED && TRUSTED && !ANY_PRIVATE) ->
		device[0].domain = BLOCKING;
		device[1].domain = BLOCKING
	:: else
	fi
}

inline lock_device(d)
{
	atomic { !device[d].lock -> device[d].lock = 1 }
}

inline unlock_device(d)
{
	device[d].lock = 0
}

/* Under the mutex; the DMA of an owner is that of the group */
inline lose(d)
{
	if
	:: device[d].view == SHARED && !device[d].changing
	:: device[d].view == ERROR
	:: else ->
		device[d].view = ERROR;
		device[d].trusted = 0;
#ifndef MUT_VIEW_UNBIND_FIRST
		device[d].domain = BLOCKING;
		device[0].domain = (owned -> BLOCKING : device[0].domain);
		device[1].domain = (owned -> BLOCKING : device[1].domain);
#endif
		update();
		device[d].lost = 1;
		device[d].queued = 1
	fi
}

/* What the TSM makes of it; @to if it works. That of the second device always does. */
inline operate(d, to, result)
{
	if
	:: device[d].is = to; result = 0
	:: d == 0 -> result = 1
	:: d == 0 -> device[d].is = to; result = 1
	fi
}

inline settle(d, to)
{
	device[d].changing = 0;
	if
	:: to == SHARED -> device[d].view = SHARED; device[d].lost = 0
#ifdef MUT_VIEW_SETTLE
	:: to != SHARED -> device[d].view = to
#else
	:: to != SHARED && device[d].view != ERROR -> device[d].view = to
	:: to != SHARED && device[d].view == ERROR
#endif
	fi;
	update()
}

proctype manager(byte d)
{
	bit result;
	bit entered;
	mtype before = SHARED;
	mtype to = SHARED;

end:	do
	:: lock_device(d);
		atomic {
			entered = 0;
			if
#ifdef MUT_VIEW_IN_USE
			:: device[d].view == SHARED -> to = LOCKED; entered = 1
#else
			:: IDLE && device[d].view == SHARED -> to = LOCKED; entered = 1
#endif
			:: IDLE && device[d].view == LOCKED -> to = PRIVATE; entered = 1
			:: IDLE && device[d].view != SHARED -> to = SHARED; entered = 1
			:: true
			fi;
			before = device[d].view;
			device[d].changing = entered;
			update()
		};
		if
		:: entered ->
			atomic { operate(d, to, result) };
			if
			:: !result ->
				atomic { settle(d, to) };
				/* It was lost after it had been accepted */
				if
				:: to == PRIVATE && device[d].view == ERROR &&
				   device[d].is == PRIVATE ->
					atomic { device[d].is = SHARED }
				:: else
				fi
			:: result && device[d].is == before ->
				atomic { settle(d, before) }
			:: else ->
#ifdef MUT_VIEW_NO_STOP
				skip;
#else
				atomic { device[d].is = SHARED };
#endif
				if
				:: before == SHARED ->
					atomic { settle(d, SHARED) }
				:: else ->
#ifdef MUT_VIEW_NO_STOP
					atomic { settle(d, before) }
#else
					atomic { lose(d) };
					atomic { settle(d, ERROR) }
#endif
				fi
			fi
		:: else
		fi;
		/* What the TSM was not to do does not go on */
		assert(device[d].is != PRIVATE || device[d].view != LOCKED);
		/* Fewer states */
		atomic {
			result = 0;
			entered = 0;
			before = SHARED;
			to = SHARED;
			unlock_device(d)
		}
	od
}

/* The hardware leaves what it was, for whatever reason; the TSM sees it later. */
proctype hardware(byte d)
{
end:	do
	:: atomic {
		device[d].is == LOCKED || device[d].is == PRIVATE ->
		device[d].is = ERROR
	   }
	:: atomic {
		device[d].view != ERROR &&
		(device[d].view != SHARED || device[d].changing) -> lose(d)
	   }
	od
}

proctype kernel_driver(byte d)
{
end:	do
	:: lock_device(d);
		atomic {
			if
#ifdef MUT_VIEW_PROBE
			:: !owned && device[d].trusted && !device[d].driver ->
#else
			:: !owned && device[d].trusted && SETTLED && !device[d].driver ->
#endif
				device[d].driver = 1;
				device[d].meaning = device[d].is;
				device[d].domain = DEFAULT
			:: else
			fi
		};
		unlock_device(d)
	:: lock_device(d);
		atomic { device[d].driver = 0; update() };
		unlock_device(d)
	od
}

/* What a loss leaves to be done: nothing that DMA depends on */
proctype work(byte d)
{
end:	do
	:: atomic { device[d].queued -> device[d].queued = 0 };
		atomic {
			if
			:: owned && KEPT(d) -> owned = 0; update()
			:: else
			fi
		};
		if
		:: device[d].driver && KEPT(d) ->
			lock_device(d);
			atomic { device[d].driver = 0; update() };
			unlock_device(d)
		:: else
		fi
	od
}

proctype user()
{
end:	do
	:: atomic {
		IDLE && SETTLED && TRUSTED ->
		owned = 1;
		device[0].meaning = device[0].is;
		device[1].meaning = device[1].is;
		/* It attaches a domain of its own */
		device[0].domain = DEFAULT;
		device[1].domain = DEFAULT
	   }
	:: atomic {
		/* Attached again, whatever was lost */
		owned ->
		device[0].domain = (KEPT(0) -> BLOCKING : DEFAULT);
		device[1].domain = (KEPT(1) -> BLOCKING : DEFAULT)
	   }
	:: atomic { owned -> owned = 0; update() }
	od
}

proctype administrator()
{
end:	do
	:: atomic {
		IDLE ->
		if
		:: device[0].trusted = 1; device[1].trusted = 1
		:: device[0].trusted = 0; device[1].trusted = 0
		fi;
		update()
	   }
	od
}

/* P4: no DMA as long as the view is not settled */
#define P4(d)	(!VIEW_BLOCKS(d) || device[d].domain == BLOCKING)
/* P9: what was mapped means what it did. In its error state the hardware does no DMA. */
#define P9(d) \
	(device[d].domain == BLOCKING || device[d].is == ERROR || \
	 !(device[d].driver || owned) || device[d].is == device[d].meaning)
/* What reaches private memory is known to do so. */
#define KNOWN(d) \
	(device[d].is != PRIVATE || device[d].view == PRIVATE || \
	 device[d].domain == BLOCKING)
/* A loss is not forgotten. */
#define REMEMBERED(d) \
	(!device[d].lost || device[d].view == ERROR || device[d].changing)
/* One group does not do DMA with two views */
#define ONE_VIEW \
	(!MIXED || device[0].domain == BLOCKING || device[1].domain == BLOCKING || \
	 VIEW_BLOCKS(0) || VIEW_BLOCKS(1))

proctype monitor()
{
end:	atomic {
		if
		:: !(P4(0) && P4(1)) -> assert(P4(0) && P4(1))
		:: !(P9(0) && P9(1)) -> assert(P9(0) && P9(1))
		:: !(KNOWN(0) && KNOWN(1)) -> assert(KNOWN(0) && KNOWN(1))
		:: !(REMEMBERED(0) && REMEMBERED(1)) ->
			assert(REMEMBERED(0) && REMEMBERED(1))
		:: !ONE_VIEW -> assert(ONE_VIEW)
		fi
	}
}

init {
	atomic {
		run monitor();
		run manager(0);
		run manager(1);
		run hardware(0);
		run kernel_driver(0);
		run work(0);
		run user();
		run administrator()
	}
}
