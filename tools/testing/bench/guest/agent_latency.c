// SPDX-License-Identifier: GPL-2.0
/*
 * Latency at a fixed load. Frames go out by an e1000 at random times (a Poisson
 * process, the same one each time), which do not wait for what went before; a
 * frame's latency is counted from the time that it was meant for. The time stamp
 * counter counts instructions in the guest that this is for.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <math.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "agent.h"

#define FRAME 60
#define PORT 9
#define SLOT 256	/* bytes of a frame in the ring, with its header */
#define SLOTS 4096
#define LOST_AFTER 50000000ull	/* nanoseconds after the last was sent */
#define IDLE 200	/* a turn of the loop that takes no longer found nothing to do */

struct payload {
	uint32_t number;
	uint32_t magic;
	uint64_t stamp;
} __attribute__((packed));

#define MAGIC 0x564e4c41

/* Written by whoever sees a frame arrive. */
struct seen {
	volatile uint64_t count;
	uint64_t latency[];
};

struct source {
	int tx, rx;
	uint8_t *ring;
	uint32_t at;
	struct sockaddr_ll to;
	uint8_t frame[FRAME];
};

static uint64_t tsc(void)
{
	uint32_t low, high;

	asm volatile("rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)high << 32 | low;
}

static void arrived(struct seen *seen, uint64_t limit, const void *data)
{
	struct payload payload;

	memcpy(&payload, data, sizeof(payload));
	if (payload.magic == MAGIC && seen->count < limit)
		seen->latency[seen->count++] = tsc() - payload.stamp;
}

static void option(int fd, int name, int value)
{
	if (setsockopt(fd, SOL_PACKET, name, &value, sizeof(value)))
		fail("packet socket");
}

/* What a process sees in memory that the kernel writes costs no call. */
static void map_arrivals(struct source *source)
{
	struct tpacket_req request = { .tp_block_size = SLOT * SLOTS, .tp_block_nr = 1,
				       .tp_frame_size = SLOT, .tp_frame_nr = SLOTS };
	struct sockaddr_ll from = source->to;

	source->rx = socket(AF_PACKET, SOCK_RAW, 0);
	if (source->rx < 0)
		fail("packet socket");
	option(source->rx, PACKET_VERSION, TPACKET_V2);
	option(source->rx, PACKET_IGNORE_OUTGOING, 1);
	if (setsockopt(source->rx, SOL_PACKET, PACKET_RX_RING, &request, sizeof(request)))
		fail("packet ring");
	source->ring = mmap(NULL, SLOT * SLOTS, PROT_READ | PROT_WRITE, MAP_SHARED, source->rx, 0);
	if (source->ring == MAP_FAILED)
		fail("packet ring");
	from.sll_protocol = htons(ETH_P_IP);
	if (bind(source->rx, (struct sockaddr *)&from, sizeof(from)))
		fail("packet socket");
}

static void take_arrivals(struct source *source, struct seen *seen, uint64_t limit)
{
	for (;;) {
		uint8_t *slot = source->ring + source->at % SLOTS * SLOT;
		struct tpacket2_hdr *header = (struct tpacket2_hdr *)slot;

		if (!(__atomic_load_n(&header->tp_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER))
			return;
		if (header->tp_snaplen >= 42 + sizeof(struct payload))
			arrived(seen, limit, slot + header->tp_mac + 42);
		__atomic_store_n(&header->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
		source->at++;
	}
}

/* What comes back is told at once: how long it is held otherwise depends on earlier traffic. */
static void tell_at_once(const char *interface)
{
	struct ethtool_coalesce coalesce = { .cmd = ETHTOOL_GCOALESCE };

	ethtool(interface, &coalesce, "interrupt moderation");
	coalesce.cmd = ETHTOOL_SCOALESCE;
	coalesce.rx_coalesce_usecs = 0;
	ethtool(interface, &coalesce, "interrupt moderation");
}

static uint16_t ip_checksum(const uint8_t *header)
{
	uint32_t sum = 0;

	for (int i = 0; i < 20; i += 2)
		sum += header[i] << 8 | header[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons(~sum);
}

static void open_source(struct source *source, const char *interface, const char *mac)
{
	static const uint8_t ip[] = {
		0x45, 0, 0, FRAME - 14, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 4, 1, 10, 0, 4, 2,
		0, PORT, 0, PORT, 0, FRAME - 34, 0, 0,
	};
	uint8_t *f = source->frame;
	uint16_t sum;

	memset(source, 0, sizeof(*source));
	source->to = (struct sockaddr_ll){ .sll_family = AF_PACKET, .sll_ifindex = if_nametoindex(interface) };
	source->tx = socket(AF_PACKET, SOCK_RAW, 0);
	if (source->tx < 0 || bind(source->tx, (struct sockaddr *)&source->to, sizeof(source->to)))
		fail("packet socket");
	option(source->tx, PACKET_QDISC_BYPASS, 1);
	tell_at_once(interface);
	if (sscanf(mac, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", f, f + 1, f + 2, f + 3, f + 4, f + 5) != 6)
		fail("address");
	memcpy(f + 6, "\x52\x54\0\0\0\x16\x08", 7);
	memcpy(f + 14, ip, sizeof(ip));
	sum = ip_checksum(f + 14);
	memcpy(f + 24, &sum, sizeof(sum));
}

static void send_frame(struct source *source, uint32_t number, uint64_t stamp)
{
	struct payload payload = { .number = number, .magic = MAGIC, .stamp = stamp };

	memcpy(source->frame + 42, &payload, sizeof(payload));
	if (send(source->tx, source->frame, FRAME, 0) != FRAME)
		fail("send");
}

/* Before all that is ordinary: nobody waits for the sender, which never sleeps. */
static void serve(struct seen *seen, uint64_t limit, bool echo)
{
	struct sched_param priority = { .sched_priority = 1 };
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(PORT) };
	int sock = socket(AF_INET, SOCK_DGRAM, 0);
	uint8_t buf[64];

	if (sock < 0 || bind(sock, (struct sockaddr *)&sin, sizeof(sin)) ||
	    sched_setscheduler(0, SCHED_FIFO, &priority))
		fail("server");
	for (;;) {
		socklen_t len = sizeof(sin);
		ssize_t n = recvfrom(sock, buf, sizeof(buf), 0, (struct sockaddr *)&sin, &len);

		if (n < (ssize_t)sizeof(struct payload))
			fail("recvfrom");
		if (!echo)
			arrived(seen, limit, buf);
		else if (sendto(sock, buf, n, 0, (struct sockaddr *)&sin, len) != n)
			fail("sendto");
	}
}

/* The next gap of a Poisson process. */
static uint64_t gap(uint64_t *state, double mean)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return -log(((*state >> 11) + 1) / (double)(1ull << 53)) * mean;
}

static int ascending(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static uint64_t quantile(const struct seen *seen, unsigned int percent)
{
	return seen->latency[(seen->count - 1) * percent / 100];
}

/* latency xdp|socket|echo SOURCE MAC COUNT GAP - prints, after frames and time,
 * nanoseconds: median, 90 %, 99 %, the longest; and how busy it was, in thousandths. */
int cmd_latency(char **argv)
{
	bool returns = strcmp(argv[0], "socket");
	uint64_t count = number(argv[3]), mean = number(argv[4]), random = 88172645463325252ull;
	uint64_t began, next, last, now, idle = 0;
	struct seen *seen = mmap(NULL, sizeof(*seen) + count * sizeof(uint64_t), PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	struct source source;
	pid_t server = 0;

	if (seen == MAP_FAILED)
		fail("mmap");
	open_source(&source, argv[1], argv[2]);
	if (returns)
		map_arrivals(&source);
	if (strcmp(argv[0], "xdp")) {
		server = fork();
		if (server < 0)
			fail("fork");
		if (!server)
			serve(seen, count, returns);
	}
	/* Let it block. */
	usleep(50000);
	began = last = tsc();
	next = began;
	for (uint64_t sent = 0; seen->count < count; ) {
		now = tsc();
		if (now - last < IDLE)
			idle += now - last;
		last = now;
		if (returns)
			take_arrivals(&source, seen, count);
		if (sent < count && now >= next) {
			send_frame(&source, sent++, next);
			next += gap(&random, mean);
		} else if (sent == count && now > next + LOST_AFTER) {
			break;
		}
	}
	now = tsc();
	if (server) {
		kill(server, 9);
		waitpid(server, NULL, 0);
	}
	if (seen->count != count) {
		fprintf(stderr, "agent: %llu of %llu arrived\n", (unsigned long long)seen->count,
			(unsigned long long)count);
		return 1;
	}
	qsort(seen->latency, count, sizeof(uint64_t), ascending);
	printf("%llu %llu %llu %llu %llu %llu %llu\n", (unsigned long long)count,
	       (unsigned long long)(now - began), (unsigned long long)quantile(seen, 50),
	       (unsigned long long)quantile(seen, 90), (unsigned long long)quantile(seen, 99),
	       (unsigned long long)quantile(seen, 100),
	       (unsigned long long)(1000 - idle * 1000 / (now - began)));
	return 0;
}
