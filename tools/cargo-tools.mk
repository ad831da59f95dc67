# SPDX-License-Identifier: GPL-2.0
# Programs that cargo builds from the registry for the host tests (KEY=value, as
# in versions.mk, a change of which makes the Debian tree anew; this does not).

# The last one that builds with the tree's rustc 1.85.
CARGO_NEXTEST=0.9.100
