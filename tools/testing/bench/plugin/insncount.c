// SPDX-License-Identifier: GPL-2.0
/*
 * QEMU TCG plugin: counts executed guest instructions by kernel address.
 *
 * Every kernel instruction gets a slot of a scoreboard, which translated code
 * increments inline; user space shares slot 0. A guest program executes marker
 * instructions: at "begin" the counts are remembered, at "end" the growth since
 * then goes into the next numbered file, as pairs of little-endian 64-bit
 * address and count (address 0 stands for user space).
 *
 * Plugin API version 7. The few prototypes used are declared here, because
 * distributions ship no header for it.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))
#define API_VERSION 7

typedef uint64_t plugin_id;

struct plugin_info {
	const char *target_name;
	struct {
		int min;
		int cur;
	} version;
	bool system_emulation;
	struct {
		int smp_vcpus;
		int max_vcpus;
	} system;
};

struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_plugin_scoreboard;

/* Which 64-bit member of a scoreboard's per-vCPU entry. */
struct score_member {
	struct qemu_plugin_scoreboard *score;
	size_t offset;
};

enum inline_op { INLINE_ADD_U64 };
enum cb_flags { CB_NO_REGS };

typedef void (*tb_trans_cb)(struct qemu_plugin_tb *tb, void *data);
typedef void (*vcpu_cb)(unsigned int vcpu, void *data);
typedef void (*simple_cb)(void *data);

void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id, tb_trans_cb cb, void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t i);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_data(const struct qemu_plugin_insn *insn, void *to, size_t len);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn, vcpu_cb cb,
					    enum cb_flags flags, void *data);
void qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(struct qemu_plugin_insn *insn,
							 enum inline_op op,
							 struct score_member member,
							 uint64_t value);
struct qemu_plugin_scoreboard *qemu_plugin_scoreboard_new(size_t size);
void *qemu_plugin_scoreboard_find(struct qemu_plugin_scoreboard *score, unsigned int vcpu);

EXPORT int qemu_plugin_version = API_VERSION;

#define SLOTS (1u << 20)
#define BUCKETS (SLOTS * 4)
#define USER_SLOT 0
#define KERNEL_BASE 0x8000000000000000ull

/* nopl disp32(%rax) whose displacement is this, plus the marker's number. */
#define MARK_BASE 0x564e4200u
#define MARK_BEGIN 1
#define MARK_END 2

static struct qemu_plugin_scoreboard *score;
static uint64_t slot_addr[SLOTS];
static uint64_t snapshot[SLOTS];
static uint32_t bucket[BUCKETS];
static uint32_t slots_used = 1;
static const char *out_dir;
static unsigned int dumps;

/* The address's slot, a new one if it has none yet. Open addressing. */
static uint32_t slot_of(uint64_t addr)
{
	uint32_t at = (uint32_t)((addr * 0x9e3779b97f4a7c15ull) >> 40) % BUCKETS;

	while (bucket[at]) {
		if (slot_addr[bucket[at]] == addr)
			return bucket[at];
		at = (at + 1) % BUCKETS;
	}
	if (slots_used == SLOTS) {
		fprintf(stderr, "insncount: more than %u kernel addresses\n", SLOTS);
		exit(1);
	}
	slot_addr[slots_used] = addr;
	bucket[at] = slots_used;
	return slots_used++;
}

static void dump(const uint64_t *now)
{
	char path[4096];
	FILE *file;

	/* Complete under its final name, or absent. */
	snprintf(path, sizeof(path), "%s/dump-%04u.bin", out_dir, ++dumps);
	file = fopen(path, "wb");
	if (!file) {
		perror(path);
		exit(1);
	}
	for (uint32_t i = 0; i < slots_used; i++) {
		uint64_t pair[2] = { slot_addr[i], now[i] - snapshot[i] };

		if (pair[1] && fwrite(pair, sizeof(pair), 1, file) != 1) {
			perror(path);
			exit(1);
		}
	}
	if (fclose(file)) {
		perror(path);
		exit(1);
	}
}

static void at_marker(unsigned int vcpu, void *data)
{
	const uint64_t *now = qemu_plugin_scoreboard_find(score, vcpu);

	if ((uintptr_t)data == MARK_BEGIN)
		memcpy(snapshot, now, sizeof(snapshot));
	else if ((uintptr_t)data == MARK_END)
		dump(now);
}

/* The marker's number, or 0: 0f 1f 80 followed by the displacement. */
static unsigned int marker_of(const struct qemu_plugin_insn *insn)
{
	uint8_t code[7];
	uint32_t disp;

	if (qemu_plugin_insn_data(insn, code, sizeof(code)) != sizeof(code) ||
	    code[0] != 0x0f || code[1] != 0x1f || code[2] != 0x80)
		return 0;
	memcpy(&disp, code + 3, sizeof(disp));
	return (disp & ~0xffu) == MARK_BASE ? disp & 0xff : 0;
}

static void on_translate(struct qemu_plugin_tb *tb, void *data)
{
	size_t n = qemu_plugin_tb_n_insns(tb);

	(void)data;
	for (size_t i = 0; i < n; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		uint64_t addr = qemu_plugin_insn_vaddr(insn);
		bool user = addr < KERNEL_BASE;
		struct score_member member = {
			.score = score,
			.offset = (user ? USER_SLOT : slot_of(addr)) * sizeof(uint64_t),
		};

		if (user) {
			unsigned int marker = marker_of(insn);

			if (marker)
				qemu_plugin_register_vcpu_insn_exec_cb(
					insn, at_marker, CB_NO_REGS,
					(void *)(uintptr_t)marker);
		}
		qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(insn, INLINE_ADD_U64,
								    member, 1);
	}
}

EXPORT int qemu_plugin_install(plugin_id id, const struct plugin_info *info, int argc,
			       char **argv)
{
	for (int i = 0; i < argc; i++)
		if (!strncmp(argv[i], "out=", 4))
			out_dir = strdup(argv[i] + 4);
	if (!out_dir) {
		fprintf(stderr, "insncount: needs out=DIRECTORY\n");
		return -1;
	}
	if (!info->system_emulation || info->system.max_vcpus != 1) {
		fprintf(stderr, "insncount: needs system emulation of one vCPU\n");
		return -1;
	}
	score = qemu_plugin_scoreboard_new(SLOTS * sizeof(uint64_t));
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate, NULL);
	return 0;
}
