# SPDX-License-Identifier: GPL-2.0
# What a plan is made of. Every result goes to /out/log as one line.

bus=/sys/bus/virtio
# The shell would take its own, smaller ip.
ip() { /bin/ip "$@"; }

ip link set lo up
# Full segments whatever the round-trip time of the moment: how TCP sizes them
# otherwise depends on the host's load more than on anything else.
echo 44 >/proc/sys/net/ipv4/tcp_min_tso_segs

log() { echo "$*" >>/out/log; }

fatal() {
	log "fatal $*"
	dmesg | tail -n 40 >/out/dmesg.txt
	sync
	poweroff -f
	sleep 100
}

device_of() { basename "$(echo /sys/bus/pci/devices/0000:00:"$1".0/virtio*)"; }

unbind() {
	local at
	at=$(readlink "$bus/devices/$1/driver") || return 0
	echo "$1" >"$bus/drivers/$(basename "$at")/unbind"
}

# load NAME... - insert the modules under test and leave every NIC unbound.
load() {
	local name nic
	for name in "$@"; do
		insmod "/modules/$name.ko" || fatal "module $name does not load"
		for nic in $nics; do unbind "$(device_of "$nic")"; done
	done
}

# up DRIVER NIC ADDRESS - bind the driver and bring the interface up: $ifname of $dev.
up() {
	local try=0
	dev=$(device_of "$2")
	unbind "$dev"
	echo "$dev" >"$bus/drivers/$1/bind" || fatal "$1 does not bind to $dev"
	[ "$(basename "$(readlink "$bus/devices/$dev/driver")")" = "$1" ] ||
		fatal "$1 is not the driver of $dev"
	ifname=$(ls "$bus/devices/$dev/net")
	ip addr add "$3" dev "$ifname"
	ip link set "$ifname" up || fatal "$ifname does not come up"
	while [ "$(cat "/sys/class/net/$ifname/carrier" 2>/dev/null)" != 1 ]; do
		try=$((try + 1))
		[ $try -lt 500 ] || fatal "$ifname has no carrier"
		usleep 10000
	done
}

# beside DRIVER NIC ADDRESS - the same for another NIC that takes part.
beside() {
	local dev ifname
	up "$@"
	other=$ifname
}

# attach SIDE DRIVER NIC ADDRESS - the same for the NIC that is measured.
attach() {
	local dev
	driver=$2
	up "$2" "$3" "$4"
	mac=$(mac_of "$ifname")
	log "nic $1 $3 $2 $(cat "$bus/devices/$dev/features") $(agent rings "$ifname" 2>/dev/null || echo 0 0)"
	if [ ! -e "/out/kallsyms.$1" ]; then
		grep -i ' [tw] ' /proc/kallsyms >"/out/kallsyms.$1"
	fi
}

mac_of() { cat "/sys/class/net/$1/address"; }

detach() { unbind "$(device_of "$1")"; }

# part SCENARIO SIDE REPEAT PART COMMAND... - run it; it prints done and ns.
part() {
	local id="$1 $2 $3 $4" result
	shift 4
	if result=$("$@" 2>>/out/errors); then
		# The one that prints several lines has them joined.
		log "part $id" $result
	else
		fatal "$id failed: $(tail -n 3 /out/errors)"
	fi
}

pg() { echo "$2" >"$1" || fatal "pktgen refuses '$2'"; }

# pktgen_on INTERFACE MAC COUNT KEY=VALUE... - set the device up, do not start.
pktgen_on() {
	local dev=/proc/net/pktgen/$1 word
	pg /proc/net/pktgen/kpktgend_0 "rem_device_all"
	pg /proc/net/pktgen/kpktgend_0 "add_device $1"
	pg "$dev" "dst_mac $2"
	pg "$dev" "count $3"
	pg "$dev" "pkt_size ${size:-60}"
	shift 3
	for word in "$@"; do pg "$dev" "${word%%=*} ${word#*=}"; done
}

# sized BYTES COMMAND... - with frames of that many bytes.
sized() {
	local size=$1
	shift
	"$@"
}

# jumbo COMMAND... - with frames of 9014 bytes.
jumbo() {
	ip link set "$ifname" mtu 9000 || fatal "$ifname does not take an MTU of 9000"
	sized 9014 "$@"
}

# bursts COUNT DELAY MAC - the same for the e1000 that shares a hub with the receiving NIC:
# it is $src.
bursts() {
	src=$(ls /sys/bus/pci/devices/0000:00:13.0/net)
	ip link set "$src" up
	pktgen_on "$src" "$3" "$1" burst=32 delay="$2" dst_min=10.0.0.2 dst_max=10.0.0.2 \
		src_min=10.0.0.1 src_max=10.0.0.1 udp_dst_min=9 udp_dst_max=9
}

