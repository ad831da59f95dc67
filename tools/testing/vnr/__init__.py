# SPDX-License-Identifier: GPL-2.0
"""The guest runner: plans guests, starts them, collects what they report."""
