# SPDX-License-Identifier: GPL-2.0
"""The machine sleeps while a device of it is a failover standby."""

from test_failover import check_goes_by, master_up, primary
from test_suspend import suspend
from vnrtest import case

ORDER = 47
IN_MEMORY = True
OWN_GUEST = True
PARAMS = ["failover=on"]


@case(60)
def sleeps(env):
    """Traffic goes on afterwards, with a primary and without."""
    master_up(env)
    suspend()
    check_goes_by(env, "dut")
    with primary(env) as name:
        suspend()
        check_goes_by(env, name, "dut")
    env.works()