# udp_rx COUNT DELAY MAC - bursts from the e1000, to a socket if for this NIC.
udp_rx() {
	bursts "$@"
	if [ "$3" = "$mac" ]; then
		agent pktgen-udp-sink "$src" 9 "$1"
	else
		agent pktgen "$src" "$1"
	fi
}

# program NAME [INTERFACE] - attach one of xdp.c.
program() {
	ip -force link set dev "${2:-$ifname}" xdpdrv obj /lib/xdp.o program "$1" ||
		fatal "${2:-$ifname} does not take the program $1"
}

counter() { cat "/sys/class/net/$1/statistics/$2"; }

# if_ours MAC COUNT - as many of these frames are for this NIC.
if_ours() { if [ "$1" = "$mac" ]; then echo "$2"; else echo 0; fi; }

# drain COUNT MAC INTERFACE COUNTER - send COUNT frames as "bursts" has set it up. If they are for
# this NIC, as many are done as that counter shows to have been dealt with.
drain() {
	local before result grown
	before=$(counter "$3" "$4")
	result=$(agent pktgen-drain "$src" "$1") || return 1
	grown=$(($(counter "$3" "$4") - before))
	if [ "$grown" -lt "$(if_ours "$2" "${result%% *}")" ]; then
		result="$grown ${result#* }"
	fi
	echo "$result"
}

# xdp_rx PROGRAM COUNT DELAY MAC - the same bursts to a program.
xdp_rx() {
	local counter
	program "$1"
	case $1 in
	drop*) counter=rx_dropped ;;
	tx) counter=tx_packets ;;
	esac
	shift
	bursts "$@"
	drain "$1" "$3" "$ifname" "$counter"
}

# xdp_pass COUNT DELAY MAC - and from the program to a socket.
xdp_pass() {
	program pass
	udp_rx "$@"
}

# redirect FROM TO - a program has what FROM receives sent by TO, or drops it if that is "".
# The C driver sends only with a program on TO as well.
redirect() {
	program to_device "$1"
	[ -n "$2" ] || return 0
	program pass "$2"
	agent redirect-to "$2" || fatal "frames cannot be redirected to $2"
}

# xdp_redirect COUNT DELAY MAC - from this NIC to the one beside it.
xdp_redirect() {
	redirect "$ifname" "$other"
	bursts "$@"
	drain "$1" "$3" "$other" tx_packets
}

# xdp_ndo_xmit COUNT DELAY MAC - from the one beside it to this NIC, or, if MAC is not its
# own, to nowhere.
xdp_ndo_xmit() {
	if [ "$3" = "$mac" ]; then
		redirect "$other" "$ifname"
	else
		redirect "$other" ""
	fi
	bursts "$1" "$2" "$(mac_of "$other")"
	drain "$1" "$3" "$ifname" tx_packets
}

# mode OURS C - how a socket of AF_XDP is to be bound: the C driver does not know all ways.
mode() { if [ "$driver" = virtio_net ]; then echo "$2"; else echo "$1"; fi; }

# xsk_rx rxdrop|l2fwd MODE C_MODE COUNT DELAY MAC - and from the program to a socket of AF_XDP.
xsk_rx() {
	local what=$1 mode
	mode=$(mode "$2" "$3")
	shift 3
	case $mode in
	*@sg*) program to_socket_frags ;;
	*) program to_socket ;;
	esac
	bursts "$@"
	agent "xsk-$what" "$ifname" "$mode" "$src" "$1" "$(if_ours "$3" "$1")"
}

# xsk_tx MODE C_MODE COUNT - frames of a socket of AF_XDP.
xsk_tx() { agent xsk-txonly "$ifname" "$(mode "$1" "$2")" "${size:-60}" "$3"; }

# A MAC that the device's filter drops: the traffic costs only its source.
foreign_mac=02:fe:ed:00:00:01

udp_tx() {
	ip neigh replace 10.0.1.1 lladdr 02:00:00:00:00:01 dev "$ifname" nud permanent
	agent udp-send 10.0.1.1 9 22 "$1"
}

pktgen_tx() {
	pktgen_on "$ifname" 02:00:00:00:00:01 "$1" delay=0 dst_min=10.0.1.1 dst_max=10.0.1.1
	agent pktgen "$ifname" "$1"
}

# pktgen_tx_queues QUEUES COUNT - each packet through the next one of them. A driver begins
# with as many as there are processors.
pktgen_tx_queues() {
	agent queue-pairs "$ifname" "$1" || fatal "$ifname does not use $1 queue pairs"
	pktgen_on "$ifname" 02:00:00:00:00:01 "$2" delay=0 queue_map_min=0 queue_map_max=$(($1 - 1)) \
		dst_min=10.0.3.1 dst_max=10.0.3.1
	agent pktgen "$ifname" "$2"
}

