"""`python -m crucible kill9|bank|channels`: one JSON object, and an exit code.

0 if nothing was lost, done twice, or out of balance, and the times hold.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace

from crucible.campaign import Keep, run_campaign
from crucible.channels import SHORT, run_channels
from crucible.channels import Plan as ChannelsPlan
from crucible.fleet import Plan
from crucible.planted import find_nothing, hunt_all


def main() -> int:
    asked = parse()
    if asked.selftest:
        return test_itself(asked)
    try:
        keep = Keep.ALWAYS if asked.keep else Keep.ON_FAILURE
        if asked.campaign == "channels":
            verdict = run_channels(SHORT if asked.short else ChannelsPlan(), keep)
        else:
            verdict = run_campaign(plan_of(asked), keep)
    except KeyboardInterrupt:
        return 130
    if asked.json:
        print(json.dumps(verdict.figures))
    else:
        for name, figure in verdict.figures.items():
            print(f"{name:30} {figure}")
    return 0 if verdict.is_good else 1


def test_itself(asked: argparse.Namespace) -> int:
    """0 if every planted bug was found, and nothing where nothing was planted."""
    is_innocent = bool(asked.only) or find_nothing(asked.seed)
    hunts = hunt_all(asked.seed, asked.only)
    for hunt in hunts:
        word = f"found in {hunt.tries}" if hunt.is_found else "LIVES"
        print(f"{hunt.bug.name}: {word} {hunt.evidence}", file=sys.stderr)
    found = sum(hunt.is_found for hunt in hunts)
    living = [hunt.bug.name for hunt in hunts if not hunt.is_found]
    figures = {"planted": len(hunts), "found": found, "living": living}
    print(json.dumps({**figures, "false_alarm": not is_innocent}))
    return 0 if is_innocent and not living else 1


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m crucible", description=__doc__)
    parser.add_argument(
        "campaign", nargs="?", choices=("kill9", "bank", "channels"), default="kill9"
    )
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--pauses", type=int, default=50)
    parser.add_argument("--ops", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--serves", type=int, help="processes that take requests")
    parser.add_argument("--short", action="store_true", help="for CI: about a minute")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.add_argument(
        "--keep", action="store_true", help="keep the folder with all that happened"
    )
    parser.add_argument("--selftest", action="store_true", help="plant bugs, and find each")
    parser.add_argument("--only", default="", help="of these, those with this in their names")
    return parser.parse_args()


def plan_of(asked: argparse.Namespace) -> Plan:
    if asked.campaign == "bank":
        ops = 6_000 if asked.short else asked.ops
        return Plan(asked.seed, ops=ops, serves=asked.serves or 2, clients=8, workers=4)
    kills, pauses = (12, 2) if asked.short else (asked.kills, asked.pauses)
    # So many that, of each kind, some are awake while two are stopped and one starts.
    crew = Plan(serves=asked.serves or 4, works=3, cut_per_s=0.02, cut_commit=0.005)
    return replace(crew, seed=asked.seed, kills=kills, pauses=pauses, kill_every_s=1.7)


if __name__ == "__main__":
    sys.exit(main())
