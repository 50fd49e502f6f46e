// SPDX-License-Identifier: GPL-2.0
/*
 * Plugin for QEMU: the cache lines of the kernel that several CPUs write
 *
 * At the end of a round, see lines.h, the lines are printed that each CPU has written
 * at least as often as it did an operation: those that go from cache to cache all the
 * time.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lines.h"

/* The parts of QEMU's interface for plugins that are used */
typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef uint32_t qemu_plugin_meminfo_t;
typedef struct qemu_info_t qemu_info_t;
enum { NO_REGS, MEM_WRITE = 2 };

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id,
	void (*cb)(qemu_plugin_id_t id, struct qemu_plugin_tb *tb));
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t i);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *insn,
	void (*cb)(unsigned int cpu, qemu_plugin_meminfo_t info, uint64_t addr, void *data),
	int flags, int rw, void *data);
bool qemu_plugin_mem_is_store(qemu_plugin_meminfo_t info);

int qemu_plugin_version = PLUGIN_VERSION;

#define LINE	64
#define SLOTS	(1 << 20)

static struct slot {
	uint64_t line, insn;
	unsigned int stores[LINES_CPUS];
} *slots;

static unsigned int round, calls;

static struct slot *find(uint64_t line)
{
	uint64_t i = line * 0x9e3779b97f4a7c15ULL >> 44;

	while (slots[i].line && slots[i].line != line)
		i = (i + 1) % SLOTS;
	return &slots[i];
}

static void end_round(void)
{
	unsigned int shared = 0;

	for (unsigned int i = 0; i < SLOTS; i++) {
		if (!slots[i].line || slots[i].stores[0] < calls || slots[i].stores[1] < calls)
			continue;
		shared++;
		fprintf(stderr, "line %u %llx %u %u by %llx\n", round,
			(unsigned long long)slots[i].line * LINE, slots[i].stores[0],
			slots[i].stores[1], (unsigned long long)slots[i].insn);
	}
	fprintf(stderr, "lines %u %u\n", round, shared);
	calls = 0;
}

static void store(unsigned int cpu, qemu_plugin_meminfo_t info, uint64_t addr, void *insn)
{
	struct slot *slot;

	if (addr - MARK < MARK_PAGE) {
		memset(slots, 0, SLOTS * sizeof(*slots));
		round = (addr - MARK) % MARK_ROUNDS;
		calls = (addr - MARK) / MARK_ROUNDS * MARK_CALLS;
	} else if (calls && addr - MARK - MARK_PAGE < MARK_PAGE) {
		end_round();
	}
	/* Registered for stores, it gets loads as well */
	if (!calls || !(addr >> 63) || cpu >= LINES_CPUS || !qemu_plugin_mem_is_store(info))
		return;
	slot = find(addr / LINE);
	slot->line = addr / LINE;
	slot->insn = (uintptr_t)insn;
	slot->stores[cpu]++;
}

static void translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);

		qemu_plugin_register_vcpu_mem_cb(insn, store, NO_REGS, MEM_WRITE,
						 (void *)qemu_plugin_insn_vaddr(insn));
	}
}

int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
	slots = calloc(SLOTS, sizeof(*slots));
	if (!slots)
		return -1;
	qemu_plugin_register_vcpu_tb_trans_cb(id, translate);
	return 0;
}