tcp_tx() { agent tcp-send 10.0.2.1 5001 "$2" "$1"; }
tcp_rx() { agent tcp-receive 10.0.2.1 5001 "$2" "$1"; }

# latency xdp|socket|echo COUNT GAP - frames at random times from an e1000, to a program
# that sends them back, to a socket, or to one that answers.
latency() {
	local src try=0
	src=$(ls /sys/bus/pci/devices/0000:00:16.0/net)
	# What the program sends back is for nobody's address.
	ip link set "$src" up promisc on
	while [ "$(cat "/sys/class/net/$src/carrier" 2>/dev/null)" != 1 ]; do
		try=$((try + 1))
		[ $try -lt 500 ] || fatal "$src has no carrier"
		usleep 10000
	done
	if [ "$1" != socket ]; then
		# It interrupts once in 128 us at most: so what it has received is looked for by a
		# timer, each 4 us, after the first interrupt.
		echo 4000 >"/sys/class/net/$src/gro_flush_timeout"
		echo 2000000000 >"/sys/class/net/$src/napi_defer_hard_irqs"
	fi
	# For a second after its filter has changed it receives nothing.
	sleep 2
	if [ "$1" = xdp ]; then
		program tx
	else
		ip neigh replace 10.0.4.1 lladdr "$(cat "/sys/class/net/$src/address")" dev "$ifname" nud permanent
	fi
	agent latency "$1" "$src" "$mac" "$2" "$3"
}

# bypass WHAT COUNT NIC - what the device costs without the kernel: the same bursts to DPDK's own
# driver in a process (WHAT of dpdk_fwd). Prints how many frames it has had, the ticks of a burst
# of 32, and the number of bursts; a tick is an instruction.
bypass() {
	local mac=52:54:00:00:00:$3 slot=0000:00:$3.0 pci=/sys/bus/pci src log=/run/dpdk.log
	unbind "$(device_of "$3")"
	echo "$slot" >$pci/devices/$slot/driver/unbind
	echo uio_pci_generic >$pci/devices/$slot/driver_override
	echo "$slot" >$pci/drivers_probe
	echo 32 >/proc/sys/vm/nr_hugepages
	dpdk_fwd --no-telemetry --in-memory --iova-mode=pa -l 0 -m 48 -a "$slot" -- "$1" "$2" 60 >$log 2>&1 &
	until grep -q '"ready"' $log; do
		kill -0 $! || fatal "dpdk_fwd: $(tail -n 3 $log)"
		usleep 10000
	done
	grep -q net_virtio $log || fatal "DPDK has another driver: $(cat $log)"
	bursts "$2" 600000 "$mac"
	agent pktgen "$src" "$2" >/dev/null
	wait $! || fatal "dpdk_fwd: $(tail -n 3 $log)"
	sed -n 's/.*"rx": \([0-9]*\),.*"ticks": \([0-9]*\), "bursts": \([0-9]*\)}/\1 \2 \3/p' $log
	echo 0 >/proc/sys/vm/nr_hugepages
	echo "$slot" >$pci/devices/$slot/driver/unbind
	echo >$pci/devices/$slot/driver_override
	echo "$slot" >$pci/drivers_probe
}

# taken [INTERFACE] - KiB: free (with what processors keep for themselves), slab, per
# processor, and given out by the interface's page pools.
taken() {
	local cache
	# What waits to be freed is, and what is cached goes.
	sleep 1
	echo 3 >/proc/sys/vm/drop_caches
	for cache in /sys/kernel/slab/*/shrink; do echo 1 >"$cache" 2>/dev/null; done
	sleep 1
	awk '/pages free/ { n += $3 } /^ +count:/ { n += $2 } END { printf "%d ", n * 4 }' /proc/zoneinfo
	awk '/^Slab:/ { slab = $2 } /^Percpu:/ { cpu = $2 } END { printf "%d %d ", slab, cpu }' /proc/meminfo
	if [ -n "${1:-}" ]; then agent page-pools "$1"; else echo 0; fi
}

# memory DRIVER NIC - what is taken with the NIC unbound, bound, up with one queue pair,
# and with four.
memory() {
	local dev name
	dev=$(device_of "$2")
	unbind "$dev"
	taken
	echo "$dev" >"$bus/drivers/$1/bind" || fatal "$1 does not bind to $dev"
	name=$(ls "$bus/devices/$dev/net")
	taken "$name"
	agent queue-pairs "$name" 1 && ip link set "$name" up || fatal "$name does not come up"
	taken "$name"
	agent queue-pairs "$name" 4 || fatal "$name does not use four queue pairs"
	taken "$name"
	unbind "$dev"
}
