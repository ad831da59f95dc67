// SPDX-License-Identifier: GPL-2.0
/*
 * The traffic programs of a measured guest, one static binary.
 *
 * Each command sets up and warms up first, then puts the two marker
 * instructions around just the traffic. One line on standard output gives the
 * packets (or bytes) that really went through and the guest time taken.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "agent.h"

void fail(const char *what)
{
	fprintf(stderr, "agent: %s: %s\n", what, strerror(errno));
	exit(1);
}

void ethtool(const char *interface, void *command, const char *what)
{
	struct ifreq ifr = { .ifr_data = command };
	int sock = socket(AF_INET, SOCK_DGRAM, 0);

	strncpy(ifr.ifr_name, interface, IFNAMSIZ - 1);
	if (sock < 0 || ioctl(sock, SIOCETHTOOL, &ifr))
		fail(what);
	close(sock);
}

uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

uint64_t number(const char *text)
{
	char *end;
	uint64_t value = strtoull(text, &end, 0);

	if (*end || end == text) {
		fprintf(stderr, "agent: not a number: %s\n", text);
		exit(1);
	}
	return value;
}

static struct sockaddr_in address(const char *ip, const char *port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(number(port)) };

	if (inet_pton(AF_INET, ip, &sin.sin_addr) != 1) {
		fprintf(stderr, "agent: not an address: %s\n", ip);
		exit(1);
	}
	return sin;
}

void report(uint64_t done, uint64_t ns)
{
	printf("%llu %llu\n", (unsigned long long)done, (unsigned long long)ns);
}

/* The write returns when pktgen has sent its configured count. */
void pktgen_start(int pgctrl)
{
	if (write(pgctrl, "start\n", 6) != 6)
		fail("pgctrl");
}

/*
 * pktgen's own account of INTERFACE's run: packets sent, which a last burst may
 * take past the count, and the time, without the idle waits of the write above.
 */
uint64_t pktgen_result(const char *interface, uint64_t count, uint64_t *ns)
{
	unsigned long long sent = 0, usec = 0;
	char path[64], line[512];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/net/pktgen/%s", interface);
	file = fopen(path, "r");
	if (!file)
		fail(path);
	while (fgets(line, sizeof(line), file)) {
		char *at = strstr(line, "pkts-sofar:");

		if (at)
			sscanf(at, "pkts-sofar: %llu", &sent);
		sscanf(line, "Result: OK: %llu", &usec);
	}
	fclose(file);
	if (sent < count || !usec) {
		fprintf(stderr, "agent: pktgen sent %llu of %llu\n", sent,
			(unsigned long long)count);
		exit(1);
	}
	*ns = usec * 1000;
	return sent;
}

/* pktgen INTERFACE COUNT: run the device that the shell configured. */
static int cmd_pktgen(char **argv)
{
	int pgctrl = open("/proc/net/pktgen/pgctrl", O_WRONLY);
	uint64_t sent, ns;

	if (pgctrl < 0)
		fail("/proc/net/pktgen/pgctrl");
	MARK_BEGIN();
	pktgen_start(pgctrl);
	MARK_END();
	sent = pktgen_result(argv[0], number(argv[1]), &ns);
	report(sent, ns);
	return 0;
}

/* pktgen-drain INTERFACE COUNT: the same, until what was sent last is dealt with. */
static int cmd_pktgen_drain(char **argv)
{
	int pgctrl = open("/proc/net/pktgen/pgctrl", O_WRONLY);
	uint64_t sent, ns;

	if (pgctrl < 0)
		fail("/proc/net/pktgen/pgctrl");
	usleep(20000);
	MARK_BEGIN();
	pktgen_start(pgctrl);
	usleep(5000);
	MARK_END();
	sent = pktgen_result(argv[0], number(argv[1]), &ns);
	report(sent, ns);
	return 0;
}

