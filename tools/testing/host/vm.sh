#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# vm.sh - does `make vm` start a guest with a shell, whose NIC is on our driver and reaches its peer?

. "$(dirname "$0")/../../env/lib.sh"
cd "$project"

# The console as a terminal has it, line by line, until one that says so much.
console_until() {
	local line
	while IFS= read -r line <&"$console"; do
		line=${line%$'\r'}
		printf '%s\n' "$line"
		[[ $line != *$1* ]] || return 0
	done
	echo "the guest ended, and has not said \"$1\""
	return 1
}

coproc guest { exec script --quiet --return --command "make --no-print-directory vm" /dev/null; }
# shellcheck disable=SC2154
run=$guest_PID
# Its own descriptors are closed when it ends, before all was read that came by them.
exec {console}<&"${guest[0]}" {keys}>&"${guest[1]}"
trap 'kill $run 2>/dev/null || :' EXIT

# The last line of what it says in front of the shell.
console_until "as the peer: "
# What is typed comes back as well, in other words than the answers.
cat >&"$keys" <<-'END'
	echo "driver=$(ethtool -i dut | sed -n 's/^driver: //p')"
	ping -q -c 3 -W 20 192.0.2.2
	exit
END
console_until "driver=virtio_net_rs"
console_until "3 received"
# Its shell has ended, so the guest has; the status is that of make.
cat <&"$console"
trap - EXIT
wait $run
