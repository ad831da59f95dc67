/* SPDX-License-Identifier: GPL-2.0 */
/* What the traffic programs share. */
#ifndef AGENT_H
#define AGENT_H

#include <stdint.h>

/* Seen by the plugin as instruction bytes, a no-op without it. */
#define MARK(n) asm volatile(".byte 0x0f, 0x1f, 0x80; .long 0x564e4200 + %c0" : : "i"(n) : "memory")
#define MARK_BEGIN() MARK(1)
#define MARK_END() MARK(2)

/* Ends the program, with the last system call's error. */
void fail(const char *what) __attribute__((noreturn));
/* What the interface does for an ethtool command, or the end: WHAT it was about. */
void ethtool(const char *interface, void *command, const char *what);
uint64_t now_ns(void);
uint64_t number(const char *text);
/* Prints the packets or bytes that really went through, and the time taken. */
void report(uint64_t done, uint64_t ns);
/* pktgen, as the shell has set it up: begin, and return when all is sent. */
void pktgen_start(int pgctrl);
uint64_t pktgen_result(const char *interface, uint64_t count, uint64_t *ns);

/* Maps of programs, in agent_map.c. TYPE is BPF_MAP_TYPE_...: entry 0 of the newest such map. */
void enter_map(uint32_t type, uint32_t value);
int cmd_redirect_to(char **argv);

/* AF_XDP, in agent_xsk.c. */
int cmd_xsk_rxdrop(char **argv);
int cmd_xsk_l2fwd(char **argv);
int cmd_xsk_txonly(char **argv);

/* Latency and memory, in agent_latency.c and agent_pools.c. */
int cmd_latency(char **argv);
int cmd_page_pools(char **argv);

#endif