/* pktgen-udp-sink INTERFACE PORT COUNT: the same, with a child that receives it all. */
static int cmd_pktgen_udp_sink(char **argv)
{
	uint64_t sent, ns;
	struct sockaddr_in sin = address("0.0.0.0", argv[1]);
	int pgctrl = open("/proc/net/pktgen/pgctrl", O_WRONLY);
	int sock = socket(AF_INET, SOCK_DGRAM, 0), size = 4 << 20;
	volatile uint64_t *got = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
				      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t sink;

	if (pgctrl < 0 || sock < 0 || got == MAP_FAILED)
		fail("pktgen-udp-sink");
	setsockopt(sock, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	if (bind(sock, (struct sockaddr *)&sin, sizeof(sin)))
		fail("bind");
	sink = fork();
	if (sink < 0)
		fail("fork");
	if (!sink) {
		char buf[2048];

		while (recv(sock, buf, sizeof(buf), 0) >= 0)
			++*got;
		_exit(1);
	}
	/* Let the sink block in recv() before counting begins. */
	usleep(20000);
	MARK_BEGIN();
	pktgen_start(pgctrl);
	/* Let it take the last burst. */
	usleep(5000);
	MARK_END();
	kill(sink, 9);
	waitpid(sink, NULL, 0);
	sent = pktgen_result(argv[0], number(argv[2]), &ns);
	if (*got != sent)
		fprintf(stderr, "agent: received %llu of %llu\n",
			(unsigned long long)*got, (unsigned long long)sent);
	report(*got, ns);
	return 0;
}

/* udp-send ADDRESS PORT LENGTH COUNT */
static int cmd_udp_send(char **argv)
{
	struct sockaddr_in sin = address(argv[0], argv[1]);
	uint64_t len = number(argv[2]), count = number(argv[3]), ns;
	int sock = socket(AF_INET, SOCK_DGRAM, 0);
	static char buf[65536];

	if (sock < 0 || len > sizeof(buf) ||
	    connect(sock, (struct sockaddr *)&sin, sizeof(sin)))
		fail("udp-send");
	memset(buf, 'u', sizeof(buf));
	for (int i = 0; i < 64; i++)
		if (send(sock, buf, len, 0) < 0)
			fail("send");
	usleep(20000);
	MARK_BEGIN();
	ns = now_ns();
	for (uint64_t i = 0; i < count; i++)
		if (send(sock, buf, len, 0) != (ssize_t)len)
			fail("send");
	ns = now_ns() - ns;
	MARK_END();
	report(count, ns);
	return 0;
}

static char chunk[256 << 10];

/* Asks the peer for (direction, bytes), as one line that it parses. */
static int tcp_connect(char **argv, const char *direction, uint64_t warm, uint64_t bytes)
{
	struct sockaddr_in sin = address(argv[0], argv[1]);
	int sock = socket(AF_INET, SOCK_STREAM, 0), n;
	char line[64];

	if (sock < 0 || connect(sock, (struct sockaddr *)&sin, sizeof(sin)))
		fail("connect");
	n = snprintf(line, sizeof(line), "%s %llu %llu\n", direction,
		     (unsigned long long)warm, (unsigned long long)bytes);
	if (write(sock, line, n) != n)
		fail("write");
	return sock;
}

static void tcp_write(int sock, uint64_t bytes)
{
	char done;

	while (bytes) {
		ssize_t n = write(sock, chunk, bytes < sizeof(chunk) ? bytes : sizeof(chunk));

		if (n < 0)
			fail("write");
		bytes -= n;
	}
	/* The peer answers when it has read everything. */
	if (read(sock, &done, 1) != 1)
		fail("peer");
}

static void tcp_read(int sock, uint64_t bytes)
{
	/* The peer waits for this before it sends. */
	if (write(sock, "g", 1) != 1)
		fail("write");
	while (bytes) {
		ssize_t n = read(sock, chunk, bytes < sizeof(chunk) ? bytes : sizeof(chunk));

		if (n <= 0)
			fail("read");
		bytes -= n;
	}
}

static int tcp(char **argv, const char *direction, void (*move)(int sock, uint64_t bytes))
{
	uint64_t warm = number(argv[2]), bytes = number(argv[3]), ns;
	int sock = tcp_connect(argv, direction, warm, bytes);

	move(sock, warm);
	MARK_BEGIN();
	ns = now_ns();
	move(sock, bytes);
	ns = now_ns() - ns;
	MARK_END();
	report(bytes, ns);
	return 0;
}

/* tcp-send ADDRESS PORT WARM BYTES */
static int cmd_tcp_send(char **argv)
{
	return tcp(argv, "to-peer", tcp_write);
}

/* tcp-receive ADDRESS PORT WARM BYTES */
static int cmd_tcp_receive(char **argv)
{
	return tcp(argv, "from-peer", tcp_read);
}

/* rings INTERFACE: receive and transmit ring sizes in use. */
static int cmd_rings(char **argv)
{
	struct ethtool_ringparam ring = { .cmd = ETHTOOL_GRINGPARAM };

	ethtool(argv[0], &ring, "ring sizes");
	printf("%u %u\n", ring.rx_pending, ring.tx_pending);
	return 0;
}

/* queue-pairs INTERFACE COUNT: use so many. */
static int cmd_queue_pairs(char **argv)
{
	struct ethtool_channels channels = { .cmd = ETHTOOL_GCHANNELS };

	ethtool(argv[0], &channels, "queue pairs");
	if (channels.combined_count == number(argv[1]))
		return 0;
	channels.cmd = ETHTOOL_SCHANNELS;
	channels.combined_count = number(argv[1]);
	ethtool(argv[0], &channels, "queue pairs");
	return 0;
}

static const struct {
	const char *name;
	int args;
	int (*run)(char **argv);
} commands[] = {
	{ "pktgen", 2, cmd_pktgen },
	{ "pktgen-drain", 2, cmd_pktgen_drain },
	{ "pktgen-udp-sink", 3, cmd_pktgen_udp_sink },
	{ "udp-send", 4, cmd_udp_send },
	{ "tcp-send", 4, cmd_tcp_send },
	{ "tcp-receive", 4, cmd_tcp_receive },
	{ "rings", 1, cmd_rings },
	{ "queue-pairs", 2, cmd_queue_pairs },
	{ "redirect-to", 1, cmd_redirect_to },
	{ "xsk-rxdrop", 5, cmd_xsk_rxdrop },
	{ "xsk-l2fwd", 5, cmd_xsk_l2fwd },
	{ "xsk-txonly", 4, cmd_xsk_txonly },
	{ "latency", 5, cmd_latency },
	{ "page-pools", 1, cmd_page_pools },
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < sizeof(commands) / sizeof(commands[0]); i++)
		if (!strcmp(argv[1], commands[i].name) && argc - 2 == commands[i].args)
			return commands[i].run(argv + 2);
	fprintf(stderr, "agent: unknown command or wrong number of arguments\n");
	return 2;
}
