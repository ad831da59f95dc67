# SPDX-License-Identifier: GPL-2.0
"""Builds of our driver that lack one check each (canaries/*.patch, built by
canary.sh): the hostile case of that check must fail on them. A check whose
absence nobody notices is not tested."""

import re
from pathlib import Path

import test_hostile
from vnrtest import CASES, Failed, Skip, case, check

ORDER = 95
# The NICs of the suite, of which a canary's case chooses.
OWN_GUEST = True
PARAMS = [params for params in test_hostile.PARAMS if "packed" not in params]
DRIVERS = ("rust",)
TESTING = Path(test_hostile.__file__).resolve().parent.parent
BUILT = TESTING.parent.parent / "build" / "canaries"


def fails(env, module, target, pattern):
    """Run the hostile case with that module; it must fail for that reason."""
    own, env.modules.path = env.modules.path, module
    try:
        env.stop_serving()
        env.dut.unbind()
        env.modules.unload("rust")
        env.fresh()
        try:
            CASES[f"hostile.{target}"].function(env)
        except Skip as skip:
            raise Failed(f"hostile.{target} was skipped: {skip}") from skip
        except Failed as failed:
            said = str(failed)
        else:
            raise Failed(f"hostile.{target} passes without the check")
        check(re.search(pattern, said), f"hostile.{target} fails, but not for want of the check: {said}")
        env.observe([f"noticed: {said}"])
    finally:
        # What the device still owes is given up, and the module goes.
        env.modules.path = own
        env.stop_serving()
        env.model.honest()
        env.dut.unbind()
        env.modules.unload("rust")


def declare(patch):
    name = patch.stem.replace("-", "_")
    text = patch.read_text()
    target = re.search(r"^Case: (\w+)$", text, re.MULTILINE)[1]
    pattern = re.search(r"^Fails: (.+)$", text, re.MULTILINE)[1]

    def function(env):
        error = BUILT / f"{patch.stem}.error"
        check(not error.exists(), error.read_text().strip() if error.exists() else "")
        test_hostile.end_guest = lambda: None
        fails(env, str(BUILT / f"{patch.stem}.ko"), target, pattern)
    function.__name__, function.__module__ = name, __name__
    function.__doc__ = text.splitlines()[1]
    case(90, CASES[f"hostile.{target}"].nics)(function)


for _patch in sorted((TESTING / "canaries").glob("*.patch")):
    if any((BUILT / f"{_patch.stem}.{end}").exists() for end in ("ko", "error")):
        declare(_patch)
