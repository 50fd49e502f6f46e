/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What bench.c says to the plugin lines.c: a store to the page at MARK starts a round,
 * at MARK_AT(round, calls) for that many operations of each CPU; one to the next page
 * ends it.
 */
#define MARK		0x5ca1e0000UL
#define MARK_PAGE	4096
#define MARK_CALLS	100	/* unit of the calls */
#define MARK_ROUNDS	16
#define MARK_AT(round, calls) ((calls) / MARK_CALLS * MARK_ROUNDS + (round))
#define LINES_CPUS	2
